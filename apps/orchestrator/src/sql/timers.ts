// Timers: one row for each running sequence, judged by the database's clock.
import type { PoolClient } from 'pg'
import { ints, type Queryable } from '@stepcast/postgres'

/** A timer as stored. */
export interface TimerRow {
  readonly sequenceId: string
  readonly dueAt: number
}

/**
 * Timers of a partition due from `from` to `upTo`, in due order; at most `limit`. `from`: nothing earlier is there. The table is a queue: while a
 * backup or any other long snapshot is open, the index entries of all that has fired stay, and without the bound each question reads them again.
 */
export async function dueTimers(tx: PoolClient, partition: number, upTo: number, limit: number, from = 0): Promise<TimerRow[]> {
  const { rows } = await tx.query<TimerRow>({
    name: 'due-timers',
    text: `SELECT sequence_id AS "sequenceId", due_at AS "dueAt" FROM timers WHERE partition = $1 AND due_at >= $4 AND due_at <= $2
           ORDER BY due_at, sequence_id LIMIT $3`,
    values: [partition, upTo, limit, from],
  })
  return rows
}

/** Moves the first timer due at `upTo` to another instant; answers its sequence, null: none is due. */
export async function putOffTimer(tx: PoolClient, partition: number, upTo: number, until: number): Promise<string | null> {
  const [timer] = await dueTimers(tx, partition, upTo, 1)
  if (timer === undefined) return null
  await tx.query('UPDATE timers SET due_at = $4 WHERE partition = $1 AND due_at = $2 AND sequence_id = $3', [
    partition,
    timer.dueAt,
    timer.sequenceId,
    until,
  ])
  return timer.sequenceId
}

/** What the timer loop sees of a partition. */
export interface PartitionAgenda {
  readonly partition: number
  /** The earliest timer, milliseconds; null: none. */
  readonly nextDueAt: number | null
  /** Whether a cancel job waits. */
  readonly hasJobs: boolean
  /** Whether somebody's deferred messages are to be judged again. */
  readonly reconsiders: boolean
}

/** A partition and the instant before which it has no timer. */
export interface AgendaQuestion {
  readonly partition: number
  readonly from: number
}

/** The next timers and cancel jobs of partitions, with the database's clock. */
export async function agenda(pool: Queryable, questions: readonly AgendaQuestion[]): Promise<{ now: number; agendas: PartitionAgenda[] }> {
  const { rows } = await pool.query<PartitionAgenda & { now: number }>({
    name: 'agenda',
    text: `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now, p AS partition,
                  (SELECT due_at FROM timers t WHERE t.partition = p AND t.due_at >= bound ORDER BY due_at LIMIT 1) AS "nextDueAt",
                  EXISTS (SELECT FROM cancel_jobs j WHERE j.partition = p) AS "hasJobs",
                  EXISTS (SELECT FROM reconsiderations r WHERE r.partition = p) AS reconsiders
           FROM unnest($1::smallint[], $2::bigint[]) AS asked (p, bound)`,
    values: [ints(questions.map(({ partition }) => partition)), ints(questions.map(({ from }) => from))],
  })
  return { now: rows[0]?.now ?? 0, agendas: rows }
}
