// Receipts from devices.
import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common'
import type { Pool } from 'pg'
import { wasSentTo, POOL, Receipts, ReceiptsUnavailable } from '@stepcast/channel'
import { parseMessageId } from '@stepcast/contracts'
import { Caller, Describe, notFound, RequireScope, unavailable } from '@stepcast/service'

const description = '204 once Kafka has it; repeats are harmless. 404: not a message sent to this user. 503: send it again.'

/** `/v1/push`. */
@Controller('v1/push')
export class PushController {
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @Inject(Receipts) private readonly receipts: Receipts,
  ) {}

  /** The push reached the device. → 204 once Kafka has it; repeats are harmless. 404: not sent to this user. 503: Kafka is away. */
  @Post(':messageId/delivered')
  @HttpCode(204)
  @RequireScope('user')
  @Describe({ summary: 'Report a push as delivered', description })
  delivered(@Param('messageId') messageId: string, @Caller() caller: Caller): Promise<void> {
    return this.report(messageId, 'delivered', caller)
  }

  /** The push was tapped. Answers as `delivered` does. */
  @Post(':messageId/clicked')
  @HttpCode(204)
  @RequireScope('user')
  @Describe({ summary: 'Report a push as clicked', description })
  clicked(@Param('messageId') messageId: string, @Caller() caller: Caller): Promise<void> {
    return this.report(messageId, 'clicked', caller)
  }

  private async report(messageId: string, kind: 'delivered' | 'clicked', { workspaceId, userId, via }: Caller): Promise<void> {
    // Whether it does not exist, was never sent or belongs to someone else is nobody's business.
    if (parseMessageId(messageId) === null || !(await wasSentTo(this.pool, workspaceId, userId!, messageId))) {
      throw notFound('This user was sent no push message of that id.')
    }
    try {
      await this.receipts.write({
        workspaceId,
        messageId,
        kind,
        occurredAt: Date.now(),
        source: via === 'user_token' ? 'client' : 'server',
        reason: null,
        providerMessageId: null,
        detail: {},
      })
    } catch (error) {
      if (error instanceof ReceiptsUnavailable) throw unavailable('The receipt could not be stored yet: send it again.')
      throw error
    }
  }
}
