// Cancels: tombstones that forbid, jobs that reach what already runs.
import type { PoolClient } from 'pg'
import type { CancelRequested, CancelScope } from '@stepcast/contracts'
import { ints, texts, type Queryable } from '@stepcast/postgres'
import { targetKey, type Target, type Tombstone, type Tombstones } from '../cancellations'

/**
 * Records a cancel with its tombstone and one job for each partition concerned; false: this cancelId is known.
 * `sendsEnds`: the end of each partition of the sends, sampled before; null: the scope covers every send of its name.
 */
export async function recordCancel(
  tx: PoolClient,
  cancel: CancelRequested,
  partitions: readonly number[],
  sendsEnds: readonly number[] | null,
): Promise<boolean> {
  const { cancelId, workspaceId, scope, id, requestedBy, requestedAt } = cancel
  const { rowCount } = await tx.query(
    `INSERT INTO cancels (cancel_id, workspace_id, scope, id, requested_by, requested_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
    [cancelId, workspaceId, scope, id, requestedBy, requestedAt],
  )
  if (rowCount === 0) return false
  await tx.query(
    // Two cancels of one person may commit in another order than they were sampled in.
    `INSERT INTO tombstones (workspace_id, scope, id, requested_at, sends_ends, recorded_at) VALUES ($1, $2, $3, $4, $5, clock_timestamp())
     ON CONFLICT (workspace_id, scope, id) DO UPDATE SET
       requested_at = greatest(tombstones.requested_at, excluded.requested_at), recorded_at = greatest(tombstones.recorded_at, excluded.recorded_at),
       sends_ends = (SELECT array_agg(greatest(was, new) ORDER BY n) FROM unnest(tombstones.sends_ends, excluded.sends_ends) WITH ORDINALITY AS e (was, new, n))`,
    [workspaceId, scope, id, requestedAt, sendsEnds === null ? null : ints(sendsEnds)],
  )
  await tx.query(
    `INSERT INTO cancel_jobs (partition, workspace_id, cancel_id, scope, id, requested_at) SELECT p, $2, $3, $4, $5, $6 FROM unnest($1::smallint[]) AS p`,
    [ints(partitions), workspaceId, cancelId, scope, id, requestedAt],
  )
  return true
}

const beginning = '00000000-0000-0000-0000-000000000000'

/** Whether a job of this cancel still waits for its first turn in one of these partitions. */
export async function jobsNotBegun(
  db: Queryable,
  { workspaceId, cancelId }: Pick<CancelRequested, 'workspaceId' | 'cancelId'>,
  partitions: readonly number[],
): Promise<boolean> {
  const { rows } = await db.query<{ waits: boolean }>({
    name: 'jobs-not-begun',
    text: `SELECT EXISTS (SELECT FROM cancel_jobs
                          WHERE partition = ANY($1::smallint[]) AND workspace_id = $2 AND cancel_id = $3 AND after_sequence_id = $4) AS waits`,
    values: [ints(partitions), workspaceId, cancelId, beginning],
  })
  return rows[0]!.waits
}

const tombstoneColumns = `workspace_id AS "workspaceId", scope, id, requested_at AS "requestedAt", sends_ends AS "sendsEnds",
  floor(extract(epoch FROM recorded_at) * 1000)::bigint AS "recordedAt"`

type TombstoneRow = Target & Omit<Tombstone, 'sendsEnds'> & { readonly sendsEnds: readonly string[] | null }
const tombstonesIn = (rows: readonly TombstoneRow[]): Tombstones =>
  new Map(rows.map((row) => [targetKey(row), { ...row, sendsEnds: row.sendsEnds && row.sendsEnds.map(Number) }]))

/** Read at once by every turn: half a millisecond, where looking for the targets of 2,000 sends takes 70. */
const fewTombstones = 500

/** All tombstones, by {@link targetKey}, where there are few; null: there are more, so those of one's targets have to be looked for. */
export async function allTombstones(tx: PoolClient): Promise<Tombstones | null> {
  const { rows } = await tx.query<TombstoneRow>({
    name: 'all-tombstones',
    text: `SELECT ${tombstoneColumns} FROM tombstones ORDER BY workspace_id, scope, id LIMIT ${fewTombstones + 1}`,
  })
  return rows.length > fewTombstones ? null : tombstonesIn(rows)
}

/** The tombstones of these targets, by {@link targetKey}. */
export async function tombstonesOf(tx: PoolClient, targets: readonly Target[]): Promise<Tombstones> {
  const { rows } = await tx.query<TombstoneRow>({
    name: 'tombstones',
    text: `SELECT ${tombstoneColumns} FROM tombstones
           JOIN unnest($1::text[], $2::text[], $3::text[]) AS t (w, s, i) ON workspace_id = w AND scope = s AND id = i`,
    values: [
      texts(targets.map(({ workspaceId }) => workspaceId)),
      texts(targets.map(({ scope }) => scope)),
      texts(targets.map(({ id }) => id)),
    ],
  })
  return tombstonesIn(rows)
}

interface Job extends Target {
  readonly cancelId: string
  readonly after: string
}

// One turn's share: as many sequences as a turn takes inputs, of as many cancels as it has time for.
/** Sequences that the jobs of one turn reach at most. */
export const maxReached = 1_000
const maxJobs = 100
// Heads read on the way to them: those of other partitions and those that have ended lie between. Some 20 ms.
const maxWalked = 10_000
const columnOf: Readonly<Record<Exclude<CancelScope, 'sequence'>, string>> = { send: 'send_id', campaign: 'campaign_id', user: 'user_id' }

/** The next running sequences that the cancels of this partition reach, first come, first served; their jobs move on or are done. */
export async function takeJobs(
  tx: PoolClient,
  partition: number,
  most = maxReached,
): Promise<{ reached: readonly string[]; more: boolean }> {
  const { rows: jobs } = await tx.query<Job>(
    `SELECT workspace_id AS "workspaceId", cancel_id AS "cancelId", scope, id, after_sequence_id AS after
     FROM cancel_jobs WHERE partition = $1 ORDER BY recorded_at, workspace_id, cancel_id LIMIT ${maxJobs}`,
    [partition],
  )
  const reached: string[] = []
  const room = { reached: most, walked: maxWalked }
  for (const job of jobs) {
    if (room.reached <= 0 || room.walked === 0) break
    const stretch = await walk(tx, partition, job, room)
    room.reached -= stretch.sequenceIds.length
    room.walked -= stretch.walked
    await moveOn(tx, partition, job, stretch.goesOnAfter)
    reached.push(...stretch.sequenceIds)
  }
  return { reached, more: jobs.length > 0 }
}

/** What a job met on a stretch of its way; `goesOnAfter` null: it is at its end. */
interface Stretch {
  readonly sequenceIds: readonly string[]
  readonly walked: number
  readonly goesOnAfter: string | null
}

/** The heads that a job covers, in order of their ids: those of this partition that run, among at most so many that are read. */
async function walk(
  tx: PoolClient,
  partition: number,
  job: Pick<Job, 'workspaceId' | 'scope' | 'id' | 'after'>,
  room: { readonly reached: number; readonly walked: number },
): Promise<Stretch> {
  if (job.scope === 'sequence') {
    const { rows } = await tx.query<{ sequence_id: string }>(
      'SELECT sequence_id FROM sequences WHERE sequence_id = $1::uuid AND workspace_id = $2 AND partition = $3 AND outcome IS NULL',
      [job.id, job.workspaceId, partition],
    )
    return { sequenceIds: rows.map((row) => row.sequence_id), walked: 1, goesOnAfter: null }
  }
  const column = columnOf[job.scope]
  const { rows } = await tx.query<{ walked: number; last: string | null; running: string[] }>(
    `WITH walked AS MATERIALIZED (
       SELECT sequence_id, partition, outcome FROM sequences WHERE workspace_id = $1 AND ${column} = $2 AND sequence_id > $3
       ORDER BY ${column}, sequence_id LIMIT ${room.walked})
     SELECT (SELECT count(*)::int FROM walked) AS walked, (SELECT sequence_id FROM walked ORDER BY sequence_id DESC LIMIT 1) AS last,
            ARRAY(SELECT sequence_id::text FROM walked WHERE partition = $4 AND outcome IS NULL ORDER BY sequence_id LIMIT ${room.reached}) AS running`,
    [job.workspaceId, job.id, job.after, partition],
  )
  const { walked, last, running } = rows[0]!
  if (running.length === room.reached) return { sequenceIds: running, walked, goesOnAfter: running[running.length - 1]! }
  return { sequenceIds: running, walked, goesOnAfter: walked < room.walked ? null : last }
}

/** The running sequences of a user in this partition, likewise. */
export const walkUser = (
  tx: PoolClient,
  partition: number,
  user: { readonly workspaceId: string; readonly id: string; readonly after: string },
  room: { readonly reached: number; readonly walked: number },
): Promise<Stretch> => walk(tx, partition, { ...user, scope: 'user' }, room)

async function moveOn(tx: PoolClient, partition: number, { workspaceId, cancelId }: Job, after: string | null): Promise<void> {
  if (after === null)
    await tx.query('DELETE FROM cancel_jobs WHERE partition = $1 AND workspace_id = $2 AND cancel_id = $3', [
      partition,
      workspaceId,
      cancelId,
    ])
  else {
    await tx.query('UPDATE cancel_jobs SET after_sequence_id = $4 WHERE partition = $1 AND workspace_id = $2 AND cancel_id = $3', [
      partition,
      workspaceId,
      cancelId,
      after,
    ])
  }
}
