// Access tokens for Kafka by OAuth 2's client credentials (RFC 6749, 4.4): one is kept, and replaced before it expires.

/** Where tokens come from, and who asks. */
export interface OAuthClient {
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly clientSecret: string
  readonly scope: string | null
}

/** No token came. `retriable` is false where the server has refused us. */
class TokenRefused extends Error {
  constructor(
    message: string,
    readonly retriable: boolean,
  ) {
    super(message)
  }
}

const answerMs = 5_000
/** Where neither the answer nor the token says how long it lives. */
const unknownLifeS = 300
/** The Kafka client signs in again 10 s before a session ends, which is when its token expires: by then there has to be another. */
const beforeEndMs = 11_000
const renewedAt = 0.8
const askAgainMs = 5_000

interface Held {
  readonly value: string
  readonly renewAt: number
  readonly expiresAt: number
}

/** The tokens of one client. */
export class OAuthTokens {
  private held: Held | null = null
  private asking: Promise<Held> | null = null

  constructor(private readonly client: OAuthClient) {}

  /**
   * A token that is good for now; asked for only when there is none, or the one at hand is about to expire. A server that is away is no
   * matter while that one lives.
   * @throws TokenRefused
   */
  readonly token = async (): Promise<string> => {
    if (this.held !== null && Date.now() < this.held.renewAt) return this.held.value
    this.asking ??= this.ask().finally(() => (this.asking = null))
    try {
      this.held = await this.asking
    } catch (error) {
      const now = Date.now()
      if (this.held === null || now >= this.held.expiresAt) throw error
      this.held = { ...this.held, renewAt: Math.min(now + askAgainMs, this.held.expiresAt) }
    }
    return this.held.value
  }

  private async ask(): Promise<Held> {
    const { tokenEndpoint, clientId, clientSecret, scope } = this.client
    const askedAt = Date.now()
    const where = `KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT ${tokenEndpoint}`
    let status: number
    let text: string
    try {
      const answer = await fetch(tokenEndpoint, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64')}`,
          accept: 'application/json',
        },
        body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope !== null && { scope }) }),
        // Our secret goes where it was told to go and nowhere else.
        redirect: 'error',
        signal: AbortSignal.timeout(answerMs),
      })
      status = answer.status
      text = await answer.text()
    } catch (error) {
      const cause = (error as Error).cause as Error | undefined
      throw new TokenRefused(`${where} is out of reach: ${cause?.message || (error as Error).message}`, true)
    }
    if (status !== 200) {
      const isOurs = status >= 400 && status < 500 && status !== 408 && status !== 429
      const hint = isOurs ? '. Are KAFKA_SASL_OAUTHBEARER_CLIENT_ID, _CLIENT_SECRET and _SCOPE right?' : ''
      throw new TokenRefused(`${where} answered ${status}${errorIn(text)}${hint}`, !isOurs)
    }
    const answer = parsed(text)
    const value = answer.access_token
    // What may stand in a header, and so in the sign-in.
    if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
      throw new TokenRefused(`${where} answered 200 without an access_token`, false)
    const lifeMs = 1_000 * (lifeOf(answer.expires_in) ?? lifeOf((expiryIn(value) ?? NaN) - askedAt / 1_000) ?? unknownLifeS)
    return { value, expiresAt: askedAt + lifeMs, renewAt: askedAt + Math.min(lifeMs * renewedAt, lifeMs - beforeEndMs) }
  }
}

/** RFC 6749, 2.3.1: as in a form. */
const formEncoded = (text: string): string => new URLSearchParams({ _: text }).toString().slice(2)

const parsed = (text: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** `error` and `error_description` of RFC 6749, 5.2: short, since a server may answer with a page. */
function errorIn(text: string): string {
  const { error, error_description: description } = parsed(text)
  return typeof error !== 'string' ? '' : ` ${error}${typeof description === 'string' ? ` (${description.slice(0, 200)})` : ''}`
}

/** Some servers send the number as text. */
function lifeOf(seconds: unknown): number | null {
  const value = Number(seconds)
  return (typeof seconds === 'number' || typeof seconds === 'string') && Number.isFinite(value) && value > 0 ? value : null
}

/** When a JWT expires, seconds since 1970; null: it is none, or does not say. */
function expiryIn(token: string): number | null {
  const payload = token.split('.')[1]
  const { exp } = payload === undefined ? {} : (parsed(Buffer.from(payload, 'base64url').toString('utf8')) as { exp?: unknown })
  return typeof exp === 'number' ? exp : null
}
