// Secrets at rest: AES-256-GCM under a key derived from the installation's secret, bound to the name they belong to.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16

/** What a seal is for: each purpose has a key of its own, so that a secret sealed for one never opens as another. */
export type SealPurpose = 'signing secrets' | 'provider accounts'

/** The keys that seals are made of: closed with the first, opened with either while one replaces the other. */
export interface EncryptionKeys {
  readonly current: string
  readonly previous: string | null
  /** Where the current one was read. */
  readonly variable: 'STEPCAST_ENCRYPTION_KEY' | 'STEPCAST_INTERNAL_SECRET'
}

/** What is stored does not open: altered, moved to another name, or sealed with a key that was not given. */
export class SealBroken extends Error {}

/** Closes and opens secrets of one purpose. */
export class Seal {
  private readonly key: Buffer
  private readonly keys: readonly Buffer[]

  /** @param secret the keys, see {@link encryptionKeysOf}, or a single one */
  constructor(
    secret: string | EncryptionKeys,
    private readonly purpose: SealPurpose = 'signing secrets',
  ) {
    const { current, previous } = typeof secret === 'string' ? { current: secret, previous: null } : secret
    this.keys = [current, ...(previous === null ? [] : [previous])].map((key) =>
      Buffer.from(hkdfSync('sha256', key, '', `stepcast ${purpose}`, 32)),
    )
    this.key = this.keys[0]!
  }

  /** Encrypts; the result opens only with the same name. */
  close(secret: string, name: string): Buffer {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce).setAAD(Buffer.from(name))
    return Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
  }

  /** Decrypts. @throws SealBroken when it was altered, moved to another name, or closed under another secret or for another purpose. */
  open(sealed: Buffer, name: string): string {
    for (const key of this.keys) {
      const opened = openWith(key, sealed, name)
      if (opened !== null) return opened
    }
    throw new SealBroken(`${name} does not open (${this.purpose}): was STEPCAST_ENCRYPTION_KEY (or STEPCAST_INTERNAL_SECRET) changed?`)
  }

  /** The same secret closed with the current key; null where it is already. @throws SealBroken */
  renewed(sealed: Buffer, name: string): Buffer | null {
    return openWith(this.key, sealed, name) === null ? this.close(this.open(sealed, name), name) : null
  }
}

function openWith(key: Buffer, sealed: Buffer, name: string): string | null {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes)).setAAD(Buffer.from(name))
    decipher.setAuthTag(sealed.subarray(-tagBytes))
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString('utf8')
  } catch {
    // Not the cause: it says nothing a person could use.
    return null
  }
}

type Env = Readonly<Record<string, string | undefined>>

/**
 * The installation's secret that seals are made from: STEPCAST_ENCRYPTION_KEY, else STEPCAST_INTERNAL_SECRET.
 * @throws Error when neither is set
 */
export function encryptionSecretOf(env: Env): string {
  const secret = env.STEPCAST_ENCRYPTION_KEY || env.STEPCAST_INTERNAL_SECRET
  if (!secret) throw new Error('STEPCAST_INTERNAL_SECRET is missing: give the secret that all services share')
  return secret
}

/**
 * The keys of this installation: STEPCAST_ENCRYPTION_KEY (else STEPCAST_INTERNAL_SECRET) and, while it replaces another one,
 * STEPCAST_ENCRYPTION_KEY_PREVIOUS.
 * @throws Error when there is none
 */
export function encryptionKeysOf(env: Env): EncryptionKeys {
  const current = encryptionSecretOf(env)
  const previous = env.STEPCAST_ENCRYPTION_KEY_PREVIOUS || null
  return {
    current,
    previous: previous === current ? null : previous,
    variable: env.STEPCAST_ENCRYPTION_KEY ? 'STEPCAST_ENCRYPTION_KEY' : 'STEPCAST_INTERNAL_SECRET',
  }
}
