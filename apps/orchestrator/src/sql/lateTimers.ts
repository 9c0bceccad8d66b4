// Timers that are long due, counted in portions: what catching up needs to keep its pace.
import type { Pool } from 'pg'
import { ints } from '@stepcast/postgres'
import type { AgendaQuestion } from './timers'

/** The next portion of a partition's due timers. */
export interface Portion {
  readonly partition: number
  /** Firing up to this instant fires the portion. */
  readonly upTo: number
  readonly count: number
}

/**
 * Of each partition the next `most` timers due at `upTo`. Those of the same instant belong together; `turn` is all that one turn
 * fires.
 */
export async function nextPortions(
  pool: Pool,
  partitions: readonly AgendaQuestion[],
  upTo: number,
  most: number,
  turn: number,
): Promise<Portion[]> {
  const { rows } = await pool.query<Portion>({
    name: 'next-portions',
    text: `SELECT p AS partition, max(due_at) AS "upTo", least(count(*), $4)::int AS count
           FROM unnest($1::smallint[], $5::bigint[]) AS asked (p, bound) CROSS JOIN LATERAL (
             SELECT due_at FROM timers WHERE partition = p AND due_at >= bound AND due_at <= $2 ORDER BY due_at FETCH FIRST $3 ROWS WITH TIES) AS due
           GROUP BY p ORDER BY max(due_at)`,
    values: [ints(partitions.map(({ partition }) => partition)), upTo, most, turn, ints(partitions.map(({ from }) => from))],
  })
  return rows
}
