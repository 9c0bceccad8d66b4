// The HTTP edge of sends: who may call what, which input is read, which status is answered.
import { Controller, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common'
import {
  answerWith,
  Caller,
  Describe,
  IdempotencyKey,
  instant,
  jsonPiecesOf,
  pageQuery,
  ReadsBody,
  RequireScope,
  templateIdField,
} from '@stepcast/service'
import type { Request } from 'express'
import { z } from 'zod'
import { sendBody } from './request'
import { Sends } from './sends'
import type { SendSummary } from './services'
import type { ListedSend, SendAnswer } from './store'

// 10,000 receivers with 6 kB of variables each.
const maxBodyBytes = 64 * 1024 * 1024
const listQuery = pageQuery.extend({ templateId: templateIdField.optional(), from: instant.optional(), to: instant.optional() })
const dateOf = (time: string | undefined): Date | null => (time === undefined ? null : new Date(time))

@Controller('v1/sends')
export class SendsController {
  constructor(private readonly sends: Sends) {}

  /**
   * Sends a template to 1 to 10,000 users; stored before the answer, fanned out afterwards. Body up to 64 MB. The same Idempotency-Key
   * and body give the first answer again, for 30 days. 422: no approved template, a required variable missing (first 20 errors), another
   * body of the same key.
   */
  @Post()
  @HttpCode(202)
  @RequireScope('send')
  @ReadsBody('streamed')
  @Describe({
    summary: 'Send a template to users',
    description:
      'Stored before the answer, fanned out afterwards. Body up to 64 MB, each receiver up to 1 MB. The same Idempotency-Key and body give the first ' +
      'answer again, for 30 days. 422: no approved template, a required variable missing (first 20 errors), another body of the same key.',
    body: sendBody,
  })
  async request(@Caller() caller: Caller, @IdempotencyKey() key: string | null, @Req() request: Request): Promise<SendAnswer> {
    const answer = await this.sends.request(caller, key, jsonPiecesOf(request, maxBodyBytes))
    answerWith('location', `/v1/sends/${answer.sendId}`)
    return answer
  }

  /** Sends asked for over HTTP, newest first, of a template and from (inclusive) to (exclusive) where given; kept 30 days. */
  @Get()
  @RequireScope('read')
  list(
    @Caller() caller: Caller,
    @Query({ schema: listQuery }) query: z.output<typeof listQuery>,
  ): Promise<{ items: ListedSend[]; nextCursor: string | null }> {
    return this.sends.list(caller, query, { templateId: query.templateId ?? null, from: dateOf(query.from), to: dateOf(query.to) })
  }

  /** A send with the outcomes of its sequences, however it was made. */
  @Get(':sendId')
  @RequireScope('read')
  read(@Caller() caller: Caller, @Param('sendId') sendId: string): Promise<SendSummary> {
    return this.sends.read(caller, sendId)
  }

  /** Cancels a send: when it answers, no step is commanded any more. Commands not begun are withdrawn; calls in flight finish. */
  @Post(':sendId/cancel')
  @HttpCode(200)
  @RequireScope('send')
  cancel(@Caller() caller: Caller, @Param('sendId') sendId: string): Promise<{ sendId: string; cancelled: true }> {
    return this.sends.cancel(caller, sendId)
  }
}
