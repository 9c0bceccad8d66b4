// Answers for templates, sends, campaigns and whole workspaces: counts, labels and how fresh they are.
import type { Pool } from 'pg'
import type { TemplatesReplica } from '@stepcast/replica'
import { notFound } from '@stepcast/service'
import { stepsOf, type TemplateVersion } from '@stepcast/template'
import type { AsOf } from './asOf'
import { readOverview, readSent, readTemplate, type Sent } from './read'
import { stepsReport, sumOf, totalsOf } from './report'
import type { Numbers, Overview, SendSummary } from './shapes'
import type { Range } from './spans'

const templatesAtMost = 100

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

/** The service's answers. */
export class Metrics {
  constructor(
    private readonly pool: Pool,
    private readonly templates: TemplatesReplica,
    private readonly asOf: AsOf,
    private readonly minuteMs: number,
  ) {}

  /** A template's numbers; zeros where nothing was sent. Throws a 404 problem for a template or version that was never approved. */
  async ofTemplate(workspaceId: string, templateId: string, version: number | null, range: Range): Promise<Numbers> {
    const asOf = await this.asOf.now()
    const labels = await this.labels(workspaceId, templateId, version)
    if (!labels) {
      throw notFound(version === null ? `No template ${templateId} is approved.` : `Template ${templateId} has no version ${version}.`)
    }
    const counts = await readTemplate(this.pool, { workspaceId, templateId, version, ...range }, Date.now())
    return {
      templateId,
      version,
      from: iso(range.from),
      to: iso(range.to),
      asOf: asOf.toISOString(),
      ...totalsOf(counts),
      steps: stepsReport(counts, stepsOf(labels.config, labels.channels, this.minuteMs), this.minuteMs),
      cost: null,
    }
  }

  /** A send's numbers. Throws a 404 problem while none of its sequences has started. */
  async ofSend(workspaceId: string, sendId: string): Promise<Numbers & { readonly sendId: string }> {
    return { sendId, ...(await this.ofSent(workspaceId, 'send', sendId)) }
  }

  /** A campaign's numbers. Throws a 404 problem while none of its sequences has started. */
  async ofCampaign(workspaceId: string, campaignId: string): Promise<Numbers & { readonly campaignId: string }> {
    return { campaignId, ...(await this.ofSent(workspaceId, 'campaign', campaignId)) }
  }

  /** What a send's sequences tell of it. Throws a 404 problem while none has started. */
  async sendSummary(workspaceId: string, sendId: string): Promise<SendSummary> {
    const { templateId, templateVersion, source, requestedAt, counts } = await this.sent(workspaceId, 'send', sendId)
    return { sendId, templateId, templateVersion, source, requestedAt: requestedAt.toISOString(), ...totalsOf(counts) }
  }

  /** A workspace's numbers. */
  async overview(workspaceId: string, range: Range): Promise<Overview> {
    const asOf = await this.asOf.now()
    const counts = await readOverview(this.pool, workspaceId, range, Date.now())
    const templates = [...counts]
      .map(([templateId, counted]) => ({ templateId, ...totalsOf(counted) }))
      .sort((a, b) => b.recipients - a.recipients || (a.templateId < b.templateId ? -1 : 1))
    return {
      from: iso(range.from),
      to: iso(range.to),
      asOf: asOf.toISOString(),
      ...sumOf(templates),
      templates: templates.slice(0, templatesAtMost),
      cost: null,
    }
  }

  private async ofSent(workspaceId: string, kind: 'send' | 'campaign', id: string): Promise<Numbers> {
    const asOf = await this.asOf.now()
    const { templateId, templateVersion: version, counts } = await this.sent(workspaceId, kind, id)
    const labels = await this.labels(workspaceId, templateId, version)
    const steps = labels ? stepsOf(labels.config, labels.channels, this.minuteMs) : []
    return {
      templateId,
      version,
      from: null,
      to: null,
      asOf: asOf.toISOString(),
      ...totalsOf(counts),
      steps: stepsReport(counts, steps, this.minuteMs),
      cost: null,
    }
  }

  private async sent(workspaceId: string, kind: 'send' | 'campaign', id: string): Promise<Sent> {
    const sent = await readSent(this.pool, kind, workspaceId, id)
    if (!sent) throw notFound(`No sequence of ${kind} ${id} has started, or none in the last 97 days.`)
    return sent
  }

  // A label may lag for a moment after an approval; only a missing row is a question that waits for the replica.
  private async labels(workspaceId: string, templateId: string, version: number | null): Promise<TemplateVersion | null> {
    const question = { workspaceId, templateId, version }
    return (await this.templates.find(question)) ?? this.templates.ask(question)
  }
}
