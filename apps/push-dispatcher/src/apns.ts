// APNs: one HTTP/2 call an attempt, by provider token; a connection carries one key of one developer team.
import { createHash } from 'node:crypto'
import type { ApnsAccount } from '@stepcast/accounts'
import {
  transportTo,
  type AccountContext,
  type CallResult,
  type Outcome,
  type Permit,
  type Provider,
  type ProviderKind,
  type ProviderMessage,
  type Transport,
} from '@stepcast/channel'
import { apnsRequest, type ApnsRequest } from './apnsMessage'
import { isTokenExpired, outcomeOf } from './apnsOutcome'
import { ProviderToken } from './apnsToken'

/** Where APNs is. */
export interface ApnsOptions {
  /** The sandbox; null: Apple's, by the account's environment. */
  readonly endpoint: string | null
  /** Calls under way at a time, for each team. */
  readonly connections: number
  /** Certificate authorities (PEM) instead of the system's, for specs. */
  readonly ca?: string | undefined
}

const endpoints = { production: 'https://api.push.apple.com', development: 'https://api.sandbox.push.apple.com' } as const

/** What accounts with the same key share. */
interface Line {
  readonly transport: Transport
  readonly token: ProviderToken
}

/**
 * APNs. Apple wants a connection of its own for each team, a new one for a new key, and no token more often than every 20 minutes, also
 * when an account is replaced: so lines outlive accounts. One that nobody uses closes its connections and keeps a few hundred bytes.
 */
export class ApnsKind implements ProviderKind<'push', 'apns'> {
  readonly name = 'apns'
  private readonly lines = new Map<string, Line>()

  constructor(private readonly options: ApnsOptions) {}

  open(account: ApnsAccount, { minuteMs }: Pick<AccountContext, 'minuteMs'>): Provider<'push'> {
    return new Apns(account.topic, this.line(account), minuteMs)
  }

  async close(): Promise<void> {
    await Promise.all([...this.lines.values()].map(({ transport }) => transport.close()))
  }

  private line(account: ApnsAccount): Line {
    const { endpoint, connections, ca } = this.options
    const origin = endpoint ?? endpoints[account.environment]
    const keyDigest = createHash('sha256').update(account.privateKey).digest('base64')
    const name = [origin, account.teamId, account.keyId, keyDigest].join(' ')
    const line = this.lines.get(name) ?? { transport: transportTo({ origin, connections, ca }), token: new ProviderToken(account) }
    this.lines.set(name, line)
    return line
  }
}

/** The provider `apns` with one account. */
class Apns implements Provider<'push'> {
  readonly name = 'apns'
  private isProven = false

  constructor(
    private readonly topic: string,
    private readonly line: Line,
    private readonly minuteMs: number,
  ) {}

  /** See {@link Provider.send}. An expired provider token is renewed, once: the message was not taken, so this is still one attempt. */
  async send(message: ProviderMessage<'push'>, permit: Permit): Promise<Outcome> {
    const { token: tokens } = this.line
    const request = apnsRequest(message, this.topic, Date.now())
    const token = await tokens.get()
    let result = await this.post(request, token, permit)
    if (result.kind === 'answered' && isTokenExpired(result)) {
      const another = await tokens.instead(token)
      if (another !== null) result = await this.post(request, another, permit)
    }
    const outcome = outcomeOf(result, { minuteMs: this.minuteMs, nowMs: Date.now(), isProven: this.isProven })
    if (outcome.kind === 'accepted') this.isProven = true
    return outcome
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private post({ path, headers, body }: ApnsRequest, token: string, permit: Permit): Promise<CallResult> {
    return this.line.transport.post({ path, headers: { ...headers, authorization: `bearer ${token}` }, body }, permit)
  }
}
