// Receipts from devices, and the operator's list of pushes that were possibly sent.
import { Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common'
import type { Pool } from 'pg'
import { isMessageOf, listUncertain, type UncertainMessage } from '@stepcast/channel'
import { parseMessageId } from '@stepcast/contracts'
import { Caller, notFound, page, pageOf, RequireScope, unavailable } from '@stepcast/service'
import { Receipts, ReceiptsUnavailable } from './receipts'
import { POOL } from './tokens'

/** `/v1/push`. */
@Controller('v1/push')
export class PushController {
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @Inject(Receipts) private readonly receipts: Receipts,
  ) {}

  /** The push reached the device. → 204 once Kafka has it; repeats are harmless. 404: not this user's message. 503: Kafka is away. */
  @Post(':messageId/delivered')
  @HttpCode(204)
  @RequireScope('user')
  delivered(@Param('messageId') messageId: string, @Caller() caller: Caller): Promise<void> {
    return this.report(messageId, 'delivered', caller)
  }

  /** The push was tapped. Answers as `delivered` does. */
  @Post(':messageId/clicked')
  @HttpCode(204)
  @RequireScope('user')
  clicked(@Param('messageId') messageId: string, @Caller() caller: Caller): Promise<void> {
    return this.report(messageId, 'clicked', caller)
  }

  /** Pushes with an attempt of unknown outcome (rule 12), which one person may have got twice or not at all. */
  @Get('unknown')
  @RequireScope('read')
  async unknown(
    @Query() query: unknown,
    @Caller() { workspaceId }: Caller,
  ): Promise<{ items: UncertainMessage[]; nextCursor: string | null }> {
    const asked = page(query, 2)
    const after = asked.after === null ? null : { messageId: String(asked.after[0]), target: String(asked.after[1]) }
    return pageOf(await listUncertain(this.pool, workspaceId, asked.limit + 1, after), asked, ({ messageId, target }) => [
      messageId,
      target,
    ])
  }

  private async report(messageId: string, kind: 'delivered' | 'clicked', { workspaceId, userId, via }: Caller): Promise<void> {
    // Whether it does not exist or belongs to someone else is nobody's business.
    if (parseMessageId(messageId) === null || !(await isMessageOf(this.pool, workspaceId, userId!, messageId))) {
      throw notFound('This user has no push message of that id.')
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
