// Puts the counters of past hours together: from a row per partition into one row, so that history stays small and quick to read.
import type { Pool } from 'pg'
import { inTransaction, withPatience } from '@stepcast/postgres'

// A statement moves rows for some 50 ms, while the partition's next batch waits.
const rowsAtOnce = 5_000

/**
 * Moves counters of hours before a moment from `counts_by_partition` to `counts`; answers how many rows. Numbers stay the same at every
 * instant: a row is here or there. Two at a time, and folds beside it, wait for each other by the partition's position.
 */
export async function gather(pool: Pool, before: Date | 'infinity'): Promise<number> {
  const { rows: positions } = await pool.query<{ partition: number }>('SELECT partition FROM positions ORDER BY partition')
  let gathered = 0
  for (const { partition } of positions) {
    for (let moved = rowsAtOnce; moved === rowsAtOnce; gathered += moved) moved = await gatherSome(pool, partition, before)
  }
  return gathered
}

const gatherSome = (pool: Pool, partition: number, before: Date | 'infinity'): Promise<number> =>
  inTransaction(pool, async (tx) => {
    await withPatience(pool, tx, () => tx.query('SELECT FROM positions WHERE partition = $1 FOR UPDATE', [partition]))
    const { rows } = await tx.query<{ moved: number }>(
      `WITH moved AS (
       DELETE FROM counts_by_partition WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM counts_by_partition WHERE partition = $1 AND hour < $2 LIMIT ${rowsAtOnce}))
       RETURNING workspace_id, template_id, template_version, hour, step, channel_type, name, n
     ), gathered AS (
       INSERT INTO counts (workspace_id, template_id, template_version, hour, step, channel_type, name, n)
       SELECT * FROM moved ORDER BY 1, 2, 3, 4, 5, 6, 7
       ON CONFLICT (workspace_id, template_id, template_version, hour, step, channel_type, name) DO UPDATE SET n = counts.n + excluded.n
     )
     SELECT count(*) AS moved FROM moved`,
      [partition, before],
    )
    return rows[0]!.moved
  })
