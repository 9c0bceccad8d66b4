// Accounts in a workspace's settings: sealed under their workspace and provider, opened only by the dispatcher that sends with them.
import { providers, type AccountOf, type ProviderName } from './account'
import { Seal, type EncryptionKeys } from './seal'

/** An account as it stands in `settings.providers` of a workspace: in databases, on Kafka, never in an answer. */
export interface SealedAccount {
  /** Base64. Equal texts are the same account; sealing one again gives another text. */
  readonly sealed: string
  /** What a person recognises it by; no secret. */
  readonly account: string
  /** RFC 3339. */
  readonly updatedAt: string
}

/** Seals and opens accounts. */
export class AccountSeal {
  private readonly seal: Seal

  /** @param secret the keys, see {@link encryptionKeysOf}, or a single one */
  constructor(secret: string | EncryptionKeys) {
    this.seal = new Seal(secret, 'provider accounts')
  }

  /** Seals a checked account: base64. */
  close<P extends ProviderName>(workspaceId: string, provider: P, account: AccountOf[P]): string {
    return this.seal.close(JSON.stringify(account), nameOf(workspaceId, provider)).toString('base64')
  }

  /** The same account closed with the current key; null where it is already. @throws SealBroken */
  renewed(workspaceId: string, provider: ProviderName, sealed: string): string | null {
    return this.seal.renewed(Buffer.from(sealed, 'base64'), nameOf(workspaceId, provider))?.toString('base64') ?? null
  }

  /**
   * Opens an account and checks it again, since what is stored may be older than this code.
   * @throws Error without any of its content when it is altered, another workspace's or provider's, or no account
   */
  open<P extends ProviderName>(workspaceId: string, provider: P, sealed: string): AccountOf[P] {
    const name = nameOf(workspaceId, provider)
    const result = providers[provider].account.safeParse(JSON.parse(this.seal.open(Buffer.from(sealed, 'base64'), name)))
    if (result.success) return result.data
    throw new Error(`${name} is no account any more: ${result.error.issues.map(({ path }) => path.join('.')).join(', ')}`)
  }
}

const nameOf = (workspaceId: string, provider: ProviderName): string => `${workspaceId}/${provider}`
