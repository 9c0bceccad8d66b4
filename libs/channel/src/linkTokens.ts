// Tokens of tracked links: they say nothing, cannot be guessed, and a forged one is recognised without asking the database.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

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
  private readonly key: Buffer

  /** @param secret STEPCAST_ENCRYPTION_KEY, or the internal secret where that is not set. */
  constructor(
    secret: string,
    private readonly letter: LinkLetter,
  ) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'stepcast tracked links', 32))
  }

  /**
   * The token of a message's link: the same for every attempt, so that a text sent again is the same text. `target` tells apart what versions
   * of Stepcast that find other links in a text number alike.
   */
  of(messageId: string, index: number, target = ''): string {
    const id = this.hmac(`id\n${messageId}\n${index}${target === '' ? '' : `\n${target}`}`).subarray(0, idBytes)
    return this.letter + Buffer.concat([id, this.mac(id)]).toString('base64url')
  }

  /** Whether this service made the token. Constant time. */
  isGenuine(token: string): boolean {
    if (!token.startsWith(this.letter) || !pattern.test(token.slice(1))) return false
    const bytes = Buffer.from(token.slice(1), 'base64url')
    return timingSafeEqual(bytes.subarray(idBytes), this.mac(bytes.subarray(0, idBytes)))
  }

  private mac(id: Buffer): Buffer {
    return this.hmac(`mac\n${this.letter}\n${id.toString('base64url')}`).subarray(0, macBytes)
  }

  private hmac(data: string): Buffer {
    return createHmac('sha256', this.key).update(data).digest()
  }
}
