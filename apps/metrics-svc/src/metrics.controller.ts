// The metrics API of people and their backends.
import { Controller, Get, Inject, Param, Query } from '@nestjs/common'
import { z } from 'zod'
import { Caller, refused, RequireScope } from '@stepcast/service'
import { Metrics, type Numbers, type Overview } from './metrics'
import type { Range } from './spans'

const time = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time such as 2026-01-31T09:00:00Z' }).optional()
const rangeQuery = z.object({ from: time, to: time })
const templateQuery = rangeQuery.extend({ version: z.coerce.number().int().min(1).optional() })

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
  template(@Caller() caller: Caller, @Param('templateId') templateId: string, @Query({ schema: templateQuery }) query: z.infer<typeof templateQuery>): Promise<Numbers> {
    return this.metrics.ofTemplate(caller.workspaceId, templateId, query.version ?? null, rangeOf(query))
  }

  /** Numbers of one send, kept 97 days. 404 while none of its sequences has started. */
  @Get('sends/:sendId')
  send(@Caller() caller: Caller, @Param('sendId') sendId: string): Promise<Numbers> {
    return this.metrics.ofSend(caller.workspaceId, sendId)
  }

  /** Numbers of one campaign, kept 97 days. 404 while none of its sequences has started. */
  @Get('campaigns/:campaignId')
  campaign(@Caller() caller: Caller, @Param('campaignId') campaignId: string): Promise<Numbers> {
    return this.metrics.ofCampaign(caller.workspaceId, campaignId)
  }

  /** Outcomes of the whole workspace and of its templates (the 100 with the most recipients); `from` and `to` as for a template. */
  @Get('overview')
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
