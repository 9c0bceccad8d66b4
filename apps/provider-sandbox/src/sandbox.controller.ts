// What people and tests ask of the sandbox: the log of arrivals, faults, phones, and a service account to sign with.
import { generateKeyPairSync } from 'node:crypto'
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common'
import type { Request } from 'express'
import { z } from 'zod'
import { conflict, notFound, Problem, RequireScope } from '@stepcast/service'
import { Arrivals, providerNames, type Arrival } from './arrivals'
import { Faults, faultSchema, type Fault } from './faults'
import { phoneReports, Phones, phonesSchema, type PhoneReport, type WorkspacePhones } from './phones'

const logQuery = z.strictObject({
  messageId: z.string().optional(),
  provider: z.enum(providerNames).optional(),
  /** RFC 3339. */
  since: z.iso.datetime({ offset: true }).optional(),
})
const reportSchema = z.enum(phoneReports)

/** The sandbox's own routes. */
@Controller()
@RequireScope('public')
export class SandboxController {
  private privateKey: string | null = null

  constructor(
    private readonly arrivals: Arrivals,
    private readonly faults: Faults,
    private readonly phones: Phones,
  ) {}

  /** Every request that arrived, oldest first (the last 200,000), also those refused. */
  @Get('log')
  log(@Query({ schema: logQuery }) { messageId, provider, since }: z.output<typeof logQuery>): { items: Arrival[] } {
    return { items: this.arrivals.find({ messageId, provider, sinceMs: since === undefined ? undefined : Date.parse(since) }) }
  }

  /** Sets a fault. → 201 with the fault. */
  @Post('faults')
  setFault(@Body({ schema: faultSchema }) fault: Fault): Fault {
    this.faults.set(fault)
    return fault
  }

  /** The faults still to strike. */
  @Get('faults')
  listFaults(): { items: Fault[] } {
    return { items: this.faults.list() }
  }

  /** Ends all faults. */
  @Delete('faults')
  @HttpCode(204)
  clearFaults(): void {
    this.faults.clear()
  }

  /** Registers the phones of a workspace: the key they report with and how simulated ones (`sim_…`, `+1555…`) behave. → 204. */
  @Post('phones')
  @HttpCode(204)
  register(@Body({ schema: phonesSchema }) phones: WorkspacePhones): void {
    this.phones.register(phones)
  }

  /**
   * The phone that got this message reports `delivered` or `clicked` to the product. → 204 once the product has it. 404: no such message
   * was accepted here. 409: the workspace's phones are not registered. 502: the product refused or is out of reach.
   */
  @Post('phones/:messageId/:report')
  @HttpCode(204)
  async report(@Param('messageId') messageId: string, @Param('report', { schema: reportSchema }) report: PhoneReport): Promise<void> {
    const answer = await this.phones.report(messageId, report)
    switch (answer.kind) {
      case 'reported':
        return
      case 'no_such_message':
        throw notFound('No accepted message of this id reached a phone here.')
      case 'no_credential':
        throw conflict(`The phones of workspace ${answer.workspaceId} are not registered: POST /phones { workspaceId, apiKey } first.`)
      case 'refused':
        throw new Problem({ status: 502, detail: `The product answered ${answer.status ?? 'nothing'}: ${answer.detail}` })
    }
  }

  /** A service account file whose token endpoint is this sandbox; its key is made at the first ask. */
  @Get('service-account.json')
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
