// Tokens of tracked links: they say nothing, cannot be guessed, and a forged one is recognised without asking the database.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { EncryptionKeys } from '@stepcast/accounts'

/** The service a link belongs to, as its first letter: the gateway forwards by it. */
export type LinkLetter = 's' | 'k'

// 80 bits: among the hundred million links of a busy month two are the same with a probability of 4 in a billion.
const idBytes = 10
// 64 bits: a forged one passes once in 10^19 tries.
const macBytes = 8
// 18 bytes are 24 characters without a bit to spare, so that no other text decodes to the same token.
const pattern = /^[A-Za-z0-9_-]{24}$/

/** Characters of a tracked link; `publicUrl`: the address people reach the gateway at, without a slash at its end. */
export const trackedLinkLength = (publicUrl: string): number => `${publicUrl}/l/`.length + 25

/** Makes and checks the tokens of one service. */
export class LinkTokens {
  /** Links are made with the first, and those made with the one before are followed too. */
  private readonly keys: readonly [Buffer, ...Buffer[]]

  /** @param secret the keys of the installation, or a single one */
  constructor(
    secret: string | EncryptionKeys,
    private readonly letter: LinkLetter,
  ) {
    const { current, previous } = typeof secret === 'string' ? { current: secret, previous: null } : secret
    this.keys = [keyOf(current), ...(previous === null ? [] : [keyOf(previous)])]
  }

  /**
   * The token of a message's link: the same for every attempt, so that a text sent again is the same text. `target` tells apart what versions
   * of Stepcast that find other links in a text number alike.
   */
  of(messageId: string, index: number, target = ''): string {
    const [key] = this.keys
    const id = hmac(key, `id\n${messageId}\n${index}${target === '' ? '' : `\n${target}`}`).subarray(0, idBytes)
    return this.letter + Buffer.concat([id, this.mac(key, id)]).toString('base64url')
  }

  /** Whether this service made the token. Constant time. */
  isGenuine(token: string): boolean {
    if (!token.startsWith(this.letter) || !pattern.test(token.slice(1))) return false
    const bytes = Buffer.from(token.slice(1), 'base64url')
    return this.keys.some((key) => timingSafeEqual(bytes.subarray(idBytes), this.mac(key, bytes.subarray(0, idBytes))))
  }

  private mac(key: Buffer, id: Buffer): Buffer {
    return hmac(key, `mac\n${this.letter}\n${id.toString('base64url')}`).subarray(0, macBytes)
  }
}

const keyOf = (secret: string): Buffer => Buffer.from(hkdfSync('sha256', secret, '', 'stepcast tracked links', 32))
const hmac = (key: Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest()
