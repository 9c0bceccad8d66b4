// Where providers call: whatever is not signed by the workspace's own account changes nothing.
import { Controller, HttpCode, Inject, Param, Post, Req } from '@nestjs/common'
import type { Request } from 'express'
import type { Pool } from 'pg'
import type { ChannelType } from '@stepcast/contracts'
import { Describe, forbidden, ReadsBody, RequireScope } from '@stepcast/service'
import { takeStatuses } from './callbacks'
import { Dispatch } from './dispatch'
import type { DispatcherConfig } from './dispatcherConfig'
import { CONFIG, POOL } from './dispatcherTokens'

// Solapi reports up to some hundred messages a callback, half a kilobyte each.
const maxBytes = 1024 * 1024

/** `/v1/callbacks`. The body is left as it comes: its signature is over the bytes. */
@Controller('v1/callbacks')
export class CallbacksController {
  constructor(
    @Inject(CONFIG) private readonly config: DispatcherConfig,
    @Inject(POOL) private readonly pool: Pool,
    @Inject(Dispatch) private readonly dispatch: Dispatch<ChannelType>,
  ) {}

  /** 200 once what it says is stored, also when repeated or of nobody's message; 403: not signed by this workspace's account. */
  @Post(':provider/:workspaceId')
  @HttpCode(200)
  @RequireScope('public')
  @ReadsBody({ raw: maxBytes })
  @Describe({
    summary: "Take a provider's status callback, or a person's answer to an SMS (STOP, START)",
    description:
      "Called by providers, not by you; the provider's own signature is the credential. Repeats and disorder are harmless. " +
      "403: not signed by this workspace's account.",
  })
  async take(@Param('provider') provider: string, @Param('workspaceId') workspaceId: string, @Req() request: Request): Promise<void> {
    const account = await this.dispatch.account(provider, workspaceId)
    const called = {
      url: this.config.publicUrl + request.originalUrl,
      headers: request.headers,
      body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    }
    const statuses = account?.readCallback?.(called)
    // One answer for all: a stranger does not learn which workspaces have an account.
    if (!statuses) throw forbidden("This call is not signed by the workspace's account with this provider.")
    await takeStatuses(this.dispatch, this.pool, { workspaceId, provider }, statuses)
    const wish = account?.readWish?.(called) ?? null
    if (wish !== null) await this.dispatch.unsubscribes?.take(workspaceId, wish)
  }
}
