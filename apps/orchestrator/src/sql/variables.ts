// Variables in SQL: kept while a step may need them, large values once a partition, gone when nobody uses them.
import type { PoolClient } from 'pg'
import { ints, nullable, texts, uuids, type Queryable } from '@stepcast/postgres'
import { digestOf, split, type Variables } from '../variables'
import type { Head } from './sequences'

/** Variables of a sequence that starts. */
export interface NewVariables {
  readonly head: Head
  readonly variables: Variables
}

interface Use {
  readonly sequenceId: string
  readonly name: string
  readonly digest: string
}

/** Stores the variables that later steps will be rendered with. A row left over from an earlier life of the sequence is replaced. */
export async function insertVariables(tx: PoolClient, partition: number, rows: readonly NewVariables[]): Promise<void> {
  if (rows.length === 0) return
  const values = new Map<string, string>()
  const digests = new Digests()
  const uses: Use[] = []
  const inline: string[] = []
  const shared: boolean[] = []
  for (const { head, variables } of rows) {
    const { inline: small, large } = split(variables)
    inline.push(JSON.stringify(small))
    shared.push(large.length > 0)
    for (const { name, value } of large) {
      const digest = digests.of(head, value)
      values.set(digest, value)
      uses.push({ sequenceId: head.sequenceId, name, digest })
    }
  }
  await tx.query({
    name: 'insert-variables',
    text: `INSERT INTO kept_variables (sequence_id, variables, shared) SELECT * FROM unnest($1::uuid[], $2::jsonb[], $3::boolean[])
           ON CONFLICT (sequence_id) DO UPDATE SET variables = excluded.variables, shared = kept_variables.shared OR excluded.shared`,
    values: [uuids(rows.map(({ head }) => head.sequenceId)), inline, nullable(shared)],
  })
  if (uses.length > 0) await insertShared(tx, partition, values, uses)
}

// The values of a turn are mostly of few sends and mostly the same: each is hashed once.
class Digests {
  private readonly bySend = new Map<string, Map<string, string>>()

  of({ workspaceId, sendId }: Head, value: string): string {
    const send = `${workspaceId}\n${sendId}`
    let known = this.bySend.get(send)
    if (!known) this.bySend.set(send, (known = new Map()))
    let digest = known.get(value)
    if (digest === undefined) known.set(value, (digest = digestOf(workspaceId, sendId, value)))
    return digest
  }
}

async function insertShared(tx: PoolClient, partition: number, values: ReadonlyMap<string, string>, uses: readonly Use[]): Promise<void> {
  await tx.query({
    name: 'insert-shared-values',
    text: 'INSERT INTO shared_values (partition, digest, value) SELECT $1::smallint, * FROM unnest($2::uuid[], $3::text[]) ON CONFLICT DO NOTHING',
    values: [partition, uuids([...values.keys()]), texts([...values.values()])],
  })
  await tx.query({
    name: 'insert-shared-uses',
    text: `INSERT INTO shared_uses (partition, sequence_id, name, digest) SELECT $1::smallint, * FROM unnest($2::uuid[], $3::text[], $4::uuid[])
           ON CONFLICT (sequence_id, name) DO UPDATE SET partition = excluded.partition, digest = excluded.digest`,
    values: [
      partition,
      uuids(uses.map(({ sequenceId }) => sequenceId)),
      texts(uses.map(({ name }) => name)),
      uuids(uses.map(({ digest }) => digest)),
    ],
  })
}

/** Deletes the variables of sequences whose end is published, and the values that were theirs alone. */
export async function deleteVariables(tx: PoolClient, sequenceIds: readonly string[]): Promise<void> {
  if (sequenceIds.length === 0) return
  const { rows } = await tx.query<{ sequence_id: string }>({
    name: 'delete-variables',
    text: `WITH gone AS (DELETE FROM kept_variables WHERE sequence_id = ANY($1::uuid[]) RETURNING sequence_id, shared)
           SELECT sequence_id FROM gone WHERE shared`,
    values: [uuids(sequenceIds)],
  })
  if (rows.length === 0) return
  const { rows: used } = await tx.query<{ partition: number; digest: string }>({
    name: 'delete-shared-uses',
    text: `WITH gone AS (DELETE FROM shared_uses WHERE sequence_id = ANY($1::uuid[]) RETURNING partition, digest)
           SELECT DISTINCT partition, digest FROM gone`,
    values: [uuids(rows.map((row) => row.sequence_id))],
  })
  // Only now: a statement does not see what its own parts delete.
  await tx.query({
    name: 'delete-shared-values',
    text: `DELETE FROM shared_values v USING unnest($1::smallint[], $2::uuid[]) AS d (partition, digest)
           WHERE v.partition = d.partition AND v.digest = d.digest
             AND NOT EXISTS (SELECT FROM shared_uses u WHERE u.partition = d.partition AND u.digest = d.digest)`,
    values: [ints(used.map(({ partition }) => partition)), uuids(used.map(({ digest }) => digest))],
  })
}

/** The variables of these sequences, large values in their place; those without any are missing. Some hundred at once: each may have 64 kB. */
export async function loadVariables(db: Queryable, sequenceIds: readonly string[]): Promise<ReadonlyMap<string, Variables>> {
  const found = new Map<string, Record<string, string>>()
  if (sequenceIds.length === 0) return found
  const { rows } = await db.query<{ sequence_id: string; variables: Record<string, string>; shared: boolean }>({
    name: 'load-variables',
    text: 'SELECT sequence_id, variables, shared FROM kept_variables WHERE sequence_id = ANY($1::uuid[])',
    values: [uuids(sequenceIds)],
  })
  for (const row of rows) found.set(row.sequence_id, row.variables)
  const sharing = rows.filter(({ shared }) => shared).map((row) => row.sequence_id)
  if (sharing.length === 0) return found
  const { rows: uses } = await db.query<{ sequence_id: string; name: string; partition: number; digest: string }>({
    name: 'load-shared-uses',
    text: 'SELECT sequence_id, name, partition, digest FROM shared_uses WHERE sequence_id = ANY($1::uuid[])',
    values: [uuids(sharing)],
  })
  const wanted = new Map(uses.map(({ partition, digest }) => [digest, partition]))
  const { rows: values } = await db.query<{ digest: string; value: string }>({
    name: 'load-shared-values',
    text: `SELECT v.digest, v.value FROM shared_values v JOIN unnest($1::smallint[], $2::uuid[]) AS d (partition, digest)
           ON v.partition = d.partition AND v.digest = d.digest`,
    values: [ints([...wanted.values()]), uuids([...wanted.keys()])],
  })
  const valueOf = new Map(values.map(({ digest, value }) => [digest, value]))
  for (const { sequence_id: sequenceId, name, digest } of uses) {
    const variables = found.get(sequenceId)!
    const value = valueOf.get(digest)
    // Own properties only: a variable may be called __proto__.
    if (value !== undefined && !Object.hasOwn(variables, name))
      Object.defineProperty(variables, name, { value, enumerable: true, configurable: true })
  }
  return found
}

/** What is left of sequences that need no variables any more. */
export interface Leftovers {
  /** Ended, and all of it is published: to be forgotten by a turn of their partition. */
  readonly ended: readonly { readonly sequenceId: string; readonly partition: number }[]
  /** Retention has purged their heads. */
  readonly headless: readonly string[]
  /** Where the next look begins; null: all were seen. */
  readonly next: string | null
}

/**
 * Looks through the variables that are kept, `most` at a time from the one after `after` on: those of running sequences and what is left
 * over, so few where histories are many. Only what the stored position says is published counts: nothing is found that may have to be
 * published again. Heads and changes are looked up one by one (`OFFSET 0`, subqueries): joined, they might be read from end to end.
 */
export async function leftovers(db: Queryable, partitions: readonly number[], after: string, most: number): Promise<Leftovers> {
  const { rows } = await db.query<{ sequenceId: string; partition: number | null; last: boolean }>({
    name: 'variables-left-over',
    text: `WITH page AS MATERIALIZED (SELECT sequence_id FROM kept_variables WHERE sequence_id > $2 ORDER BY sequence_id LIMIT $3)
           SELECT p.sequence_id AS "sequenceId", s.partition, false AS last FROM page p LEFT JOIN LATERAL (
             SELECT started_on, partition, outcome FROM sequences WHERE sequence_id = p.sequence_id OFFSET 0) AS s ON true
           WHERE s.partition IS NULL OR (s.outcome IS NOT NULL AND s.partition = ANY($1::smallint[])
             AND coalesce((SELECT max(position) FROM changes c WHERE c.started_on = s.started_on AND c.sequence_id = p.sequence_id), 0)
               <= (SELECT published_position FROM cursors k WHERE k.partition = s.partition))
           UNION ALL
           (SELECT sequence_id, NULL, true FROM page WHERE (SELECT count(*) FROM page) = $3 ORDER BY sequence_id DESC LIMIT 1)`,
    values: [ints(partitions), after, most],
  })
  const found = rows.filter(({ last }) => !last)
  return {
    ended: found.flatMap(({ sequenceId, partition }) => (partition === null ? [] : [{ sequenceId, partition }])),
    headless: found.flatMap(({ sequenceId, partition }) => (partition === null ? [sequenceId] : [])),
    next: rows.find(({ last }) => last)?.sequenceId ?? null,
  }
}

/**
 * Deletes variables without a head. A send that is asked for again at this moment makes the head anew and writes the row again: then its
 * `xmin` differs from the one that was seen, and it stays.
 */
export async function deleteHeadless(db: Queryable, sequenceIds: readonly string[]): Promise<void> {
  if (sequenceIds.length === 0) return
  await db.query(
    `WITH seen AS MATERIALIZED (
       SELECT sequence_id, xmin FROM kept_variables k WHERE sequence_id = ANY($1::uuid[])
         AND NOT EXISTS (SELECT FROM sequences s WHERE s.sequence_id = k.sequence_id)
     ), held AS MATERIALIZED (
       SELECT k.sequence_id FROM seen JOIN kept_variables k ON k.sequence_id = seen.sequence_id AND k.xmin = seen.xmin FOR UPDATE OF k SKIP LOCKED
     )
     DELETE FROM sequence_variables v USING held WHERE v.sequence_id = held.sequence_id`,
    [uuids(sequenceIds)],
  )
}
