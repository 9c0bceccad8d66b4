// The calls on templates: reads by TypeORM, writes answered once Kafka has acknowledged what was told.
import {
  answerWith,
  idempotent,
  keyset,
  notFound,
  pageOf,
  pointerStep,
  refused,
  unavailable,
  type Caller,
  type Page,
} from '@stepcast/service'
import type { OutboxRelay } from '@stepcast/postgres'
import type { TemplateDefinition, Variables } from '@stepcast/template'
import type { Pool, PoolClient } from 'pg'
import { IsNull, LessThan, Not, type DataSource } from 'typeorm'
import { approve, create, noSuchTemplate, replaceDraft, setArchived, type ReadTemplate } from './changes'
import { installationProblems, type RuleProblem } from './contentRules'
import { etagOf } from './etag'
import { previewOf, type Preview } from './preview'
import { ruleProblems } from './rules'
import { ApprovedVersion, Template } from './template.entity'
import { listedViewOf, versionViewOf, viewOf, type ListedTemplate, type TemplateView, type VersionView } from './view'
import { warningsOf, type Warning } from './warnings'

/** A list's answer. */
export interface Listed<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

/** How one write is made repeatable: the route's stable name, the caller's key and what was asked. */
export interface Write {
  readonly caller: Caller
  readonly route: string
  readonly key: string | null
  readonly fingerprint: string
}

// contracts.md: approve and archive answer within 5 s, or say 503.
const kafkaTimeoutMs = 5_000

/** The keyset of the list: when a template was made, its id. */
export const templateOrder = keyset('templates', 'instant', 'text')
/** The keyset of a template's versions. */
export const versionOrder = keyset('versions', 'int4')

export class Templates {
  constructor(
    private readonly database: DataSource,
    private readonly pool: Pool,
    private readonly relay: OutboxRelay,
    /** Where people reach the gateway: in tracked links. */
    private readonly publicUrl: string,
  ) {}

  async list(
    workspaceId: string,
    page: Page<typeof templateOrder.shape>,
    status: TemplateView['status'] | undefined,
  ): Promise<Listed<ListedTemplate>> {
    const query = this.database
      .getRepository(Template)
      .createQueryBuilder('t')
      .where({ workspaceId, ...whereStatus(status) })
      .orderBy('t.createdAt', 'DESC')
      .addOrderBy('t.templateId', 'DESC')
      .limit(page.limit + 1)
    if (page.after) {
      const [at, id] = page.after
      query.andWhere('(t.createdAt, t.templateId) < (:at::timestamptz, :id)', { at: new Date(at).toISOString(), id })
    }
    const rows = await query.getMany()
    return pageOf(rows, page, templateOrder, ({ createdAt, templateId }) => [createdAt.getTime(), templateId], listedViewOf)
  }

  /** Without a version: the draft where there is one, else the latest version; with the tag of what stands. */
  async read(workspaceId: string, templateId: string, version: number | undefined): Promise<TemplateView> {
    const template = await this.database.getRepository(Template).findOneBy({ workspaceId, templateId })
    if (template === null) throw noSuchTemplate(templateId)
    if (version === undefined) return tagged(template)
    const frozen = await this.database.getRepository(ApprovedVersion).findOneBy({ workspaceId, templateId, version })
    if (frozen === null)
      throw notFound(`Template "${templateId}" has no version ${version}; its latest is ${template.version ?? 'not approved yet'}.`)
    return viewOf(template, frozen)
  }

  async versions(workspaceId: string, templateId: string, page: Page<typeof versionOrder.shape>): Promise<Listed<VersionView>> {
    await this.read(workspaceId, templateId, undefined)
    const rows = await this.database.getRepository(ApprovedVersion).find({
      where: { workspaceId, templateId, ...(page.after ? { version: LessThan(page.after[0]) } : {}) },
      order: { version: 'DESC' },
      take: page.limit + 1,
    })
    return pageOf(rows, page, versionOrder, ({ version }) => [version], versionViewOf)
  }

  async preview(workspaceId: string, templateId: string, version: number | undefined, variables: Variables): Promise<Preview> {
    return previewOf(await this.read(workspaceId, templateId, version), variables, { workspaceId, publicUrl: this.publicUrl })
  }

  async create(write: Write, givenId: string | undefined, definition: TemplateDefinition): Promise<TemplateView> {
    refuse(installationProblems(definition, this.publicUrl))
    const view = await this.once(write, async (tx) => tagged(await create(tx, write.caller.workspaceId, givenId, definition)))
    answerWith('location', `/v1/templates/${view.templateId}`)
    return view
  }

  async replaceDraft(write: Write, name: AskedTemplate, definition: TemplateDefinition): Promise<TemplateView> {
    refuse(installationProblems(definition, this.publicUrl))
    const { workspaceId } = write.caller
    return this.once(write, async (tx) => tagged(await replaceDraft(tx, { workspaceId, ...name }, definition)))
  }

  /** A draft may be older than the rules, so they are asked again. `warnings` where there are any. */
  async approve(write: Write, name: AskedTemplate): Promise<{ templateId: string; version: number; warnings?: readonly Warning[] }> {
    const { workspaceId } = write.caller
    const draft = await this.database.getRepository(Template).findOneBy({ workspaceId, templateId: name.templateId })
    if (draft?.hasDraft) refuse([...ruleProblems(draft.definition), ...installationProblems(draft.definition, this.publicUrl)])
    const warnings = draft === null ? [] : warningsOf(draft.definition)
    const { answer: version, told } = await this.once(write, (tx) => approve(tx, { workspaceId, ...name }))
    await this.acknowledged(told, `Version ${version} of template "${name.templateId}" is approved`)
    return { templateId: name.templateId, version, ...(warnings.length === 0 ? {} : { warnings }) }
  }

  async setArchived(write: Write, name: AskedTemplate, archived: boolean): Promise<TemplateView> {
    const { workspaceId } = write.caller
    const { answer, told } = await this.once(write, async (tx) => {
      const changed = await setArchived(tx, { workspaceId, ...name }, archived)
      return { answer: tagged(changed.answer), told: changed.told }
    })
    await this.acknowledged(told, `Template "${name.templateId}" is ${archived ? 'archived' : 'unarchived'}`)
    return answer
  }

  private once<T>({ caller, route, key, fingerprint }: Write, run: (tx: PoolClient) => Promise<T>): Promise<T> {
    return idempotent(this.pool, caller, route, key, fingerprint, run)
  }

  private async acknowledged(told: readonly number[], done: string): Promise<void> {
    if (told.length > 0 && !(await this.relay.published(told, { timeoutMs: kafkaTimeoutMs }))) {
      throw unavailable(`${done} and kept, but Kafka has not confirmed it within 5 s: it will be published as soon as Kafka is back.`)
    }
  }
}

/** Which template of the caller's, and as which state of it he has read it. */
export type AskedTemplate = Omit<ReadTemplate, 'workspaceId'>

/** The template as answered, its tag beside it; an answer that is repeated for an Idempotency-Key has none, since it is of another time. */
function tagged(template: Template): TemplateView {
  answerWith('etag', etagOf(template))
  return viewOf(template)
}

function refuse(problems: readonly RuleProblem[]): void {
  if (problems.length > 0) throw refused(problems.map(({ path, message }) => ({ path: path.map(pointerStep).join(''), message })))
}

function whereStatus(status: TemplateView['status'] | undefined): object {
  switch (status) {
    case undefined:
      return {}
    case 'archived':
      return { archivedAt: Not(IsNull()) }
    case 'draft':
      return { archivedAt: IsNull(), version: IsNull() }
    case 'approved':
      return { archivedAt: IsNull(), version: Not(IsNull()) }
  }
}
