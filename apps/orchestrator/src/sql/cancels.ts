// Cancels: tombstones that forbid, jobs that reach what already runs.
import type { PoolClient } from 'pg'
import type { CancelRequested, CancelScope } from '@stepcast/contracts'
import { ints, type Queryable } from '@stepcast/postgres'

/** Records a cancel with its tombstone and one job for each partition concerned; false: this cancelId is known. */
export async function recordCancel(tx: PoolClient, cancel: CancelRequested, partitions: readonly number[]): Promise<boolean> {
  const { cancelId, workspaceId, scope, id, requestedBy, requestedAt } = cancel
  const { rowCount } = await tx.query(
    `INSERT INTO cancels (cancel_id, workspace_id, scope, id, requested_by, requested_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
    [cancelId, workspaceId, scope, id, requestedBy, requestedAt],
  )
  if (rowCount === 0) return false
  await tx.query(
    `INSERT INTO tombstones (workspace_id, scope, id, requested_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (workspace_id, scope, id) DO UPDATE SET requested_at = greatest(tombstones.requested_at, excluded.requested_at), recorded_at = now()`,
    [workspaceId, scope, id, requestedAt],
  )
  await tx.query(
    `INSERT INTO cancel_jobs (partition, workspace_id, cancel_id, scope, id, requested_at) SELECT p, $2, $3, $4, $5, $6 FROM unnest($1::smallint[]) AS p`,
    [ints(partitions), workspaceId, cancelId, scope, id, requestedAt],
  )
  return true
}

const beginning = '00000000-0000-0000-0000-000000000000'

/** Whether a job of this cancel still waits for its first turn in one of these partitions. */
export async function jobsNotBegun(db: Queryable, { workspaceId, cancelId }: Pick<CancelRequested, 'workspaceId' | 'cancelId'>, partitions: readonly number[]): Promise<boolean> {
  const { rows } = await db.query<{ waits: boolean }>({
    name: 'jobs-not-begun',
    text: `SELECT EXISTS (SELECT FROM cancel_jobs
                          WHERE partition = ANY($1::smallint[]) AND workspace_id = $2 AND cancel_id = $3 AND after_sequence_id = $4) AS waits`,
    values: [ints(partitions), workspaceId, cancelId, beginning],
  })
  return rows[0]!.waits
}

/** The name of something that may be cancelled. */
export interface Target {
  readonly workspaceId: string
  readonly scope: CancelScope
  readonly id: string
}

/** A key for maps of targets. */
export const targetKey = ({ workspaceId, scope, id }: Target): string => `${workspaceId}\n${scope}\n${id}`

/** The tombstones of these targets: when each was asked for, by {@link targetKey}. */
export async function tombstonesOf(tx: PoolClient, targets: readonly Target[]): Promise<ReadonlyMap<string, number>> {
  const { rows } = await tx.query<Target & { requestedAt: number }>({
    name: 'tombstones',
    text: `SELECT workspace_id AS "workspaceId", scope, id, requested_at AS "requestedAt" FROM tombstones
           JOIN unnest($1::text[], $2::text[], $3::text[]) AS t (w, s, i) ON workspace_id = w AND scope = s AND id = i`,
    values: [targets.map(({ workspaceId }) => workspaceId), targets.map(({ scope }) => scope), targets.map(({ id }) => id)],
  })
  return new Map(rows.map((row) => [targetKey(row), row.requestedAt]))
}

interface Job extends Target {
  readonly cancelId: string
  readonly requestedAt: number
  readonly after: string
}

// One turn's share: as many sequences as a turn takes inputs, of as many cancels as it has time for.
/** Sequences that the jobs of one turn reach at most. */
export const maxReached = 1_000
const maxJobs = 100
const columnOf: Readonly<Record<CancelScope, string>> = { sequence: 'sequence_id::text', send: 'send_id', campaign: 'campaign_id', user: 'user_id' }

/** Running sequences that a cancel reaches. */
export interface Reached {
  readonly sequenceIds: readonly string[]
  readonly scope: CancelScope
  readonly requestedAt: number
}

/** The next running sequences that the cancels of this partition reach, first come, first served; their jobs move on or are done. */
export async function takeJobs(tx: PoolClient, partition: number, most = maxReached): Promise<{ reached: readonly Reached[]; more: boolean }> {
  const { rows: jobs } = await tx.query<Job>(
    `SELECT workspace_id AS "workspaceId", cancel_id AS "cancelId", scope, id, requested_at AS "requestedAt", after_sequence_id AS after
     FROM cancel_jobs WHERE partition = $1 ORDER BY recorded_at, workspace_id, cancel_id LIMIT ${maxJobs}`, [partition])
  const reached: Reached[] = []
  let room = most
  for (const job of jobs) {
    if (room === 0) break
    const sequenceIds = await reach(tx, partition, job, room)
    room -= sequenceIds.length
    reached.push({ sequenceIds, scope: job.scope, requestedAt: job.requestedAt })
  }
  return { reached, more: jobs.length > 0 }
}

async function reach(tx: PoolClient, partition: number, job: Job, limit: number): Promise<readonly string[]> {
  const byId = job.scope === 'sequence' ? 'sequence_id = $2::uuid' : `${columnOf[job.scope]} = $2`
  const { rows } = await tx.query<{ sequence_id: string }>(
    `SELECT sequence_id FROM sequences WHERE workspace_id = $1 AND ${byId} AND partition = $3 AND outcome IS NULL AND sequence_id > $4
     ORDER BY sequence_id LIMIT ${limit}`, [job.workspaceId, job.id, partition, job.after])
  if (rows.length < limit) await tx.query('DELETE FROM cancel_jobs WHERE partition = $1 AND workspace_id = $2 AND cancel_id = $3', [partition, job.workspaceId, job.cancelId])
  else {
    await tx.query('UPDATE cancel_jobs SET after_sequence_id = $4 WHERE partition = $1 AND workspace_id = $2 AND cancel_id = $3',
      [partition, job.workspaceId, job.cancelId, rows[rows.length - 1]!.sequence_id])
  }
  return rows.map((row) => row.sequence_id)
}
