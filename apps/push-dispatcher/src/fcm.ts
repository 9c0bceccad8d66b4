// FCM HTTP v1: one call an attempt, our own, since Google's SDK retries beneath the ledger.
import { Agent } from 'undici'
import type { FcmAccount } from '@stepcast/accounts'
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
import { AccessToken, AccessTokenUnavailable, type TokenEndpoint } from './accessToken'
import { fcmBody, isWithinFcmLimits } from './fcmMessage'
import { isThirdPartyAuthError, outcomeOf } from './fcmOutcome'

/** Where FCM is. */
export interface FcmOptions {
  /** `https://fcm.googleapis.com`, or the sandbox. */
  readonly endpoint: string
  /** `https://oauth2.googleapis.com/token`, or the sandbox's. */
  readonly tokenEndpoint: string
  /** Calls under way at a time. */
  readonly connections: number
  /** Certificate authorities (PEM) instead of the system's, for specs. */
  readonly ca?: string | undefined
}

/** FCM: one pool of connections for all workspaces, an access token for each. */
export class FcmKind implements ProviderKind<'push', 'fcm'> {
  readonly name = 'fcm'
  private readonly transport: Transport
  private readonly tokens: TokenEndpoint

  constructor({ endpoint, tokenEndpoint, connections, ca }: FcmOptions) {
    this.transport = transportTo({ origin: endpoint, connections, ca })
    this.tokens = { url: tokenEndpoint, dispatcher: new Agent({ connect: { timeout: 5_000, ...(ca === undefined ? {} : { ca }) } }) }
  }

  open({ serviceAccount }: FcmAccount, { minuteMs }: Pick<AccountContext, 'minuteMs'>): Provider<'push'> {
    return new Fcm(serviceAccount, this.transport, this.tokens, minuteMs)
  }

  async close(): Promise<void> {
    await Promise.all([this.transport.close(), this.tokens.dispatcher.destroy()])
  }
}

/** The provider `fcm` with one service account. */
class Fcm implements Provider<'push'> {
  readonly name = 'fcm'
  private readonly accessToken: AccessToken
  private readonly path: string

  constructor(
    account: FcmAccount['serviceAccount'],
    private readonly transport: Transport,
    tokens: TokenEndpoint,
    private readonly minuteMs: number,
  ) {
    this.accessToken = new AccessToken(account, tokens)
    this.path = `/v1/projects/${encodeURIComponent(account.project_id)}/messages:send`
  }

  /** See {@link Provider.send}. A refused access token is replaced, once: the message was not taken, so this is still one attempt. */
  async send(message: ProviderMessage<'push'>, permit: Permit): Promise<Outcome> {
    const body = JSON.stringify(fcmBody(message, Date.now()))
    try {
      const token = await this.accessToken.get()
      let result = await this.post(body, token, permit)
      if (result.kind === 'answered' && result.status === 401 && !isThirdPartyAuthError(result)) {
        result = await this.post(body, await this.accessToken.get(token), permit)
      }
      return outcomeOf(result, { quotaWaitMs: this.minuteMs, nowMs: Date.now(), isPayloadSound: () => isWithinFcmLimits(message) })
    } catch (error) {
      if (error instanceof AccessTokenUnavailable) return { kind: 'retry', reason: 'no_access_token', afterMs: null }
      throw error
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private post(body: string, token: string, permit: Permit): Promise<CallResult> {
    return this.transport.post(
      { path: this.path, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body },
      permit,
    )
  }
}
