// The HTTP edge of sends: who may call what, which input is read, which status is answered.
import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common'
import { Caller, IdempotencyKey, RequireScope } from '@stepcast/service'
import { sendBody, type SendRequest } from './request'
import { Sends } from './sends'
import type { SendSummary } from './services'
import type { SendAnswer } from './store'

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
  request(
    @Caller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Body({ schema: sendBody }) body: SendRequest,
  ): Promise<SendAnswer> {
    return this.sends.request(caller, key, body)
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
