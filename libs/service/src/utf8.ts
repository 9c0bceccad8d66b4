// JSON is UTF-8 (RFC 8259 §8.1): other bytes are refused, not guessed at.
import { isUtf8 } from 'node:buffer'

/** The type of the error of a body whose bytes are no UTF-8. */
export const notUtf8 = 'entity.not.utf8'

/**
 * For Express's JSON parser (`verify`): refuses bytes that are no UTF-8 with a 400. It would read each of them as U+FFFD, and people would
 * be sent that.
 */
export function expectUtf8(_request: unknown, _response: unknown, body: Buffer, encoding: string): void {
  if (encoding !== 'utf-8' || isUtf8(body)) return
  const message = 'is not UTF-8: send JSON in UTF-8, or name its charset in Content-Type'
  throw Object.assign(new Error(message), { status: 400, type: notUtf8 })
}
