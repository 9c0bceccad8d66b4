// Forgets sequences 97 days after their start: a week longer than the topic keeps what could still change them.
import type { Pool } from 'pg'

/** Days a row of `sequences` is kept. */
export const keptDays = 97
// One statement holds its locks briefly; 200,000 an hour is 55 a second, and what is left waits for the next hour.
const rowsAtOnce = 5_000
const statementsAtMost = 40

/** Deletes old rows, a bounded number of them; answers how many. Counters stay: they are the history of a template. */
export async function purge(pool: Pool, now: Date): Promise<number> {
  const before = new Date(now.getTime() - keptDays * 24 * 3_600_000)
  let deleted = 0
  for (let statement = 0; statement < statementsAtMost; statement++) {
    const { rowCount } = await pool.query(
      'DELETE FROM sequences WHERE sequence_id IN (SELECT sequence_id FROM sequences WHERE started_at < $1 LIMIT $2)', [before, rowsAtOnce])
    deleted += rowCount ?? 0
    if ((rowCount ?? 0) < rowsAtOnce) break
  }
  return deleted
}
