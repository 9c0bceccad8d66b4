// Retention in SQL: the days of changes that are old, dropping one, and purging the heads that are left of it.
import type { Pool, PoolClient } from 'pg'
import type { Queryable } from '@stepcast/postgres'

/** The days (YYYY-MM-DD, oldest first) whose changes are kept and which are more than `keptDays` ago. */
export async function daysOlderThan(db: Queryable, keptDays: number): Promise<string[]> {
  const { rows } = await db.query<{ day: string }>(
    `SELECT day::text FROM (SELECT to_date(substr(relname, 9), 'YYYYMMDD') AS day FROM pg_inherits JOIN pg_class ON oid = inhrelid
       WHERE inhparent = 'changes'::regclass AND relname ~ '^changes_[0-9]{8}$') AS kept
     WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::int ORDER BY day`,
    [keptDays],
  )
  return rows.map(({ day }) => day)
}

/**
 * Which of these days some head still runs on. Reads all heads once: an index would cost every send something for a question
 * asked once a day. A day that is not among the answers never will be: sequences start on the day it is, and never run again.
 */
export async function daysStillRunning(db: Queryable, days: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ day: string }>(
    'SELECT DISTINCT started_on::text AS day FROM sequences WHERE outcome IS NULL AND started_on = ANY($1::date[])',
    [days],
  )
  return new Set(rows.map(({ day }) => day))
}

// Turns wait behind a lock that is asked for, as long as one of their own at most, and then for the last look.
const lockTimeoutMs = 200
const lookTimeoutMs = 500

/** What became of a day that was to be dropped; `unpublished`: some of its changes may have to be published again. */
export type Dropping = 'dropped' | 'unpublished'

const tableOf = (day: string): string => `changes_${day.replaceAll('-', '')}`

/** Whether a day holds changes that Kafka may not have: they would be missed when the partition is published again. */
export async function hasUnpublished(db: Queryable, day: string): Promise<boolean> {
  // The least of all published positions first: one pass over the index of positions, which after 90 days finds nothing.
  const { rows } = await db.query<{ unpublished: boolean }>(
    `SELECT EXISTS (SELECT FROM ${tableOf(day)} c JOIN cursors k ON k.partition = c.partition
       WHERE c.position > (SELECT min(published_position) FROM cursors) AND c.position > k.published_position) AS unpublished`,
  )
  return rows[0]!.unpublished
}

/**
 * Drops a day's changes on which no head runs, and remembers when. Its lock keeps turns out for milliseconds; files are deleted
 * after it is released. Throws what {@link isBusy} recognises when the lock is not to be had within 200 ms.
 */
export async function dropDay(tx: PoolClient, day: string): Promise<Dropping> {
  if (await hasUnpublished(tx, day)) return 'unpublished'
  await tx.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}; SET LOCAL statement_timeout = ${lookTimeoutMs}`)
  // Parent before child, as every turn does: no ring of waiting can form.
  await tx.query('LOCK TABLE ONLY changes IN ACCESS EXCLUSIVE MODE')
  // Once more, now that nobody can add to it.
  if (await hasUnpublished(tx, day)) return 'unpublished'
  await tx.query(`DROP TABLE ${tableOf(day)}`)
  await tx.query('INSERT INTO retired_days (started_on) VALUES ($1) ON CONFLICT (started_on) DO NOTHING', [day])
  return 'dropped'
}

const lockNotAvailable = '55P03'
const deadlockDetected = '40P01'
const queryCanceled = '57014'

/** Whether an error says that a lock was not to be had: worth another try. */
export const isBusy = (error: unknown): boolean =>
  [lockNotAvailable, deadlockDetected, queryCanceled].includes((error as { code?: string }).code ?? '')

/** The days that were dropped more than `keptDays` ago and whose heads are still there. */
export async function daysToPurge(db: Queryable, keptDays: number): Promise<string[]> {
  const { rows } = await db.query<{ day: string }>(
    `SELECT started_on::text AS day FROM retired_days
     WHERE heads_purged_at IS NULL AND dropped_at < now() - make_interval(days => $1) ORDER BY 1`,
    [keptDays],
  )
  return rows.map(({ day }) => day)
}

/** How many blocks the heads occupy. */
export async function blocksOfHeads(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ blocks: number }>(`SELECT pg_relation_size('sequences') / current_setting('block_size')::int AS blocks`)
  return rows[0]!.blocks
}

/** Deletes the ended heads of these days that lie in a range of blocks; answers how many. No index leads to them, and none is needed. */
export async function purgeHeads(
  db: Queryable,
  days: readonly string[],
  blocks: { readonly from: number; readonly to: number },
): Promise<number> {
  const { rowCount } = await db.query(
    'DELETE FROM sequences WHERE ctid >= $2::tid AND ctid < $3::tid AND started_on = ANY($1::date[]) AND outcome IS NOT NULL',
    [days, `(${blocks.from},0)`, `(${blocks.to},0)`],
  )
  return rowCount ?? 0
}

/** Remembers that no heads of these days are left. */
export async function headsPurged(db: Queryable, days: readonly string[]): Promise<void> {
  await db.query('UPDATE retired_days SET heads_purged_at = now() WHERE started_on = ANY($1::date[])', [days])
}

/** Does the work unless another process is doing it; answers null then. */
export async function unlessElsewhere<T>(pool: Pool, work: () => Promise<T>): Promise<T | null> {
  const lock = await pool.connect()
  let broken = false
  try {
    const { rows } = await lock.query<{ locked: boolean }>(`SELECT pg_try_advisory_lock(hashtext('stepcast retention')) AS locked`)
    if (!rows[0]!.locked) return null
    try {
      return await work()
    } finally {
      await lock.query(`SELECT pg_advisory_unlock(hashtext('stepcast retention'))`).catch(() => (broken = true))
    }
  } finally {
    lock.release(broken)
  }
}

/** Of these sequences those that have a head: known once, and perhaps without their history by now. */
export async function withHead(db: Queryable, sequenceIds: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ sequence_id: string }>('SELECT sequence_id FROM sequences WHERE sequence_id = ANY($1::uuid[])', [
    sequenceIds,
  ])
  return new Set(rows.map((row) => row.sequence_id))
}
