// Secrets at rest: AES-256-GCM under a key derived from the installation's secret, bound to the name they belong to.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16

/** What a seal is for: each purpose has a key of its own, so that a secret sealed for one never opens as another. */
export type SealPurpose = 'signing secrets' | 'provider accounts'

/** Closes and opens secrets of one purpose. */
export class Seal {
  private readonly key: Buffer

  /** @param secret STEPCAST_ENCRYPTION_KEY, or the internal secret where that is not set. */
  constructor(
    secret: string,
    private readonly purpose: SealPurpose = 'signing secrets',
  ) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', `stepcast ${purpose}`, 32))
  }

  /** Encrypts; the result opens only with the same name. */
  close(secret: string, name: string): Buffer {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce).setAAD(Buffer.from(name))
    return Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
  }

  /** Decrypts. @throws Error when it was altered, moved to another name, or closed under another secret or for another purpose. */
  open(sealed: Buffer, name: string): string {
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.key, sealed.subarray(0, nonceBytes)).setAAD(Buffer.from(name))
      decipher.setAuthTag(sealed.subarray(-tagBytes))
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString('utf8')
    } catch {
      // Not the cause: it says nothing a person could use.
      throw new Error(
        `${name} does not open (${this.purpose}): was STEPCAST_ENCRYPTION_KEY (or STEPCAST_INTERNAL_SECRET) changed?`,
      )
    }
  }
}

/**
 * The installation's secret that seals are made from: STEPCAST_ENCRYPTION_KEY, else STEPCAST_INTERNAL_SECRET.
 * @throws Error when neither is set
 */
export function encryptionSecretOf(env: Readonly<Record<string, string | undefined>>): string {
  const secret = env.STEPCAST_ENCRYPTION_KEY || env.STEPCAST_INTERNAL_SECRET
  if (!secret) throw new Error('STEPCAST_INTERNAL_SECRET is missing: give the secret that all services share')
  return secret
}
