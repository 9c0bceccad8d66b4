// Forgets messages after 90 days, and erased users' hashes once no command from before their erasure can come again.
import type { Pool } from 'pg'

/** Days a message is kept; commands live 7 days in their topic, so no repetition finds its row gone. */
const keptDays = 90
// A week of commands and a day to spare.
const erasedDays = 8
// One statement holds its locks briefly; 200,000 an hour is 55 a second, and what is left waits for the next hour.
const rowsAtOnce = 5_000
const statementsAtMost = 40

/** Deletes a bounded number of old rows; answers how many messages. */
export async function purge(pool: Pool): Promise<number> {
  await pool.query('DELETE FROM erased_users WHERE erased_at < now() - make_interval(days => $1)', [erasedDays])
  let deleted = 0
  for (let statement = 0; statement < statementsAtMost; statement++) {
    const { rowCount } = await pool.query(
      `DELETE FROM messages WHERE message_id IN
         (SELECT message_id FROM messages WHERE created_at < now() - make_interval(days => $1) ORDER BY created_at LIMIT $2)`,
      [keptDays, rowsAtOnce],
    )
    deleted += rowCount ?? 0
    if ((rowCount ?? 0) < rowsAtOnce) break
  }
  return deleted
}
