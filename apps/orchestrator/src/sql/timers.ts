// Timers: one row for each running sequence, judged by the database's clock.
import type { Pool, PoolClient } from 'pg'
import { ints } from '@stepcast/postgres'

/** A timer as stored. */
export interface TimerRow {
  readonly sequenceId: string
  readonly dueAt: number
}

/** Timers of a partition due at `upTo`, in due order; at most `limit`. */
export async function dueTimers(tx: PoolClient, partition: number, upTo: number, limit: number): Promise<TimerRow[]> {
  const { rows } = await tx.query<TimerRow>({
    name: 'due-timers',
    text: `SELECT sequence_id AS "sequenceId", due_at AS "dueAt" FROM timers WHERE partition = $1 AND due_at <= $2 ORDER BY due_at, sequence_id LIMIT $3`,
    values: [partition, upTo, limit],
  })
  return rows
}

/** Moves the first timer due at `upTo` to another instant; answers its sequence, null: none is due. */
export async function putOffTimer(tx: PoolClient, partition: number, upTo: number, until: number): Promise<string | null> {
  const [timer] = await dueTimers(tx, partition, upTo, 1)
  if (timer === undefined) return null
  await tx.query('UPDATE timers SET due_at = $4 WHERE partition = $1 AND due_at = $2 AND sequence_id = $3', [partition, timer.dueAt, timer.sequenceId, until])
  return timer.sequenceId
}

/** What the timer loop sees of a partition. */
export interface PartitionAgenda {
  readonly partition: number
  /** The earliest timer, milliseconds; null: none. */
  readonly nextDueAt: number | null
  /** Whether a cancel job waits. */
  readonly hasJobs: boolean
}

/** The next timers and cancel jobs of partitions, with the database's clock. */
export async function agenda(pool: Pool, partitions: readonly number[]): Promise<{ now: number; agendas: PartitionAgenda[] }> {
  const { rows } = await pool.query<PartitionAgenda & { now: number }>({
    name: 'agenda',
    text: `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now, p AS partition,
                  (SELECT due_at FROM timers t WHERE t.partition = p ORDER BY due_at LIMIT 1) AS "nextDueAt",
                  EXISTS (SELECT FROM cancel_jobs j WHERE j.partition = p) AS "hasJobs"
           FROM unnest($1::smallint[]) AS p`,
    values: [ints(partitions)],
  })
  return { now: rows[0]?.now ?? 0, agendas: rows }
}
