// The routes of FCM over HTTP/1.1.
import { Body, Controller, Param, Post, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { Describe, ReadsBody, RequireScope } from '@stepcast/service'
import { Fcm } from './fcm'
import { reply1, write1 } from './http1'

/** FCM as a client sees it: `POST /token` and `POST /v1/projects/{project}/messages:send`. */
@Controller()
@RequireScope('public')
export class FcmController {
  constructor(private readonly fcm: Fcm) {}

  /** See {@link Fcm.token}. */
  @Post('token')
  @ReadsBody({ form: 64 * 1024 })
  @Describe({ summary: 'FCM: grant an access token' })
  token(@Body() form: Record<string, unknown> | undefined, @Res() response: Response): void {
    write1(response, this.fcm.token(form ?? {}))
  }

  /** See {@link Fcm.send}. */
  @Post('v1/projects/:project/messages\\:send')
  @Describe({ summary: 'FCM: send a push' })
  async send(@Param('project') project: string, @Body() body: unknown, @Req() request: Request, @Res() response: Response): Promise<void> {
    await reply1(response, this.fcm.send(project, body, request.headers.authorization, false))
  }
}
