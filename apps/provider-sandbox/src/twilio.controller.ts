// The routes of Twilio.
import { Body, Controller, Get, Param, Post, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { Describe, ReadsBody, RequireScope } from '@stepcast/service'
import { reply1, write1 } from './http1'
import { Twilio, type MessageForm } from './twilio'

/** Twilio's Messages resource as a client sees it. */
@Controller('2010-04-01/Accounts/:accountSid')
@RequireScope('public')
export class TwilioController {
  constructor(private readonly twilio: Twilio) {}

  /** See {@link Twilio.create}. */
  @Post('Messages.json')
  @ReadsBody({ form: 64 * 1024 })
  @Describe({ summary: 'Twilio: send an SMS' })
  async create(
    @Param('accountSid') accountSid: string,
    @Body() form: MessageForm | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    await reply1(response, this.twilio.create(accountSid, request.headers.authorization, form ?? {}))
  }

  /** See {@link Twilio.read}. */
  @Get('Messages/:sid.json')
  @Describe({ summary: 'Twilio: read an SMS' })
  read(@Param('accountSid') accountSid: string, @Param('sid') sid: string, @Req() request: Request, @Res() response: Response): void {
    write1(response, this.twilio.read(accountSid, request.headers.authorization, sid))
  }
}
