// Apple's provider token: an ES256 JWT signed here, renewed neither too late (an hour) nor too often (20 minutes).
import { createPrivateKey } from 'node:crypto'
import { SignJWT } from 'jose'
import type { ApnsAccount } from '@stepcast/accounts'

// "No more than once every 20 minutes and no less than once every 60 minutes" (Establishing a token-based connection to APNs).
const renewAfterMs = 40 * 60_000
const keepAtLeastMs = 20 * 60_000

/** The token of one key, shared by all its requests. */
export class ProviderToken {
  private current: { token: string; signedAt: number } | null = null
  private signing: Promise<string> | null = null

  /** @param now a clock that never jumps, milliseconds */
  constructor(
    private readonly key: Pick<ApnsAccount, 'teamId' | 'keyId' | 'privateKey'>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The token, signed anew when it is 40 minutes old. */
  get(): Promise<string> {
    return this.current !== null && this.age() < renewAfterMs ? Promise.resolve(this.current.token) : this.sign()
  }

  /** Another token than the one APNs called expired; null when that one is younger than 20 minutes, since Apple would refuse the next. */
  async instead(expired: string): Promise<string | null> {
    if (this.current !== null && this.current.token !== expired) return this.current.token
    return this.current !== null && this.age() < keepAtLeastMs ? null : this.sign()
  }

  private age(): number {
    return this.now() - this.current!.signedAt
  }

  private sign(): Promise<string> {
    this.signing ??= this.signed().finally(() => (this.signing = null))
    return this.signing
  }

  private async signed(): Promise<string> {
    const { teamId, keyId, privateKey } = this.key
    const signedAt = this.now()
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: keyId })
      .setIssuer(teamId)
      .setIssuedAt()
      .sign(createPrivateKey(privateKey))
    this.current = { token, signedAt }
    return token
  }
}
