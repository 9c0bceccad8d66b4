// Erasing a person (rule 22): their items lose content and name at once, and what was commanded before comes too late.
import { createHash } from 'node:crypto'
import type { PoolClient } from 'pg'
import type { UserName } from '@stepcast/replica'
import { announce, type Announced } from './announce'

// Erasures and batches of commands take turns: else a batch under way could store an item that the erasure does not see.
const lockKey = `hashtextextended('inapp_dispatcher erasure', 0)`

const hashOf = ({ workspaceId, userId }: UserName): Buffer => createHash('sha256').update(`${workspaceId}/${userId}`).digest()

/** Removes all that is personal of these users, from open feeds as well; the answers stay, without a name, for commands that are repeated. */
export async function eraseUsers(tx: PoolClient, users: readonly UserName[]): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(${lockKey})`)
  await tx.query(
    `INSERT INTO erased_users (user_hash, erased_at) SELECT hash, clock_timestamp() FROM unnest($1::bytea[]) AS hash
     ON CONFLICT (user_hash) DO UPDATE SET erased_at = excluded.erased_at`,
    [users.map(hashOf)],
  )
  const { rows } = await tx.query<Announced>(
    `UPDATE messages SET user_id = NULL, content = NULL, updated_at = now()
     FROM unnest($1::text[], $2::text[]) AS erased (w, u) WHERE workspace_id = w AND user_id = u
     RETURNING message_id AS "messageId", w AS "workspaceId", u AS "userId"`,
    [users.map(({ workspaceId }) => workspaceId), users.map(({ userId }) => userId)],
  )
  await announce(tx, rows)
}

/** What {@link holdErasures} tells, milliseconds since the epoch. */
export interface Erasures {
  /** By the database's clock. */
  readonly now: number
  /** When this user was erased last; null: never, or over 8 days ago. */
  readonly erasedAt: (user: UserName) => number | null
}

/** Tells the database's time, and who of these users was erased; until the transaction ends nobody is. */
export async function holdErasures(tx: PoolClient, users: readonly UserName[]): Promise<Erasures> {
  await tx.query(`SELECT pg_advisory_xact_lock_shared(${lockKey})`)
  const { rows } = await tx.query<{ user_hash: Buffer | null; erased_at: Date | null; now: Date }>(
    `SELECT user_hash, erased_at, clock_timestamp() AS now FROM (SELECT 1) AS one LEFT JOIN erased_users ON user_hash = ANY($1::bytea[])`,
    [users.map(hashOf)],
  )
  const erased = new Map<string, number>()
  for (const row of rows) if (row.user_hash && row.erased_at) erased.set(row.user_hash.toString('hex'), row.erased_at.getTime())
  return {
    now: rows[0]!.now.getTime(),
    erasedAt: (user) => (erased.size === 0 ? null : (erased.get(hashOf(user).toString('hex')) ?? null)),
  }
}
