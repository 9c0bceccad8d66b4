// The routes of Solapi.
import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { Describe, forbidden, RequireScope } from '@stepcast/service'
import { reply1 } from './http1'
import { Product } from './product'
import { Solapi, webhookSchema, type Webhook } from './solapi'

/** Solapi's message API as a client sees it. */
@Controller()
@RequireScope('public')
export class SolapiController {
  constructor(
    private readonly solapi: Solapi,
    private readonly product: Product,
  ) {}

  /** See {@link Solapi.sendMany}. */
  @Post('messages/v4/send-many/detail')
  @Describe({ summary: 'Solapi: send Alimtalks' })
  async sendMany(@Body() body: unknown, @Req() request: Request, @Res() response: Response): Promise<void> {
    await reply1(response, this.solapi.sendMany(request.headers.authorization, body))
  }

  /** See {@link Solapi.sendOne}. */
  @Post('messages/v4/send')
  @Describe({ summary: 'Solapi: send an Alimtalk' })
  async sendOne(@Body() body: unknown, @Req() request: Request, @Res() response: Response): Promise<void> {
    await reply1(response, this.solapi.sendOne(request.headers.authorization, body))
  }

  /** Where the reports of an account go: at Solapi a page of the console. → 204; 403 where it is neither the product nor this machine. */
  @Post('solapi/webhooks')
  @HttpCode(204)
  @Describe({ summary: 'Register the webhook of a Solapi account' })
  registerWebhook(@Body({ schema: webhookSchema }) webhook: Webhook): void {
    if (!this.product.mayCall(webhook.url)) {
      throw forbidden(
        `Reports go to the product (${this.product.origin}, by STEPCAST_PUBLIC_URL) or to this machine, not to ${webhook.url}.`,
      )
    }
    this.solapi.registerWebhook(webhook)
  }
}
