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
const headsOfPerson = 50
const beforeAll = '00000000-0000-0000-0000-000000000000'
// No sequence has a greater id.
const behindAll = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The next running sequences of people to be judged again, first come, first served; what is done goes. */
export async function takeReconsiderations(
  tx: PoolClient,
  partition: number,
  most: number,
): Promise<{ reached: readonly string[]; more: boolean }> {
  const { rows } = await tx.query<Waiting>(
    `SELECT id::text, workspace_id AS "workspaceId", user_id AS "userId", after_user AS "afterUser", after_sequence_id AS after
     FROM reconsiderations WHERE partition = $1 ORDER BY id LIMIT ${maxWaiting}`,
    [partition],
  )
  const reached: string[] = []
  let room = maxWalked
  for (const one of rows) {
    const left = most - reached.length
    if (left <= 0 || room <= 0) break
    const stretch = await (one.userId === null
      ? walkWorkspace(tx, partition, one, left)
      : walkPerson(tx, partition, one, one.userId, { reached: left, walked: room }))
    reached.push(...stretch.sequenceIds)
    room -= stretch.walked
    if (stretch.next === null) await tx.query('DELETE FROM reconsiderations WHERE id = $1', [one.id])
    else
      await tx.query('UPDATE reconsiderations SET after_user = $2, after_sequence_id = $3 WHERE id = $1', [
        one.id,
        stretch.next.afterUser,
        stretch.next.after,
      ])
  }
  return { reached, more: rows.length > 0 }
}

async function walkPerson(
  tx: PoolClient,
  partition: number,
  { workspaceId, after }: Waiting,
  userId: string,
  room: { readonly reached: number; readonly walked: number },
): Promise<Stretch> {
  const { sequenceIds, walked, goesOnAfter } = await walkUser(tx, partition, { workspaceId, id: userId, after }, room)
  return { sequenceIds, walked, next: goesOnAfter === null ? null : { afterUser: '', after: goesOnAfter } }
}

interface Person {
  readonly userId: string
  /** Heads read, of all partitions, and the last of them. */
  readonly walked: number
  readonly last: string | null
  readonly running: readonly string[] | null
}

/** Person by person, those who have quiet hours and no timezone of their own; of each some heads a time, so that nobody's are read for nothing. */
async function walkWorkspace(
  tx: PoolClient,
  partition: number,
  { workspaceId, afterUser, after }: Waiting,
  most: number,
): Promise<Stretch> {
  const { rows: people } = await tx.query<{ user_id: string }>(
    `SELECT user_id FROM users WHERE workspace_id = $1 AND user_id >= $2 AND data->>'timezone' IS NULL ORDER BY user_id LIMIT ${peopleAtOnce}`,
    [workspaceId, afterUser],
  )
  const { rows } = await tx.query<Person>(
    `SELECT u AS "userId", count(sequence_id)::int AS walked, max(sequence_id::text COLLATE "C") AS last,
            array_agg(sequence_id::text ORDER BY sequence_id) FILTER (WHERE partition = $5 AND outcome IS NULL) AS running
     FROM unnest($2::text[]) WITH ORDINALITY AS people (u, n) LEFT JOIN LATERAL (
       SELECT sequence_id, partition, outcome FROM sequences
       WHERE workspace_id = $1 AND user_id = u AND sequence_id > CASE WHEN u = $3 THEN $4::uuid ELSE '00000000-0000-0000-0000-000000000000'::uuid END
       ORDER BY sequence_id LIMIT ${headsOfPerson}) AS heads ON true
     GROUP BY u, n ORDER BY n`,
    [workspaceId, people.map(({ user_id }) => user_id), afterUser, after, partition],
  )
  const sequenceIds: string[] = []
  for (const { userId, walked, last, running } of rows) {
    const room = most - sequenceIds.length
    const found = running ?? []
    sequenceIds.push(...found.slice(0, room))
    if (found.length > room)
      return {
        sequenceIds,
        walked: rows.length,
        next: { afterUser: userId, after: room === 0 ? (userId === afterUser ? after : beforeAll) : found[room - 1]! },
      }
    if (walked === headsOfPerson) return { sequenceIds, walked: rows.length, next: { afterUser: userId, after: last! } }
  }
  if (people.length < peopleAtOnce) return { sequenceIds, walked: rows.length, next: null }
  return { sequenceIds, walked: rows.length, next: { afterUser: people.at(-1)!.user_id, after: behindAll } }
}
