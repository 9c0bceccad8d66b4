// What people and tests ask of the sandbox: the log of arrivals, faults, accounts, phones, and a service account to sign with.
import { generateKeyPairSync } from 'node:crypto'
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req } from '@nestjs/common'
import type { Request } from 'express'
import { z } from 'zod'
import { conflict, Describe, notFound, Problem, RequireScope } from '@stepcast/service'
import { Arrivals, providerNames, type Arrival, type ArrivalCount } from './arrivals'
import { Faults, faultSchema, type Fault } from './faults'
import { behaviourSchema, phoneReports, Phones, phonesSchema, type PhoneBehaviour, type PhoneReport, type WorkspacePhones } from './phones'
import { Solapi } from './solapi'
import { Twilio } from './twilio'

/** RFC 3339. */
const since = z.iso.datetime({ offset: true }).optional()
const provider = z.enum(providerNames).optional()
const logQuery = z.strictObject({ messageId: z.string().optional(), provider, since })
const countQuery = z.strictObject({ provider, since })
const reportSchema = z.enum(phoneReports)
const answerSchema = z.strictObject({ workspaceId: z.string().optional() }).optional()
const tapSchema = z.strictObject({ link: z.int().min(0).max(9).optional() }).optional()
/** Credentials that requests and callbacks are signed with. */
const accountSchema = z.discriminatedUnion('provider', [
  z.strictObject({
    provider: z.literal('twilio'),
    accountSid: z.string().regex(/^AC[0-9a-fA-F]{32}$/),
    authToken: z.string().min(1).max(200),
  }),
  z.strictObject({ provider: z.literal('solapi'), apiKey: z.string().min(1).max(200), apiSecret: z.string().min(1).max(200) }),
])

const msOf = (time: string | undefined): number | undefined => (time === undefined ? undefined : Date.parse(time))

/** The sandbox's own routes. */
@Controller()
@RequireScope('public')
export class SandboxController {
  private privateKey: string | null = null

  constructor(
    private readonly arrivals: Arrivals,
    private readonly faults: Faults,
    private readonly phones: Phones,
    private readonly twilio: Twilio,
    private readonly solapi: Solapi,
  ) {}

  /** Every request that arrived, oldest first (the last 200,000), also those refused. */
  @Get('log')
  @Describe({ summary: 'List what arrived' })
  log(@Query({ schema: logQuery }) query: z.output<typeof logQuery>): { items: Arrival[] } {
    return { items: this.arrivals.find({ messageId: query.messageId, provider: query.provider, sinceMs: msOf(query.since) }) }
  }

  /** How often each message arrived for each target, and how often it was accepted, among the last 200,000 requests. */
  @Get('log/counts')
  @Describe({ summary: 'Count what arrived, per message and target' })
  counts(@Query({ schema: countQuery }) query: z.output<typeof countQuery>): { items: ArrivalCount[] } {
    return { items: this.arrivals.count({ provider: query.provider, sinceMs: msOf(query.since) }) }
  }

  /** Sets a fault. → 201 with the fault. */
  @Post('faults')
  @Describe({ summary: 'Set a fault' })
  setFault(@Body({ schema: faultSchema }) fault: Fault): Fault {
    this.faults.set(fault)
    return fault
  }

  /** The faults still to strike. */
  @Get('faults')
  @Describe({ summary: 'List the faults' })
  listFaults(): { items: Fault[] } {
    return { items: this.faults.list() }
  }

  /** Ends all faults. */
  @Delete('faults')
  @HttpCode(204)
  @Describe({ summary: 'End all faults' })
  clearFaults(): void {
    this.faults.clear()
  }

  /** Registers an account: from then on its signatures are checked. Others are taken when their credentials have the shape. → 204. */
  @Post('accounts')
  @HttpCode(204)
  @Describe({ summary: 'Register an account of Twilio or Solapi' })
  registerAccount(@Body({ schema: accountSchema }) account: z.output<typeof accountSchema>): void {
    if (account.provider === 'twilio') this.twilio.register(account.accountSid, account.authToken)
    else this.solapi.register(account.apiKey, account.apiSecret)
  }

  /**
   * Registers the phones of a workspace: the key they report with, how simulated ones (`sim_…`, `+1555…`) behave, and what signs the
   * tokens of its people. → 204.
   */
  @Post('phones')
  @HttpCode(204)
  @Describe({ summary: 'Register the phones of a workspace' })
  register(@Body({ schema: phonesSchema }) phones: WorkspacePhones): void {
    this.phones.register(phones)
  }

  /** Changes how the simulated phones of a registered workspace behave. → 204; 404 when it is not registered. */
  @Put('phones/:workspaceId/behaviour')
  @HttpCode(204)
  @Describe({ summary: 'Change how simulated phones behave' })
  behave(@Param('workspaceId') workspaceId: string, @Body({ schema: behaviourSchema }) behaviour: PhoneBehaviour): void {
    const phones = this.phones.workspace(workspaceId)
    if (phones === null) throw notFound(`The phones of workspace ${workspaceId} are not registered.`)
    this.phones.register({ ...phones, ...behaviour })
  }

  /**
   * The owner of a number answers STOP to whoever texted it last (`workspaceId`: of that workspace): Twilio keeps it, refuses what comes then
   * (21610), and passes it on. → 204 once the product has it. 404: nobody has texted it here. 502: the product refused or is out of reach.
   */
  @Post('phones/:number/stop')
  @HttpCode(204)
  @Describe({ summary: 'Let the owner of a number answer STOP' })
  stop(@Param('number') number: string, @Body({ schema: answerSchema }) answer: z.output<typeof answerSchema>): Promise<void> {
    return this.answer(number, 'STOP', answer?.workspaceId)
  }

  /** The same with START, which lifts it. */
  @Post('phones/:number/start')
  @HttpCode(204)
  @Describe({ summary: 'Let the owner of a number answer START' })
  start(@Param('number') number: string, @Body({ schema: answerSchema }) answer: z.output<typeof answerSchema>): Promise<void> {
    return this.answer(number, 'START', answer?.workspaceId)
  }

  private async answer(number: string, word: 'STOP' | 'START', workspaceId: string | null = null): Promise<void> {
    const answer = await this.twilio.answer(number, word, workspaceId)
    if (answer.kind === 'no_such_message') throw notFound('Nobody has sent an SMS to this number here.')
    if (answer.kind === 'refused')
      throw new Problem({ status: 502, detail: `The product answered ${answer.status ?? 'nothing'}: ${answer.detail}` })
  }

  /**
   * The phone that got this message has received it, or its owner taps it: push is reported as an app does, texts and Alimtalks by their
   * carrier's callback and by opening a link (`link`: which, from 0; the first tracked one unless told). → 204 once the product has it.
   * 404: no such message was accepted here. 409: the workspace's phones are not registered, or there is no such tracked link.
   * 502: the product refused or is out of reach.
   */
  @Post('phones/:messageId/:report')
  @HttpCode(204)
  @Describe({ summary: 'Let a phone receive or tap a message' })
  async report(
    @Param('messageId') messageId: string,
    @Param('report', { schema: reportSchema }) report: PhoneReport,
    @Body({ schema: tapSchema }) tap: z.output<typeof tapSchema>,
  ): Promise<void> {
    const answer = await this.phones.report(messageId, report, tap?.link ?? null)
    switch (answer.kind) {
      case 'reported':
        return
      case 'no_such_message':
        throw notFound('No accepted message of this id reached a phone here.')
      case 'no_credential':
        throw conflict(`The phones of workspace ${answer.workspaceId} are not registered: POST /phones { workspaceId, apiKey } first.`)
      case 'no_link':
        throw conflict(answer.detail)
      case 'refused':
        throw new Problem({ status: 502, detail: `The product answered ${answer.status ?? 'nothing'}: ${answer.detail}` })
    }
  }

  /** A service account file whose token endpoint is this sandbox; its key is made at the first ask. */
  @Get('service-account.json')
  @Describe({ summary: 'Get a service account for FCM' })
  serviceAccount(@Req() request: Request): Record<string, string> {
    return {
      type: 'service_account',
      project_id: 'stepcast-sandbox',
      private_key_id: 'sandbox',
      private_key: (this.privateKey ??= newPrivateKey()),
      client_email: 'sandbox@stepcast-sandbox.iam.gserviceaccount.com',
      client_id: '1',
      token_uri: `http://${request.headers.host}/token`,
    }
  }
}

// 2,048 bits as Google's: about 0.1 s, so not before someone asks.
const newPrivateKey = (): string =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey
