// Twilio, or a provider that speaks its REST API: one call an attempt, our own, so that nothing is sent again beneath the ledger.
import { Agent } from 'undici'
import type { TwilioAccount } from '@stepcast/accounts'
import {
  postOnce,
  type AccountContext,
  type CallbackRequest,
  type Outcome,
  type Permit,
  type Provider,
  type ProviderKind,
  type ProviderMessage,
  type ProviderStatus,
  type Wish,
} from '@stepcast/channel'
import { oversize } from '@stepcast/template'
import { segmentsOf } from './segments'
import { readTwilioCallback } from './twilioCallback'
import { twilioForm } from './twilioMessage'
import { outcomeOf } from './twilioOutcome'
import { senderOf } from './twilioSender'
import { readTwilioWish } from './twilioWish'

/** Where Twilio is, and where it finds us. */
export interface TwilioOptions {
  /** `https://api.twilio.com`, or a compatible provider's; a path in front of `/2010-04-01` is kept. */
  readonly endpoint: string
  /** Our address as Twilio calls it back. */
  readonly publicUrl: string
  /** Calls under way at a time. */
  readonly connections: number
}

/** Twilio: one pool of connections for all workspaces. */
export class TwilioKind implements ProviderKind<'sms', 'twilio'> {
  readonly name = 'twilio'
  private readonly agent: Agent

  constructor(private readonly options: TwilioOptions) {
    // Idle connections are left before a server usually closes them (5 s and more): one closed while we write would be an unknown outcome.
    this.agent = new Agent({ connections: options.connections, pipelining: 1, connect: { timeout: 5_000 }, keepAliveTimeout: 4_000 })
  }

  open(account: TwilioAccount, _context?: AccountContext): Provider<'sms'> {
    return new Twilio(account, this.agent, this.options)
  }

  async close(): Promise<void> {
    await this.agent.destroy()
  }
}

/** The provider `twilio` with one account. */
class Twilio implements Provider<'sms'> {
  readonly name = 'twilio'
  readonly sender: string
  private readonly origin: string
  private readonly path: string
  private readonly headers: Readonly<Record<string, string>>

  constructor(
    private readonly account: TwilioAccount,
    private readonly agent: Agent,
    private readonly options: TwilioOptions,
  ) {
    this.sender = senderOf(account)
    const { origin, pathname } = new URL(options.endpoint)
    this.origin = origin
    this.path = `${pathname.replace(/\/$/, '')}/2010-04-01/Accounts/${account.accountSid}/Messages.json`
    this.headers = {
      authorization: `Basic ${Buffer.from(`${account.accountSid}:${account.authToken}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    }
  }

  async send(message: ProviderMessage<'sms'>, permit: Permit): Promise<Outcome> {
    // Refused before, as a rule; counting the segments of what is a hundred times as long would hold up every other message.
    if (oversize('sms', message.content, message, 'twilio') !== null) return { kind: 'rejected', reason: 'too_large', deadAddress: false }
    const body = twilioForm(message, this.account, this.options.publicUrl).toString()
    const result = await postOnce(this.agent, { origin: this.origin, path: this.path, headers: this.headers, body }, permit)
    return outcomeOf(result, () => segmentsOf(message.content.body), Date.now())
  }

  readCallback(request: CallbackRequest): readonly ProviderStatus[] | null {
    return readTwilioCallback(request, this.account)
  }

  readWish(request: CallbackRequest): Wish | null {
    return readTwilioWish(request, this.account)
  }

  /** Nothing is held open for one account. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}
