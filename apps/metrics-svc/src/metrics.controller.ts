// The metrics API of people and their backends.
import { Controller, Get, Inject, Param, Query } from '@nestjs/common'
import { z } from 'zod'
import { instantProblem } from '@stepcast/contracts'
import { Caller, Describe, queryInt4, refused, RequireScope } from '@stepcast/service'
import { Metrics } from './metrics'
import { numbers, overview, type Numbers, type Overview } from './shapes'
import type { Range } from './spans'

const time = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time such as 2026-01-31T09:00:00Z' })
  .pipe(z.string().refine((text) => instantProblem(Date.parse(text)) === null, 'must be a time from 1970 to 2199'))
  .optional()
const rangeQuery = z.object({ from: time, to: time })
const templateQuery = rangeQuery.extend({ version: queryInt4(1).optional() })
type TemplateQuery = z.infer<typeof templateQuery>

@Controller('v1/metrics')
@RequireScope('read')
export class MetricsController {
  constructor(@Inject(Metrics) private readonly metrics: Metrics) {}

  /**
   * Numbers of a template: sequences by outcome, steps by how they ended, messages by what was reported. `from` (inclusive) and `to`
   * (exclusive) select sequences by their start, to the millisecond for the last 90 days, to the hour before. Without
   * `version` all versions, merged by position, labelled as the latest. 404: no such approved template or version.
   */
  @Get('templates/:templateId')
  @Describe({
    summary: "Read a template's numbers",
    description:
      '`from` (inclusive) and `to` (exclusive) select sequences by their start: to the millisecond for the last 90 days, ' +
      'to the hour before. 404: no such approved template or version; a template that was never sent has zeros.',
    answer: numbers,
  })
  template(
    @Caller() caller: Caller,
    @Param('templateId') templateId: string,
    @Query({ schema: templateQuery }) query: TemplateQuery,
  ): Promise<Numbers> {
    return this.metrics.ofTemplate(caller.workspaceId, templateId, query.version ?? null, rangeOf(query))
  }

  /** Numbers of one send, kept 97 days. 404 while none of its sequences has started. */
  @Get('sends/:sendId')
  @Describe({
    summary: "Read a send's numbers",
    description: 'Kept 97 days. 404 while none of its sequences has started.',
    answer: numbers.extend({ sendId: z.string() }),
  })
  send(@Caller() caller: Caller, @Param('sendId') sendId: string): Promise<Numbers> {
    return this.metrics.ofSend(caller.workspaceId, sendId)
  }

  /** Numbers of one campaign, kept 97 days. 404 while none of its sequences has started. */
  @Get('campaigns/:campaignId')
  @Describe({
    summary: "Read a campaign's numbers",
    description: 'Kept 97 days. 404 while none of its sequences has started.',
    answer: numbers.extend({ campaignId: z.string() }),
  })
  campaign(@Caller() caller: Caller, @Param('campaignId') campaignId: string): Promise<Numbers> {
    return this.metrics.ofCampaign(caller.workspaceId, campaignId)
  }

  /** Outcomes of the whole workspace and of its templates (the 100 with the most recipients); `from` and `to` as for a template. */
  @Get('overview')
  @Describe({ summary: "Read the workspace's numbers", description: '`from` and `to` as for a template.', answer: overview })
  overview(@Caller() caller: Caller, @Query({ schema: rangeQuery }) query: z.infer<typeof rangeQuery>): Promise<Overview> {
    return this.metrics.overview(caller.workspaceId, rangeOf(query))
  }
}

function rangeOf(query: z.infer<typeof rangeQuery>): Range {
  const from = query.from === undefined ? null : Date.parse(query.from)
  const to = query.to === undefined ? null : Date.parse(query.to)
  if (from !== null && to !== null && from >= to) throw refused([{ path: '/to', message: `must be later than from, not ${query.to}` }])
  return { from, to }
}
