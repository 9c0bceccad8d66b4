// What send-svc asks about sends that it did not make itself.
import { Controller, Get, Inject, Param } from '@nestjs/common'
import { Caller, RequireScope, Undescribed } from '@stepcast/service'
import { Metrics } from './metrics'
import type { SendSummary } from './shapes'

@Controller('internal/sends')
@Undescribed()
export class SendsController {
  constructor(@Inject(Metrics) private readonly metrics: Metrics) {}

  /** A send as its sequences tell of it: template, source, when it was asked for, recipients and outcomes. 404 while none has started. */
  @Get(':sendId')
  @RequireScope('read', 'internal')
  one(@Caller() caller: Caller, @Param('sendId') sendId: string): Promise<SendSummary> {
    return this.metrics.sendSummary(caller.workspaceId, sendId)
  }
}
