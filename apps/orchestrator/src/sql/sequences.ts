// Heads and histories of sequences.
import type { PoolClient } from 'pg'
import type { SequenceOutcome } from '@stepcast/contracts'
import { ints, texts, uuids, type Queryable } from '@stepcast/postgres'

/** Who and what a sequence is; never changes. */
export interface Head {
  readonly sequenceId: string
  /** UTC day of its start, YYYY-MM-DD: where its changes are kept. */
  readonly startedOn: string
  readonly workspaceId: string
  readonly sendId: string
  readonly userId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly campaignId: string | null
}

/** The stored number of an outcome is its place here; append only. */
export const outcomes: readonly SequenceOutcome[] = ['stopped', 'exhausted', 'unreachable', 'cancelled']

/** Inserts heads; answers the ids of those that were there already: a send repeated starts nothing. */
export async function insertHeads(tx: PoolClient, partition: number, heads: readonly Head[]): Promise<readonly string[]> {
  if (heads.length === 0) return []
  const ids = uuids(heads.map((head) => head.sequenceId))
  const { rowCount } = await tx.query({
    name: 'insert-heads',
    text: `INSERT INTO sequences (sequence_id, started_on, partition, template_version, workspace_id, send_id, user_id, template_id, campaign_id)
           SELECT id, $2::date, $1, version, workspace, send, usr, template, campaign
           FROM unnest($3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
             AS head (id, version, workspace, send, usr, template, campaign)
           ON CONFLICT (sequence_id) DO NOTHING`,
    values: [
      partition,
      heads[0]!.startedOn,
      ids,
      ints(heads.map((head) => head.templateVersion)),
      texts(heads.map((head) => head.workspaceId)),
      texts(heads.map((head) => head.sendId)),
      texts(heads.map((head) => head.userId)),
      texts(heads.map((head) => head.templateId)),
      texts(heads.map((head) => head.campaignId)),
    ],
  })
  if (rowCount === heads.length) return []
  // Rare, so asked apart: those that this transaction did not write.
  const { rows } = await tx.query<{ sequence_id: string }>({
    name: 'known-heads',
    text: 'SELECT sequence_id FROM sequences WHERE sequence_id = ANY($1::uuid[]) AND xmin <> pg_current_xact_id()::xid',
    values: [ids],
  })
  return rows.map((row) => row.sequence_id)
}

/** A stored change. */
export interface StoredChange {
  readonly version: number
  readonly position: number
  readonly data: Buffer
}

/** A head with its whole history. */
export interface LoadedSequence {
  readonly head: Head
  readonly changes: readonly StoredChange[]
}

const headColumns = `sequence_id AS "sequenceId", started_on::text AS "startedOn", workspace_id AS "workspaceId", send_id AS "sendId",
  user_id AS "userId", template_id AS "templateId", template_version AS "templateVersion", campaign_id AS "campaignId"`

/**
 * Loads heads and histories (in order); unknown ids are missing. Lookups by sorted ids, histories by day: each walks its
 * index once, where a join went down it for every sequence and asked every day's partition whether it is the one (3× the time).
 */
export async function loadSequences(tx: Queryable, sequenceIds: readonly string[]): Promise<LoadedSequence[]> {
  if (sequenceIds.length === 0) return []
  const { rows: heads } = await tx.query<Head>({
    name: 'load-heads',
    text: `SELECT ${headColumns} FROM sequences WHERE sequence_id = ANY($1::uuid[])`,
    values: [uuids(sequenceIds)],
  })
  const loaded = new Map<string, { head: Head; changes: StoredChange[] }>()
  const byDay = new Map<string, string[]>()
  for (const head of heads) {
    loaded.set(head.sequenceId, { head, changes: [] })
    const ids = byDay.get(head.startedOn)
    if (ids) ids.push(head.sequenceId)
    else byDay.set(head.startedOn, [head.sequenceId])
  }
  for (const [day, ids] of byDay) {
    const { rows } = await tx.query<StoredChange & { sequenceId: string }>({
      name: 'load-changes',
      text: `SELECT sequence_id AS "sequenceId", version, position, data FROM changes
             WHERE started_on = $1 AND sequence_id = ANY($2::uuid[]) ORDER BY sequence_id, version`,
      values: [day, uuids(ids)],
    })
    for (const row of rows) loaded.get(row.sequenceId)!.changes.push(row)
  }
  // A head outlives its history: what retention has dropped is unknown.
  return [...loaded.values()].filter(({ changes }) => changes.length > 0)
}
