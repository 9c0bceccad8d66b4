// FCM HTTP v1: one call an attempt, our own, since Google's SDK retries beneath the ledger.
import { Agent } from 'undici'
import { postOnce, type CallResult, type Outcome, type Permit, type Provider, type ProviderMessage } from '@stepcast/channel'
import { AccessToken, AccessTokenUnavailable } from './accessToken'
import type { FcmConfig } from './config'
import { fcmBody } from './fcmMessage'
import { outcomeOf } from './fcmOutcome'

/** What FCM is made of. */
export interface FcmOptions extends FcmConfig {
  /** Connections at most: as many as calls under way. */
  readonly connections: number
  readonly minuteMs: number
}

/** The provider `fcm`. */
export class Fcm implements Provider<'push'> {
  readonly name = 'fcm'
  private readonly accessToken: AccessToken
  private readonly agent: Agent
  private readonly path: string

  constructor(private readonly options: FcmOptions) {
    this.accessToken = new AccessToken(options.account)
    this.agent = new Agent({ connections: options.connections, pipelining: 1, connect: { timeout: 5_000 } })
    this.path = `/v1/projects/${encodeURIComponent(options.account.projectId)}/messages:send`
  }

  /** See {@link Provider.send}. A 401 is answered by a new access token, once: it was not taken, so this is still one attempt. */
  async send(message: ProviderMessage<'push'>, permit: Permit): Promise<Outcome> {
    const body = JSON.stringify(fcmBody(message, Date.now()))
    try {
      const token = await this.accessToken.get()
      let result = await this.post(body, token, permit)
      if (result.kind === 'answered' && result.status === 401) result = await this.post(body, await this.accessToken.get(token), permit)
      return outcomeOf(result, this.options.minuteMs, Date.now())
    } catch (error) {
      if (error instanceof AccessTokenUnavailable) return { kind: 'retry', reason: 'no_access_token', afterMs: null }
      throw error
    }
  }

  async close(): Promise<void> {
    await this.agent.destroy()
  }

  private post(body: string, token: string, permit: Permit): Promise<CallResult> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    return postOnce(this.agent, { origin: this.options.endpoint, path: this.path, headers, body }, permit)
  }
}
