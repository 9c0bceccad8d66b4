// Heads and histories of sequences.
import type { PoolClient } from 'pg'
import type { SequenceOutcome } from '@stepcast/contracts'
import { ints, texts, uuids, type Queryable } from './arrays'

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
  const { rows } = await tx.query<{ id: string }>({
    name: 'insert-heads',
    text: `WITH head AS (
             SELECT * FROM unnest($3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
               AS head (id, version, workspace, send, usr, template, campaign)
           ), inserted AS (
             INSERT INTO sequences (sequence_id, started_on, partition, template_version, workspace_id, send_id, user_id, template_id, campaign_id)
             SELECT id, $2::date, $1, version, workspace, send, usr, template, campaign FROM head
             ON CONFLICT (sequence_id) DO NOTHING RETURNING sequence_id
           )
           SELECT id FROM head WHERE id NOT IN (SELECT sequence_id FROM inserted)`,
    values: [
      partition, heads[0]!.startedOn, uuids(heads.map((head) => head.sequenceId)), ints(heads.map((head) => head.templateVersion)),
      texts(heads.map((head) => head.workspaceId)), texts(heads.map((head) => head.sendId)), texts(heads.map((head) => head.userId)),
      texts(heads.map((head) => head.templateId)), texts(heads.map((head) => head.campaignId)),
    ],
  })
  return rows.map(({ id }) => id)
}

/** A stored change. */
export interface StoredChange {
  readonly version: number
  readonly position: number
  readonly data: Buffer
}

/** A head with its whole history and its variables. */
export interface LoadedSequence {
  readonly head: Head
  readonly variables: Readonly<Record<string, string>> | null
  readonly changes: readonly StoredChange[]
}

interface Row extends Head, StoredChange {
  readonly variables: Readonly<Record<string, string>> | null
}

const headColumns = `s.sequence_id AS "sequenceId", to_char(s.started_on, 'YYYY-MM-DD') AS "startedOn", s.workspace_id AS "workspaceId", s.send_id AS "sendId",
  s.user_id AS "userId", s.template_id AS "templateId", s.template_version AS "templateVersion", s.campaign_id AS "campaignId"`

/** Loads heads, histories (in order) and variables in one query; unknown ids are missing. */
export async function loadSequences(tx: Queryable, sequenceIds: readonly string[]): Promise<LoadedSequence[]> {
  if (sequenceIds.length === 0) return []
  const { rows } = await tx.query<Row>({
    name: 'load-sequences',
    text: `SELECT ${headColumns}, v.variables, c.version, c.position, c.data
           FROM unnest($1::uuid[]) AS asked (sequence_id)
           JOIN sequences s USING (sequence_id)
           JOIN changes c ON c.started_on = s.started_on AND c.sequence_id = s.sequence_id
           LEFT JOIN sequence_variables v ON v.sequence_id = s.sequence_id
           ORDER BY s.sequence_id, c.version`,
    values: [uuids(sequenceIds)],
  })
  const loaded = new Map<string, { head: Head; variables: Row['variables']; changes: StoredChange[] }>()
  for (const { version, position, data, variables, ...head } of rows) {
    let sequence = loaded.get(head.sequenceId)
    if (!sequence) loaded.set(head.sequenceId, (sequence = { head, variables, changes: [] }))
    sequence.changes.push({ version, position, data })
  }
  return [...loaded.values()]
}

/** Records how sequences ended. */
export async function endHeads(tx: PoolClient, ended: readonly { readonly sequenceId: string; readonly outcome: SequenceOutcome }[]): Promise<void> {
  if (ended.length === 0) return
  await tx.query({
    name: 'end-heads',
    text: `UPDATE sequences s SET outcome = e.outcome FROM unnest($1::uuid[], $2::smallint[]) AS e (id, outcome) WHERE s.sequence_id = e.id`,
    values: [uuids(ended.map(({ sequenceId }) => sequenceId)), ints(ended.map(({ outcome }) => outcomes.indexOf(outcome)))],
  })
}

/** Stores the variables that later steps will be rendered with. */
export async function insertVariables(tx: PoolClient, rows: readonly { readonly sequenceId: string; readonly variables: Readonly<Record<string, string>> }[]): Promise<void> {
  if (rows.length === 0) return
  await tx.query({
    name: 'insert-variables',
    text: 'INSERT INTO sequence_variables (sequence_id, variables) SELECT * FROM unnest($1::uuid[], $2::jsonb[])',
    values: [uuids(rows.map(({ sequenceId }) => sequenceId)), rows.map(({ variables }) => JSON.stringify(variables))],
  })
}

/** Deletes the variables of sequences whose end is published. */
export async function deleteVariables(tx: PoolClient, sequenceIds: readonly string[]): Promise<void> {
  if (sequenceIds.length === 0) return
  await tx.query({ name: 'delete-variables', text: 'DELETE FROM sequence_variables WHERE sequence_id = ANY($1::uuid[])', values: [uuids(sequenceIds)] })
}
