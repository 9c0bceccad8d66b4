// Cancels of what nobody knows yet: told apart from the others, and kept a day.
import type { Queryable } from '@stepcast/postgres'
import type { Target } from '../cancellations'

/** Whether a send or sequence of this name has a head; a campaign or user need not have any. */
export async function isSeen(db: Queryable, { workspaceId, scope, id }: Target): Promise<boolean> {
  if (scope !== 'send' && scope !== 'sequence') return true
  const { rows } =
    scope === 'sequence'
      ? await db.query({
          name: 'sequence-seen',
          text: 'SELECT FROM sequences WHERE sequence_id = $1 AND workspace_id = $2',
          values: [id, workspaceId],
        })
      : // In order of the index: a question for any one row may be answered by reading the table until one turns up.
        await db.query({
          name: 'send-seen',
          text: 'SELECT FROM sequences WHERE workspace_id = $1 AND send_id = $2 ORDER BY send_id, sequence_id LIMIT 1',
          values: [workspaceId, id],
        })
  return rows.length > 0
}

/** How many tombstones of a workspace nobody has seen the owner of; counted to `most`. */
export async function unseenOf(db: Queryable, workspaceId: string, most: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>({
    name: 'unseen-tombstones',
    text: 'SELECT count(*)::int AS count FROM (SELECT FROM tombstones WHERE workspace_id = $1 AND NOT seen ORDER BY recorded_at LIMIT $2) AS unseen',
    values: [workspaceId, most],
  })
  return rows[0]!.count
}

/** The tombstone is of an id that nobody knows: it goes after a day unless the id turns up. */
export async function markUnseen(db: Queryable, { workspaceId, scope, id }: Target): Promise<void> {
  await db.query('UPDATE tombstones SET seen = false WHERE workspace_id = $1 AND scope = $2 AND id = $3', [workspaceId, scope, id])
}

/** The id has turned up: the tombstone stays as long as any. */
export async function markSeen(db: Queryable, { workspaceId, scope, id }: Target): Promise<void> {
  await db.query('UPDATE tombstones SET seen = true WHERE workspace_id = $1 AND scope = $2 AND id = $3', [workspaceId, scope, id])
}

/**
 * Of the oldest tombstones of unknown ids that are over a day old: deletes those whose id has not turned up, keeps the others with all
 * tombstones. Answers how many were looked at, at most `most`.
 */
export async function settleUnseen(db: Queryable, most: number): Promise<number> {
  const { rows } = await db.query<{ looked: number }>(
    `WITH old AS MATERIALIZED (
       SELECT workspace_id, scope, id FROM tombstones WHERE NOT seen AND recorded_at < now() - interval '24 hours' LIMIT $1 FOR UPDATE SKIP LOCKED
     ), known AS MATERIALIZED (
       SELECT o.* FROM old o CROSS JOIN LATERAL (
         SELECT FROM sequences s WHERE o.scope = 'send' AND s.workspace_id = o.workspace_id AND s.send_id = o.id ORDER BY s.send_id, s.sequence_id LIMIT 1) AS one
       UNION ALL
       SELECT o.* FROM old o JOIN sequences s ON s.sequence_id = CASE o.scope WHEN 'sequence' THEN o.id::uuid END AND s.workspace_id = o.workspace_id
     ), kept AS (
       UPDATE tombstones t SET seen = true FROM known k WHERE (t.workspace_id, t.scope, t.id) = (k.workspace_id, k.scope, k.id)
     ), gone AS (
       DELETE FROM tombstones t USING old o WHERE (t.workspace_id, t.scope, t.id) = (o.workspace_id, o.scope, o.id)
         AND NOT EXISTS (SELECT FROM known k WHERE (k.workspace_id, k.scope, k.id) = (o.workspace_id, o.scope, o.id))
     )
     SELECT count(*)::int AS looked FROM old`,
    [most],
  )
  return rows[0]!.looked
}

/** Deletes tombstones, or the cancels themselves, over their age; answers how many, at most `most`. */
export async function deleteOld(db: Queryable, table: 'tombstones' | 'cancels', keptDays: number, most: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM ${table} WHERE recorded_at < now() - make_interval(days => $1) ORDER BY recorded_at LIMIT $2))`,
    [keptDays, most],
  )
  return rowCount ?? 0
}
