// Approved template versions and their archive state, as every service that sends or renders knows them.
import type { PoolClient } from 'pg'
import { idsProblem, int4Problem, jsonProblem, textsProblem, topics, type Refusal, type TemplateChanged } from '@stepcast/contracts'
import type { IncomingRecord } from '@stepcast/kafka'
import type { TemplateVersion } from '@stepcast/template'
import { Follower, type Followed, type ReplicaOptions } from './follow'

/** The tables of the replica; put them into a migration of the service. */
export const templatesReplicaSql = `
CREATE TABLE template_versions (
  workspace_id text NOT NULL,
  template_id text NOT NULL,
  version int NOT NULL,
  name text NOT NULL,
  category text NOT NULL,
  variable_schema jsonb NOT NULL,
  channels jsonb NOT NULL,
  config jsonb NOT NULL,
  PRIMARY KEY (workspace_id, template_id, version)
);
CREATE TABLE archived_templates (
  workspace_id text NOT NULL,
  template_id text NOT NULL,
  PRIMARY KEY (workspace_id, template_id)
)`

/** Which version: a number, or the latest approved. */
export interface TemplateQuestion {
  readonly workspaceId: string
  readonly templateId: string
  readonly version: number | null
}

// A version is about 5 kB; 5,000 of them 25 MB. They never change, so any may be forgotten.
const maxCached = 5_000

/** Approved templates, read from the service's own tables. */
export class TemplatesReplica {
  private readonly follower: Follower<'TemplateChanged'>
  private readonly cache = new Map<string, TemplateVersion>()

  constructor(private readonly options: ReplicaOptions) {
    this.follower = new Follower({ ...options, topic: topics.templates, problem: templateProblem, apply: applyTemplates })
  }

  start(): Promise<void> {
    return this.follower.start()
  }

  stop(): Promise<void> {
    return this.follower.stop()
  }

  /** See {@link Follower.followed}. */
  get followed(): Followed {
    return this.follower.followed
  }

  /** See {@link Follower.caughtUp}. */
  async caughtUp(): Promise<void> {
    await this.follower.caughtUp()
  }

  /** One approved version, from memory where it has been read before: versions never change. `archived` is not part of the answer. Null: not (yet) here. */
  async version(workspaceId: string, templateId: string, version: number): Promise<Omit<TemplateVersion, 'archived'> | null> {
    const key = `${workspaceId}/${templateId}/${version}`
    return this.cache.get(key) ?? (await this.find({ workspaceId, templateId, version }))
  }

  /** The template as of now in the service's tables; null: not (yet) here. */
  async find({ workspaceId, templateId, version }: TemplateQuestion): Promise<TemplateVersion | null> {
    const { rows } = await this.options.pool.query<TemplateVersion>(
      `SELECT v.workspace_id AS "workspaceId", v.template_id AS "templateId", v.version, v.name, v.category,
              v.variable_schema AS "variableSchema", v.channels, v.config, a.template_id IS NOT NULL AS archived
       FROM template_versions v LEFT JOIN archived_templates a USING (workspace_id, template_id)
       WHERE v.workspace_id = $1 AND v.template_id = $2 AND ($3::int IS NULL OR v.version = $3)
       ORDER BY v.version DESC LIMIT 1`,
      [workspaceId, templateId, version],
    )
    const found = rows[0] ?? null
    if (found) this.remember(found)
    return found
  }

  /**
   * Answers a question for certain: a missing row and "the latest version" are judged only when the replica has read to
   * the end of the topic as it was after the question. Null: there is no such approved version.
   */
  async ask(question: TemplateQuestion): Promise<TemplateVersion | null> {
    if (question.version !== null) {
      const found = await this.find(question)
      if (found) return found
    }
    await this.caughtUp()
    return this.find(question)
  }

  private remember(template: TemplateVersion): void {
    if (this.cache.size >= maxCached) this.cache.delete(this.cache.keys().next().value!)
    this.cache.set(`${template.workspaceId}/${template.templateId}/${template.version}`, template)
  }
}

function templateProblem(value: TemplateChanged): Refusal | null {
  const { change } = value
  const ids = idsProblem({ workspaceId: value.workspaceId, templateId: value.templateId })
  if (ids !== null) return { reason: 'invalid_template', detail: ids }
  const detail =
    textsProblem(value) ??
    (change.type === 'TemplateApproved'
      ? (int4Problem(change.version, 1) ?? jsonProblem(change.variableSchema) ?? jsonProblem(change.channels) ?? jsonProblem(change.config))
      : null)
  return detail === null ? null : { reason: 'invalid_template', detail: `a field ${detail}` }
}

async function applyTemplates(tx: PoolClient, records: readonly IncomingRecord<'TemplateChanged'>[]): Promise<void> {
  // In order: an archive and an unarchive of one template share a key, so only the last of them is here.
  for (const { value } of records) if (value) await applyTemplate(tx, value)
}

async function applyTemplate(tx: PoolClient, { workspaceId, templateId, change }: TemplateChanged): Promise<void> {
  switch (change.type) {
    case 'TemplateApproved':
      await tx.query(
        `INSERT INTO template_versions (workspace_id, template_id, version, name, category, variable_schema, channels, config)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
        [workspaceId, templateId, change.version, change.name, change.category, change.variableSchema, change.channels, change.config],
      )
      return
    case 'TemplateArchived':
      await tx.query('INSERT INTO archived_templates (workspace_id, template_id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        workspaceId,
        templateId,
      ])
      return
    case 'TemplateUnarchived':
      await tx.query('DELETE FROM archived_templates WHERE workspace_id = $1 AND template_id = $2', [workspaceId, templateId])
      return
  }
}
