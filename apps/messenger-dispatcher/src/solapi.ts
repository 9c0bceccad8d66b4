// Solapi, or a provider that speaks its REST API: one call an attempt, our own, since its SDK retries beneath the ledger.
import { Agent } from 'undici'
import type { SolapiAccount } from '@stepcast/accounts'
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
} from '@stepcast/channel'
import { solapiAuthorization } from './solapiAuthorization'
import { readSolapiCallback } from './solapiCallback'
import { solapiBody } from './solapiMessage'
import { outcomeOf } from './solapiOutcome'

/** Where Solapi is. */
export interface SolapiOptions {
  /** `https://api.solapi.com`, or a compatible provider's; a path in front of `/messages` is kept. */
  readonly endpoint: string
  /** Calls under way at a time. */
  readonly connections: number
}

/** Solapi: one pool of connections for all workspaces. */
export class SolapiKind implements ProviderKind<'kakao', 'solapi'> {
  readonly name = 'solapi'
  private readonly agent: Agent

  constructor(private readonly options: SolapiOptions) {
    // Idle connections are left before a server usually closes them (5 s and more): one closed while we write would be an unknown outcome.
    this.agent = new Agent({ connections: options.connections, pipelining: 1, connect: { timeout: 5_000 }, keepAliveTimeout: 4_000 })
  }

  open(account: SolapiAccount, _context?: AccountContext): Provider<'kakao'> {
    return new Solapi(account, this.agent, this.options.endpoint)
  }

  async close(): Promise<void> {
    await this.agent.destroy()
  }
}

/** The provider `solapi` with one account. */
class Solapi implements Provider<'kakao'> {
  readonly name = 'solapi'
  private readonly origin: string
  private readonly path: string

  constructor(
    private readonly account: SolapiAccount,
    private readonly agent: Agent,
    endpoint: string,
  ) {
    const { origin, pathname } = new URL(endpoint)
    this.origin = origin
    this.path = `${pathname.replace(/\/$/, '')}/messages/v4/send-many/detail`
  }

  async send(message: ProviderMessage<'kakao'>, permit: Permit): Promise<Outcome> {
    const headers = { authorization: solapiAuthorization(this.account, Date.now()), 'content-type': 'application/json' }
    const body = JSON.stringify(solapiBody(message))
    return outcomeOf(await postOnce(this.agent, { origin: this.origin, path: this.path, headers, body }, permit), Date.now())
  }

  readCallback(request: CallbackRequest): readonly ProviderStatus[] | null {
    return readSolapiCallback(request, this.account.webhookSecret)
  }

  /** Nothing is held open for one account. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}
