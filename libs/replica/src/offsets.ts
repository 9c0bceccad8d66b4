// How far a service's replica has read, for whoever watches it.
import type { Pool } from 'pg'
import type { Offsets } from './follow'

/** The next offset of each partition of a topic, as stored beside the rows. */
export async function replicaOffsets(pool: Pool, topic: string): Promise<Offsets> {
  const { rows } = await pool.query<{ partition: number; next_offset: number }>('SELECT partition, next_offset FROM replica_offsets WHERE topic = $1', [topic])
  return new Map(rows.map((row) => [row.partition, row.next_offset]))
}
