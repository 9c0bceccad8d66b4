// What most turns need not look for: one question whether there is any of it.
import type { PoolClient } from 'pg'

/** Which exceptions exist at all. */
export interface Exceptions {
  /** Something was cancelled. */
  readonly tombstones: boolean
  /** Somebody has quiet hours: the replica holds only those who have. */
  readonly quietHours: boolean
  /** Engagements wait for their send. */
  readonly early: boolean
}

/** Reads one row of each table at most, so that no index is asked. */
const exceptionsQuestion =
  'SELECT EXISTS (SELECT FROM tombstones) AS tombstones, EXISTS (SELECT FROM users) AS "quietHours", EXISTS (SELECT FROM early_engagements) AS early'

/** Looks, in a turn that holds its cursor's lock: whatever was committed before that is seen. */
export async function exceptions(tx: PoolClient): Promise<Exceptions> {
  const { rows } = await tx.query<Exceptions>({ name: 'exceptions', text: exceptionsQuestion })
  return rows[0]!
}
