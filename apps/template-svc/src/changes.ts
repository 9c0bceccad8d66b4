// The writes of templates, in SQL: each runs in a transaction that also holds what Kafka will be told.
import { randomBytes } from 'node:crypto'
import { templateKey, templateVersionKey, topics, type TemplateChanged } from '@stepcast/contracts'
import { enqueue, type OutboxRecord } from '@stepcast/postgres'
import { conflict, currentTraceparent, notFound, taken } from '@stepcast/service'
import { templateApproved, type TemplateDefinition } from '@stepcast/template'
import type { PoolClient } from 'pg'
import { templateIdFrom } from './draft'
import { expectTag } from './etag'
import type { Template } from './template.entity'

/** A row of templates as {@link Template} has it. */
const row = `workspace_id AS "workspaceId", template_id AS "templateId", definition, has_draft AS "hasDraft", version,
  archived_at AS "archivedAt", created_at AS "createdAt", updated_at AS "updatedAt"`

/** A change and the rows of the outbox that tell Kafka of it. */
export interface Told<T> {
  readonly answer: T
  readonly told: readonly number[]
}

/** Which template. */
export interface TemplateName {
  readonly workspaceId: string
  readonly templateId: string
}

/** Which template, and as which state of it the writer has read it: `If-Match`, null where he does not say. */
export interface ReadTemplate extends TemplateName {
  readonly ifMatch: string | null
}

/**
 * Creates a draft; its id is made from the name unless given.
 * @throws Problem 409 when a given id is taken.
 */
export async function create(
  tx: PoolClient,
  workspaceId: string,
  givenId: string | undefined,
  definition: TemplateDefinition,
): Promise<Template> {
  const made = templateIdFrom(definition.name)
  // A made id that is taken gets six random digits: one of 16 million, so a second clash is no case to handle.
  const candidates = givenId === undefined ? [made, `${made}-${randomBytes(3).toString('hex')}`] : [givenId]
  for (const templateId of candidates) {
    // Whole milliseconds: what a cursor carries must compare equal to what is stored.
    const { rows } = await tx.query<Template>(
      `INSERT INTO templates (workspace_id, template_id, definition, has_draft, created_at, updated_at)
       VALUES ($1, $2, $3, true, date_trunc('milliseconds', now()), now()) ON CONFLICT DO NOTHING RETURNING ${row}`,
      [workspaceId, templateId, JSON.stringify(definition)],
    )
    if (rows[0] !== undefined) return rows[0]
  }
  throw taken(`A template "${candidates[0]}" exists already: choose another templateId, or replace its draft by PUT.`)
}

/**
 * Replaces the draft, or begins a new one over the latest version.
 * @throws Problem 404, 412 when it is not the one that was read, or 409 when the template is archived.
 */
export async function replaceDraft(tx: PoolClient, name: ReadTemplate, definition: TemplateDefinition): Promise<Template> {
  const { archivedAt } = await lockAsRead(tx, name)
  if (archivedAt !== null) throw conflict(`Template "${name.templateId}" is archived: unarchive it before editing.`)
  const { rows } = await tx.query<Template>(
    `UPDATE templates SET definition = $3, has_draft = true, updated_at = now()
     WHERE workspace_id = $1 AND template_id = $2 RETURNING ${row}`,
    [name.workspaceId, name.templateId, JSON.stringify(definition)],
  )
  return rows[0]!
}

/**
 * Freezes the draft as the next version; answers its number.
 * @throws Problem 404, 412 when it is not the one that was read, or 409 when there is no draft or the template is archived.
 */
export async function approve(tx: PoolClient, name: ReadTemplate): Promise<Told<number>> {
  const { definition, hasDraft, version: latest, archivedAt } = await lockAsRead(tx, name)
  if (archivedAt !== null) throw conflict(`Template "${name.templateId}" is archived: unarchive it before approving.`)
  if (!hasDraft) throw conflict(`Template "${name.templateId}" has no draft to approve: version ${latest} is its latest.`)
  const version = (latest ?? 0) + 1
  const { rows } = await tx.query<{ approved_at: Date }>(
    `INSERT INTO template_versions (workspace_id, template_id, version, definition, approved_at)
     VALUES ($1, $2, $3, $4, now()) RETURNING approved_at`,
    [name.workspaceId, name.templateId, version, JSON.stringify(definition)],
  )
  await tx.query('UPDATE templates SET has_draft = false, version = $3, updated_at = now() WHERE workspace_id = $1 AND template_id = $2', [
    name.workspaceId,
    name.templateId,
    version,
  ])
  const change = templateApproved(version, definition)
  const key = templateVersionKey(name.workspaceId, name.templateId, version)
  return { answer: version, told: await tell(tx, key, name, rows[0]!.approved_at, change) }
}

/**
 * Archives or unarchives; one that is so already stays as it is.
 * @throws Problem 404, 412 when it is not the one that was read.
 */
export async function setArchived(tx: PoolClient, name: ReadTemplate, archived: boolean): Promise<Told<Template>> {
  const before = await lockAsRead(tx, name)
  if ((before.archivedAt !== null) === archived) return { answer: before, told: [] }
  const { rows } = await tx.query<Template>(
    `UPDATE templates SET archived_at = CASE WHEN $3 THEN now() END, updated_at = now()
     WHERE workspace_id = $1 AND template_id = $2 RETURNING ${row}`,
    [name.workspaceId, name.templateId, archived],
  )
  const at = rows[0]!.updatedAt
  const change: TemplateChanged['change'] = archived
    ? { type: 'TemplateArchived', archivedAt: at.getTime() }
    : { type: 'TemplateUnarchived' }
  return { answer: rows[0]!, told: await tell(tx, templateKey(name.workspaceId, name.templateId), name, at, change) }
}

function tell(tx: PoolClient, key: string, name: TemplateName, at: Date, change: TemplateChanged['change']): Promise<readonly number[]> {
  const value: TemplateChanged = { ...name, changedAt: at.getTime(), change }
  const record: OutboxRecord<'TemplateChanged'> = { topic: topics.templates, key, value, traceparent: currentTraceparent() ?? null }
  return enqueue(tx, [record])
}

/** One writer of a template at a time: versions have no gaps, and Kafka hears of its changes in their order. */
async function lock(tx: PoolClient, { workspaceId, templateId }: TemplateName): Promise<Template> {
  const { rows } = await tx.query<Template>(`SELECT ${row} FROM templates WHERE workspace_id = $1 AND template_id = $2 FOR UPDATE`, [
    workspaceId,
    templateId,
  ])
  if (rows[0] === undefined) throw noSuchTemplate(templateId)
  return rows[0]
}

/** Somebody else may have changed it since. @throws Problem 412 */
async function lockAsRead(tx: PoolClient, name: ReadTemplate): Promise<Template> {
  const template = await lock(tx, name)
  expectTag(template, name.ifMatch)
  return template
}

/** 404, naming the template. */
export const noSuchTemplate = (templateId: string) => notFound(`There is no template "${templateId}" in this workspace.`)
