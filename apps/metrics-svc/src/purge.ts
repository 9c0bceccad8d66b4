// Forgets sequences 97 days after their start: a week longer than the topic keeps what could still change them.
import { setTimeout as pause } from 'node:timers/promises'
import type { Pool } from 'pg'

/** Days a row of `sequences` is kept. */
export const keptDays = 97
// A statement takes some 50 ms and the pause leaves room for folding: ten times the engine's peak of 6,400 starts a second.
const rowsAtOnce = 5_000
const betweenStatementsMs = 20

/**
 * Deletes old rows until none is left or `goOn` says no; answers how many. Counters stay: they are the history of a template. Template by
 * template along the index by start, each from where the statement before ended: what is kept costs nothing, and what was deleted is not
 * passed again. Not by the index of ages alone: once the space of old rows holds young ones, a summary by blocks tells them apart no more.
 */
export async function purge(pool: Pool, now: Date, goOn: () => boolean = () => true): Promise<number> {
  const before = now.getTime() - keptDays * 24 * 3_600_000
  let deleted = 0
  for (let template = await templateAfter(pool, '', ''); template !== null; template = await templateAfter(pool, ...template)) {
    for (let from: number | null = 0; from !== null; ) {
      if (!goOn()) return deleted
      const { rows }: { rows: readonly { deleted: number; last: number | null }[] } = await pool.query(deleteSome, [
        ...template,
        from,
        before,
      ])
      deleted += rows[0]!.deleted
      from = rows[0]!.deleted < rowsAtOnce ? null : rows[0]!.last
      if (from !== null) await pause(betweenStatementsMs)
    }
  }
  return deleted
}

// By microseconds, as the column holds them. Rows that a fold or another purge holds are left for the next hour: nobody waits for anybody.
const deleteSome = `
  WITH old AS (
    SELECT ctid AS place, started_at FROM sequences
    WHERE workspace_id = $1 AND template_id = $2 AND started_at >= to_timestamp($3::bigint / 1000.0) AND started_at < to_timestamp($4::bigint / 1000.0)
    ORDER BY workspace_id, template_id, started_at LIMIT ${rowsAtOnce} FOR UPDATE SKIP LOCKED
  ), gone AS (DELETE FROM sequences WHERE ctid = ANY (ARRAY(SELECT place FROM old)) RETURNING 1)
  SELECT (SELECT count(*) FROM gone) AS deleted, (SELECT floor(extract(epoch FROM max(started_at)) * 1000)::bigint FROM old) AS last`

async function templateAfter(pool: Pool, workspaceId: string, templateId: string): Promise<[string, string] | null> {
  const { rows } = await pool.query<{ workspace_id: string; template_id: string }>(
    `SELECT workspace_id, template_id FROM sequences WHERE (workspace_id, template_id) > ($1, $2) ORDER BY workspace_id, template_id LIMIT 1`,
    [workspaceId, templateId],
  )
  return rows[0] ? [rows[0].workspace_id, rows[0].template_id] : null
}
