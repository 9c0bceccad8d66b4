// Retention in SQL: the days of changes that are old, dropping one, and purging the heads that are left of it.
import type { Pool, PoolClient } from 'pg'
import { inTransaction, type Queryable } from '@stepcast/postgres'
import { isBusy } from './changes'

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
 * Whether some head of a day still runs. Reads the heads of that day and no others, by the summaries of where days lie. A day on which none runs
 * will never have one: sequences start on the day it is, and never run again.
 */
export function isRunning(pool: Pool, day: string): Promise<boolean> {
  return bySummaries(pool, async (tx) => {
    const { rows } = await tx.query<{ runs: boolean }>(
      'SELECT EXISTS (SELECT FROM sequences WHERE started_on = $1::date AND outcome IS NULL) AS runs',
      [day],
    )
    return rows[0]!.runs
  })
}

/** A question about one day's heads: by the summaries, whatever the planner thinks of a table that one day fills. */
function bySummaries<T>(pool: Pool, ask: (tx: PoolClient) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (tx) => {
    await tx.query('SET LOCAL enable_seqscan = off')
    return ask(tx)
  })
}

// Turns wait behind a lock that is asked for, as long as one of their own at most, and then for the last look.
const lockTimeoutMs = 200
const lookTimeoutMs = 500

/** What became of a day that was to be dropped; `unpublished`: some of its changes may have to be published again. */
export type Dropping = 'dropped' | 'unpublished'

const tableOf = (day: string): string => `changes_${day.replaceAll('-', '')}`

/** Whether a day holds changes that Kafka may not have: they would be missed when the partition is published again. */
async function hasUnpublished(db: Queryable, day: string): Promise<boolean> {
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

/** The days that were dropped more than `keptDays` ago and whose heads are still there. */
export async function daysToPurge(db: Queryable, keptDays: number): Promise<string[]> {
  const { rows } = await db.query<{ day: string }>(
    `SELECT started_on::text AS day FROM retired_days
     WHERE heads_purged_at IS NULL AND dropped_at < now() - make_interval(days => $1) ORDER BY 1`,
    [keptDays],
  )
  return rows.map(({ day }) => day)
}

// 4 MB of heads, 25,000 rows at most: some 100 ms a statement.
const blocksAtOnce = 512

/** The stretches of blocks (each by its first) in which heads of a day lie; reads that day's heads once. */
export function stretchesOf(pool: Pool, day: string): Promise<number[]> {
  return bySummaries(pool, async (tx) => {
    const { rows } = await tx.query<{ first: number }>(
      `SELECT DISTINCT (ctid::text::point)[0]::bigint / ${blocksAtOnce} * ${blocksAtOnce} AS first FROM sequences
       WHERE started_on = $1::date AND outcome IS NOT NULL ORDER BY first`,
      [day],
    )
    return rows.map(({ first }) => first)
  })
}

/** Deletes the ended heads of a day that lie in a stretch; answers how many. */
export async function purgeHeads(db: Queryable, day: string, first: number): Promise<number> {
  const { rowCount } = await db.query(
    'DELETE FROM sequences WHERE ctid >= $2::tid AND ctid < $3::tid AND started_on = $1::date AND outcome IS NOT NULL',
    [day, `(${first},0)`, `(${first + blocksAtOnce},0)`],
  )
  return rowCount ?? 0
}

/**
 * Gives up the summaries of a stretch that was purged: new heads will stand there, and a summary never shrinks, so that it would span all days
 * between. Left as they are where a vacuum holds the lock.
 */
export const forgetSummaries = (pool: Pool, first: number): Promise<void> =>
  unlessBusy(
    pool,
    `SELECT brin_desummarize_range('sequences_by_day', block) FROM generate_series(${first}, ${first + blocksAtOnce - 1}, 32) AS block`,
  )

/** Makes the summaries that are missing, of what was purged the day before for instance: what has no summary is read by every question. */
export const makeSummaries = (pool: Pool): Promise<void> => unlessBusy(pool, `SELECT brin_summarize_new_values('sequences_by_day')`)

// Their lock keeps no turn out, but a vacuum may have it for long.
function unlessBusy(pool: Pool, statement: string): Promise<void> {
  return inTransaction(pool, async (tx) => {
    await tx.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`)
    await tx.query(statement)
  }).catch((error: unknown) => {
    if (!isBusy(error)) throw error
  })
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
