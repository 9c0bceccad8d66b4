// Sequences over HTTP: the story of one, lists, cancel.
import { randomUUID } from 'node:crypto'
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common'
import type { Pool } from 'pg'
import { z } from 'zod'
import { cancelProblem } from '@stepcast/contracts'
import { Caller, notFound, page, pageOf, pageQuery, parse, refused, RequireScope } from '@stepcast/service'
import { cancel, type CancelOptions } from './cancel'
import { listSequences, storyOf, type SequenceStory, type SequenceSummary } from './story'
import { CANCELS, POOL } from './tokens'

const filters = pageQuery.extend({
  sendId: z.string().optional(), campaignId: z.string().optional(), userId: z.string().optional(), templateId: z.string().optional(),
  outcome: z.enum(['running', 'stopped', 'exhausted', 'unreachable', 'cancelled']).optional(),
})

const internalCancel = z.strictObject({
  cancelId: z.string(), scope: z.enum(['sequence', 'send', 'campaign', 'user']), id: z.string(), requestedBy: z.string(),
})

/** `GET /v1/sequences`, `GET /v1/sequences/{id}`, `POST /v1/sequences/{id}/cancel`. */
@Controller()
export class SequencesController {
  constructor(@Inject(POOL) private readonly pool: Pool, @Inject(CANCELS) private readonly cancels: CancelOptions) {}

  /** Sequences by send, campaign, user, template and outcome, a page at a time. */
  @Get('v1/sequences')
  @RequireScope('read')
  async list(@Caller() caller: Caller, @Query() query: unknown): Promise<{ items: SequenceSummary[]; nextCursor: string | null }> {
    const filter = parse(filters, query)
    const { limit, after } = page(filter, ['uuid'])
    const rows = await listSequences(this.pool, caller.workspaceId, filter, after && after[0], limit + 1)
    return pageOf(rows, { limit, after }, ({ sequenceId }) => [sequenceId])
  }

  /** One sequence with every event and why it happened; 404: this workspace has none of that id. */
  @Get('v1/sequences/:sequenceId')
  @RequireScope('read')
  async get(@Caller() caller: Caller, @Param('sequenceId') sequenceId: string): Promise<SequenceStory> {
    const story = await storyOf(this.pool, caller.workspaceId, sequenceId)
    if (story === null) throw notFound(`This workspace has no sequence ${sequenceId}.`)
    return story
  }

  /** Cancels a sequence; when this answers, nothing more of it is commanded. Cancelling again, or one that has ended, changes nothing. */
  @Post('v1/sequences/:sequenceId/cancel')
  @HttpCode(200)
  @RequireScope('send')
  async cancel(@Caller() caller: Caller, @Param('sequenceId') sequenceId: string): Promise<{ sequenceId: string; cancelled: true }> {
    const story = await storyOf(this.pool, caller.workspaceId, sequenceId)
    if (story === null) throw notFound(`This workspace has no sequence ${sequenceId}.`)
    await cancel(this.cancels, {
      cancelId: randomUUID(), workspaceId: caller.workspaceId, scope: 'sequence', id: sequenceId,
      requestedBy: caller.keyId ?? caller.via, requestedAt: Date.now(),
    })
    return { sequenceId, cancelled: true }
  }

  /** For send-svc: cancels a send, campaign or user of the caller's workspace. */
  @Post('internal/cancels')
  @HttpCode(200)
  @RequireScope('send', 'admin', 'internal')
  async cancelAny(@Caller() caller: Caller, @Body() body: unknown): Promise<{ cancelled: true }> {
    const request = { ...parse(internalCancel, body), workspaceId: caller.workspaceId, requestedAt: Date.now() }
    const problem = cancelProblem(request)
    if (problem) throw refused([{ path: '', message: problem.detail }])
    await cancel(this.cancels, request)
    return { cancelled: true }
  }
}
