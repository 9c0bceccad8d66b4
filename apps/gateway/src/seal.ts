// Secrets at rest: AES-256-GCM under a key derived from the installation's secret, bound to the name they belong to.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16

export class Seal {
  private readonly key: Buffer

  /** @param secret STEPCAST_ENCRYPTION_KEY, or the internal secret where that is not set. */
  constructor(secret: string) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'stepcast signing secrets', 32))
  }

  /** Encrypts; the result opens only with the same name. */
  close(secret: string, name: string): Buffer {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce).setAAD(Buffer.from(name))
    return Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
  }

  /** Decrypts; throws when it was altered, moved to another name, or closed under another secret. */
  open(sealed: Buffer, name: string): string {
    const decipher = createDecipheriv('aes-256-gcm', this.key, sealed.subarray(0, nonceBytes)).setAAD(Buffer.from(name))
    decipher.setAuthTag(sealed.subarray(-tagBytes))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString('utf8')
    } catch {
      throw new Error(`the signing secret ${name} does not open: was STEPCAST_ENCRYPTION_KEY (or STEPCAST_INTERNAL_SECRET) changed?`)
    }
  }
}
