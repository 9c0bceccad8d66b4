// Whom a number has told to stop, as people-svc asks to show it.
import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common'
import { Dispatch } from '@stepcast/channel'
import { Caller, Describe, RequireScope } from '@stepcast/service'
import { z } from 'zod'

const asked = z.strictObject({ phoneNumber: z.string().max(40) })

/** `/internal/unsubscribed`. The number travels in the body: addresses are logged. */
@Controller('internal/unsubscribed')
export class UnsubscribedController {
  constructor(@Inject(Dispatch) private readonly dispatch: Dispatch<'sms'>) {}

  /** The senders that a number has told to stop in the caller's workspace, and since when. */
  @Post()
  @HttpCode(200)
  @RequireScope('internal')
  @Describe({ summary: 'Tell the senders that a number has unsubscribed from' })
  async of(
    @Caller() { workspaceId }: Caller,
    @Body({ schema: asked }) { phoneNumber }: z.output<typeof asked>,
  ): Promise<{ unsubscribed: { channelType: 'sms'; sender: string; since: string }[] }> {
    const found = (await this.dispatch.unsubscribes?.of(workspaceId, phoneNumber)) ?? []
    return { unsubscribed: found.map((one) => ({ channelType: 'sms', ...one })) }
  }
}
