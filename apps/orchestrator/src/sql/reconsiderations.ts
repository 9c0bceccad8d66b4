// Whose quiet hours have changed: their deferred messages are judged again by each partition's turns.
import type { PoolClient } from 'pg'
import { texts } from '@stepcast/postgres'
import { walkUser } from './cancels'

/** Users, or (userId null) everybody of a workspace who goes by its timezone. */
export interface Concerned {
  readonly workspaceId: string
  readonly userId: string | null
}

/**
 * Puts people before every partition's next turns, in the transaction that writes what is known of them now: a turn that takes this reads that.
 * People with quiet hours are few, and fewer change them.
 */
export async function reconsider(tx: PoolClient, concerned: readonly Concerned[], partitions: number): Promise<void> {
  await tx.query(
    `INSERT INTO reconsiderations (partition, workspace_id, user_id)
     SELECT p, w, u FROM generate_series(0, $1::int - 1) AS p, unnest($2::text[], $3::text[]) AS concerned (w, u)
     WHERE u IS NOT NULL OR EXISTS (SELECT FROM users WHERE workspace_id = w AND data->>'timezone' IS NULL)`,
    [partitions, texts(concerned.map(({ workspaceId }) => workspaceId)), concerned.map(({ userId }) => userId)],
  )
}

interface Waiting extends Concerned {
  readonly id: string
  readonly afterUser: string
  readonly after: string
}

/** Sequences that one turn is given, and where the next goes on. */
interface Stretch {
  readonly sequenceIds: readonly string[]
  readonly walked: number
  /** Null: it is at its end. */
  readonly next: { readonly afterUser: string; readonly after: string } | null
}

// One turn's share: see cancels.ts. Of a workspace so many people are looked at a time: some 10 ms.
const maxWaiting = 100
const maxWalked = 10_000
const peopleAtOnce = 200
// No sequence has a greater id.
const behindAll = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The next running sequences of people to be judged again, first come, first served; what is done goes. */
export async function takeReconsiderations(tx: PoolClient, partition: number, most: number): Promise<{ reached: readonly string[]; more: boolean }> {
  const { rows } = await tx.query<Waiting>(
    `SELECT id::text, workspace_id AS "workspaceId", user_id AS "userId", after_user AS "afterUser", after_sequence_id AS after
     FROM reconsiderations WHERE partition = $1 ORDER BY id LIMIT ${maxWaiting}`, [partition])
  const reached: string[] = []
  let room = maxWalked
  for (const one of rows) {
    const left = most - reached.length
    if (left <= 0 || room <= 0) break
    const stretch = await (one.userId === null ? walkWorkspace(tx, partition, one, left) : walkPerson(tx, partition, one, one.userId, { reached: left, walked: room }))
    reached.push(...stretch.sequenceIds)
    room -= stretch.walked
    if (stretch.next === null) await tx.query('DELETE FROM reconsiderations WHERE id = $1', [one.id])
    else await tx.query('UPDATE reconsiderations SET after_user = $2, after_sequence_id = $3 WHERE id = $1', [one.id, stretch.next.afterUser, stretch.next.after])
  }
  return { reached, more: rows.length > 0 }
}

async function walkPerson(
  tx: PoolClient, partition: number, { workspaceId, after }: Waiting, userId: string, room: { readonly reached: number; readonly walked: number },
): Promise<Stretch> {
  const { sequenceIds, walked, goesOnAfter } = await walkUser(tx, partition, { workspaceId, id: userId, after }, room)
  return { sequenceIds, walked, next: goesOnAfter === null ? null : { afterUser: '', after: goesOnAfter } }
}

/** Person by person, those who have quiet hours and no timezone of their own; each with all that runs, or as much as there is room for. */
async function walkWorkspace(tx: PoolClient, partition: number, { workspaceId, afterUser, after }: Waiting, most: number): Promise<Stretch> {
  const { rows: people } = await tx.query<{ user_id: string }>(
    `SELECT user_id FROM users WHERE workspace_id = $1 AND user_id >= $2 AND data->>'timezone' IS NULL ORDER BY user_id LIMIT ${peopleAtOnce}`, [workspaceId, afterUser])
  const { rows } = await tx.query<{ userId: string; sequenceId: string }>(
    `SELECT user_id AS "userId", sequence_id AS "sequenceId" FROM sequences
     WHERE workspace_id = $1 AND user_id = ANY($2::text[]) AND (user_id, sequence_id) > ($3, $4::uuid) AND partition = $5 AND outcome IS NULL
     ORDER BY user_id, sequence_id LIMIT $6`,
    [workspaceId, people.map(({ user_id }) => user_id), afterUser, after, partition, most])
  const sequenceIds = rows.map(({ sequenceId }) => sequenceId)
  const walked = people.length
  const lastRow = rows.at(-1)
  if (rows.length === most && lastRow) return { sequenceIds, walked, next: { afterUser: lastRow.userId, after: lastRow.sequenceId } }
  if (people.length < peopleAtOnce) return { sequenceIds, walked, next: null }
  return { sequenceIds, walked, next: { afterUser: people.at(-1)!.user_id, after: behindAll } }
}
