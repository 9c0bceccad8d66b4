// Google's access token of a service account: the JWT-bearer grant (RFC 7523), cached until shortly before it expires.
import { createPrivateKey } from 'node:crypto'
import { SignJWT } from 'jose'
import { request, type Dispatcher } from 'undici'
import type { FcmAccount } from '@stepcast/accounts'

const messagingScope = 'https://www.googleapis.com/auth/firebase.messaging'
// Renewed this long before its end, so that no request leaves with a token about to expire.
const renewBeforeMs = 60_000
const timeoutMs = 10_000

/** No access token could be had: nothing was sent, another try may work. */
export class AccessTokenUnavailable extends Error {
  readonly retriable = true
}

/** Where access tokens are had. */
export interface TokenEndpoint {
  /**
   * `https://oauth2.googleapis.com/token`, or the sandbox's. The installation's, not the `token_uri` of the account: a workspace
   * must not choose whom this process talks to.
   */
  readonly url: string
  readonly dispatcher: Dispatcher
}

/** The token of one service account, shared by all requests. */
export class AccessToken {
  private current: { token: string; renewAt: number } | null = null
  private asking: Promise<string> | null = null

  /** @param now a clock that never jumps, milliseconds */
  constructor(
    private readonly account: FcmAccount['serviceAccount'],
    private readonly endpoint: TokenEndpoint,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * The token, asked for when there is none or it ends soon.
   * @param refused a token that FCM answered 401 to: another is asked for, once for all who were refused
   * @throws AccessTokenUnavailable
   */
  async get(refused: string | null = null): Promise<string> {
    if (this.current && this.current.token !== refused && this.now() < this.current.renewAt) return this.current.token
    this.asking ??= this.ask().finally(() => (this.asking = null))
    return this.asking
  }

  private async ask(): Promise<string> {
    const assertion = await new SignJWT({ scope: messagingScope })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .setIssuer(this.account.client_email)
      .setAudience(this.endpoint.url)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(createPrivateKey(this.account.private_key))
    const granted = await this.grant(assertion)
    this.current = { token: granted.access_token, renewAt: this.now() + granted.expires_in * 1_000 - renewBeforeMs }
    return granted.access_token
  }

  private async grant(assertion: string): Promise<{ access_token: string; expires_in: number }> {
    const { url, dispatcher } = this.endpoint
    try {
      const { statusCode, body } = await request(url, {
        dispatcher,
        method: 'POST',
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }).toString(),
      })
      const text = await body.text()
      if (statusCode !== 200) throw new Error(`${statusCode} ${text.slice(0, 200)}`)
      return JSON.parse(text) as { access_token: string; expires_in: number }
    } catch (cause) {
      throw new AccessTokenUnavailable(`${url} gave no access token: ${(cause as Error).message}`)
    }
  }
}
