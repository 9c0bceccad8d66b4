// The routes of FCM: each request is judged, written down, and only then answered.
import { setTimeout as sleep } from 'node:timers/promises'
import { Body, Controller, Param, Post, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { RequireScope } from '@stepcast/service'
import { Arrivals } from './arrivals'
import {
  accepted,
  AccessTokens,
  type Answer,
  dataKeys,
  faultAnswer,
  type FcmMessage,
  invalidArgument,
  readMessage,
  unauthenticated,
  unregistered,
} from './fcm'
import { Faults, type Fault } from './faults'
import { Phones } from './phones'

/** FCM as a client sees it: `POST /token` and `POST /v1/projects/{project}/messages:send`. */
@Controller()
@RequireScope('public')
export class FcmController {
  constructor(
    private readonly arrivals: Arrivals,
    private readonly faults: Faults,
    private readonly phones: Phones,
    private readonly tokens: AccessTokens,
  ) {}

  /** The OAuth2 token endpoint of a service account: → `{ access_token, expires_in, token_type }`, or 400 as Google words it. */
  @Post('token')
  token(@Body() form: Record<string, unknown> | undefined, @Res() response: Response): void {
    write(response, this.tokens.grant(form ?? {}, Date.now()))
  }

  /** Sends one message: → 200 `{ name }`, or a google.rpc error with its FcmError. */
  @Post('v1/projects/:project/messages\\:send')
  async send(@Param('project') project: string, @Body() body: unknown, @Req() request: Request, @Res() response: Response): Promise<void> {
    const message = readMessage(body)
    const isAuthenticated = this.tokens.accepts(request.headers.authorization, Date.now())
    const fault = isAuthenticated ? this.faults.strike('fcm') : null
    const answer = judge(project, message, fault, isAuthenticated)
    const isAccepted = answer.status === 200 && fault?.mode !== 'hang'
    const { token: to, data } = 'token' in message ? message : { token: '', data: undefined }
    this.arrivals.record({
      provider: 'fcm',
      messageId: data?.[dataKeys.messageId] ?? null,
      to,
      at: new Date().toISOString(),
      answer: loggedAs(answer, fault),
    })
    if (isAccepted) this.deliver(to, data ?? {})
    if (fault?.mode === 'slow') await sleep(fault.delayMs ?? 2_000)
    if (answer.status === 200 && fault?.mode === 'hang') return
    if (answer.status === 200 && fault?.mode === 'accept-then-reset') return void response.socket?.resetAndDestroy()
    write(response, answer)
  }

  private deliver(to: string, data: Readonly<Record<string, string>>): void {
    const { [dataKeys.messageId]: messageId, [dataKeys.workspaceId]: workspaceId, [dataKeys.userId]: userId } = data
    if (messageId && workspaceId && userId) this.phones.receive({ messageId, workspaceId, userId, to })
  }
}

/** The answer without regard to how long it takes; credentials first, then the fault, then the message. */
function judge(project: string, message: ReturnType<typeof readMessage>, fault: Fault | null, isAuthenticated: boolean): Answer {
  if (!isAuthenticated) return unauthenticated()
  const faulty = fault === null ? null : faultAnswer(fault)
  if (faulty !== null) return faulty
  if (!isMessage(message)) return invalidArgument(message.field, message.description)
  if (message.token.startsWith('bad_')) return unregistered()
  return accepted(project)
}

const isMessage = (message: ReturnType<typeof readMessage>): message is FcmMessage => 'token' in message

const loggedAs = (answer: Answer, fault: Fault | null): string => {
  if (answer.status !== 200) return answer.logged
  if (fault?.mode === 'hang') return 'hang'
  return fault?.mode === 'accept-then-reset' ? 'reset' : answer.logged
}

const write = (response: Response, { status, headers, body }: Answer): void =>
  void response
    .status(status)
    .set(headers ?? {})
    .json(body)
