// Sequences over HTTP: the story of one, lists, cancel.
import { randomUUID } from 'node:crypto'
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common'
import type { Pool } from 'pg'
import { z } from 'zod'
import { cancelProblem, isSequenceId, textProblem } from '@stepcast/contracts'
import { Caller, notFound, page, pageQuery, parse, refused, RequireScope, unavailable, writeCursor } from '@stepcast/service'
import { cancel, type CancelOptions } from './cancel'
import { listSequences, orderOf, storyOf, type SequenceStory, type SequenceSummary } from './story'
import { readTimeoutMs } from './settings'
import { CANCELS, READS } from './tokens'

const text = z
  .string()
  .refine((value) => textProblem(value) === null, 'must not hold NUL or half a surrogate pair')
  .optional()
const filters = pageQuery.extend({
  sequenceId: text,
  sendId: text,
  campaignId: text,
  userId: text,
  templateId: text,
  outcome: z.enum(['running', 'stopped', 'exhausted', 'unreachable', 'cancelled']).optional(),
})

const internalCancel = z.strictObject({
  cancelId: z.string(),
  scope: z.enum(['sequence', 'send', 'campaign', 'user']),
  id: z.string(),
  requestedBy: z.string(),
  /** The caller knows that there is such a thing. */
  known: z.boolean().optional(),
})

const queryCanceled = '57014'

/** Reads with a time limit: they have few connections, and a question without an answer by then has none later either. */
async function inTime<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if ((error as { code?: string }).code !== queryCanceled) throw error
    throw unavailable(`Reading took longer than ${readTimeoutMs / 1_000} s: try again, with a smaller limit or narrower filters.`)
  }
}

/** `GET /v1/sequences`, `GET /v1/sequences/{id}`, `POST /v1/sequences/{id}/cancel`. */
@Controller()
export class SequencesController {
  constructor(
    @Inject(READS) private readonly reads: Pool,
    @Inject(CANCELS) private readonly cancels: CancelOptions,
  ) {}

  /**
   * Sequences by id, send, campaign, user, template and outcome, a page at a time; by `sequenceId` at most one. A list by template or outcome
   * alone may give a page shorter than `limit`, even an empty one, with a `nextCursor`: it says how far the search got.
   */
  @Get('v1/sequences')
  @RequireScope('read')
  async list(@Caller() caller: Caller, @Query() query: unknown): Promise<{ items: SequenceSummary[]; nextCursor: string | null }> {
    const filter = parse(filters, query)
    const order = orderOf(filter)
    const { limit, after } = page(filter, order)
    const { items, next } = await inTime(listSequences(this.reads, caller.workspaceId, filter, after, limit))
    return { items, nextCursor: next === null ? null : writeCursor(order.list, next) }
  }

  /** One sequence with every event and why it happened; 404: this workspace has none of that id. */
  @Get('v1/sequences/:sequenceId')
  @RequireScope('read')
  async get(@Caller() caller: Caller, @Param('sequenceId') sequenceId: string): Promise<SequenceStory> {
    const story = await inTime(storyOf(this.reads, caller.workspaceId, sequenceId))
    if (story === null) throw notFound(`This workspace has no sequence ${sequenceId}.`)
    return story
  }

  /**
   * Cancels a sequence; when this answers, nothing more of it is commanded. Cancelling again, or one that has ended, changes nothing. One that is
   * not known is looked for again for up to 2 s; 404: it is not there, and should it come within 24 h it is born cancelled. 429: too many such.
   */
  @Post('v1/sequences/:sequenceId/cancel')
  @HttpCode(200)
  @RequireScope('send')
  async cancel(@Caller() caller: Caller, @Param('sequenceId') sequenceId: string): Promise<{ sequenceId: string; cancelled: true }> {
    if (!isSequenceId(sequenceId)) throw notFound(`This workspace has no sequence ${sequenceId}.`)
    const known = await cancel(this.cancels, {
      cancelId: randomUUID(),
      workspaceId: caller.workspaceId,
      scope: 'sequence',
      id: sequenceId,
      requestedBy: caller.keyId ?? caller.via,
      requestedAt: Date.now(),
    })
    if (!known) throw notFound(`This workspace has no sequence ${sequenceId} yet; should it come within 24 hours, it is born cancelled.`)
    return { sequenceId, cancelled: true }
  }

  /** For send-svc and people-svc: cancels a send, campaign or user of the caller's workspace; answers whether there is such a thing. */
  @Post('internal/cancels')
  @HttpCode(200)
  @RequireScope('send', 'admin', 'internal')
  async cancelAny(@Caller() caller: Caller, @Body() body: unknown): Promise<{ cancelled: true; known: boolean }> {
    const { known, ...asked } = parse(internalCancel, body)
    const request = { ...asked, workspaceId: caller.workspaceId, requestedAt: Date.now() }
    const problem = cancelProblem(request)
    if (problem) throw refused([{ path: '', message: problem.detail }])
    return { cancelled: true, known: await cancel(this.cancels, request, known ?? false) }
  }
}
