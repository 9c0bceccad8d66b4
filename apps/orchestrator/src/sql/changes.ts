// Changes: the history of every sequence, and the outbox of the partition.
import type { Pool, PoolClient } from 'pg'
import { inTransaction, type Queryable } from '@stepcast/postgres'

/** A change to be stored. */
export interface NewChange {
  readonly startedOn: string
  readonly sequenceId: string
  readonly version: number
  readonly position: number
  /** Where its data stand in the turn's buffer. */
  readonly from: number
  readonly to: number
}

/** The sequences and positions of changes after `position`, in order; at most `limit`. */
export async function changesAfter(
  tx: Queryable,
  partition: number,
  position: number,
  limit: number,
): Promise<{ sequenceId: string; position: number }[]> {
  const { rows } = await tx.query<{ sequenceId: string; position: number }>({
    name: 'changes-after',
    text: `SELECT sequence_id AS "sequenceId", position FROM changes WHERE partition = $1 AND position > $2 ORDER BY position LIMIT $3`,
    values: [partition, position, limit],
  })
  return rows
}

// Made this many days ahead, so that a week in which none can be made does not matter.
const daysAhead = 7
const lockTimeoutMs = 200
const attempts = 5
const betweenAttemptsMs = 1_000

const tableOf = (day: string): string => `changes_${day.replaceAll('-', '')}`

/** The days from yesterday to a week ahead that have no partition; `today` (YYYY-MM-DD) is the database's in UTC unless told. */
export async function daysMissing(db: Queryable, today: string | null = null): Promise<string[]> {
  const { rows } = await db.query<{ day: string }>(
    `SELECT day::text FROM (SELECT coalesce($1::date, (now() AT TIME ZONE 'UTC')::date) + n AS day FROM generate_series(-1, ${daysAhead}) AS n) AS wanted
     WHERE to_regclass('changes_' || to_char(day, 'YYYYMMDD')) IS NULL ORDER BY day`,
    [today],
  )
  return rows.map(({ day }) => day)
}

/**
 * Makes the partitions of the coming days; safe to repeat and to run in several processes. Nobody waits behind it: a table made apart is
 * attached under a lock that neither turns nor a backup mind (`PARTITION OF` waits for a backup, and all turns wait behind it).
 * Throws what {@link isBusy} recognises when a lock is not to be had within 200 ms, five times.
 */
export async function ensureChangePartitions(pool: Pool, today: string | null = null): Promise<void> {
  for (const day of await daysMissing(pool, today)) {
    for (let attempt = 1; ; attempt++) {
      try {
        await inTransaction(pool, (tx) => makeDay(tx, day))
        break
      } catch (error) {
        if (!isBusy(error) || attempt === attempts) throw error
        await new Promise((resolve) => setTimeout(resolve, betweenAttemptsMs))
      }
    }
  }
}

async function makeDay(tx: PoolClient, day: string): Promise<void> {
  // Of the advisory lock too: its holder may stand still.
  await tx.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`)
  await tx.query(`SELECT pg_advisory_xact_lock(hashtext('stepcast change partitions'))`)
  const { rows } = await tx.query<{ made: boolean }>('SELECT to_regclass($1) IS NOT NULL AS made', [tableOf(day)])
  if (rows[0]!.made) return
  await tx.query(`CREATE TABLE ${tableOf(day)} (LIKE changes INCLUDING ALL)`)
  await tx.query(`ALTER TABLE changes ATTACH PARTITION ${tableOf(day)} FOR VALUES FROM ('${day}') TO ('${day}'::date + 1)`)
}

const lockNotAvailable = '55P03'
const deadlockDetected = '40P01'
const queryCanceled = '57014'

/** Whether an error says that a lock was not to be had: worth another try. */
export const isBusy = (error: unknown): boolean =>
  [lockNotAvailable, deadlockDetected, queryCanceled].includes((error as { code?: string }).code ?? '')
