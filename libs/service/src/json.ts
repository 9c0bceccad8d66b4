// JSON as it comes in: the bytes of its charset and no others, and not deeper than anything of ours is.
import { Problem, unreadable } from './problem'

/** Objects and lists within each other, at most: ours are five deep, and what works through them does so by recursion. */
export const maxJsonDepth = 64

/**
 * Parses a body.
 * @param charset of its Content-Type; UTF-8 is JSON's own (RFC 8259 §8.1)
 * @throws Problem 400 for bytes that are not of the charset, for what is no JSON and for what is too deep; 415 for a charset nobody knows
 */
export function jsonOf(bytes: Buffer, charset = 'utf-8'): unknown {
  const text = textOf(bytes, charset)
  expectShallow(text)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw unreadable([{ path: '', message: notJson((error as Error).message) }])
  }
}

function textOf(bytes: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ENCODING_NOT_SUPPORTED')
      throw new Problem({ status: 415, detail: `The charset ${JSON.stringify(charset.slice(0, 40))} is not known: send UTF-8.` })
    // Read as U+FFFD, people would be sent that.
    throw unreadable([{ path: '', message: 'is not UTF-8: send JSON in UTF-8, or name its charset in Content-Type' }])
  }
}

function expectShallow(text: string): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (inString) {
      if (unit === backslash) i++
      else if (unit === quote) inString = false
    } else if (unit === quote) inString = true
    else if (unit === openBrace || unit === openBracket) {
      if (++depth > maxJsonDepth) throw tooDeep()
    } else if (unit === closeBrace || unit === closeBracket) depth--
  }
}

/** 400: objects and lists within each other, more than {@link maxJsonDepth}. */
export const tooDeep = (): Problem => unreadable([{ path: '', message: `is nested more than ${maxJsonDepth} levels deep` }])

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = ['"', '\\', '{', '}', '[', ']'].map((sign) =>
  sign.charCodeAt(0),
)

/** Node's words on where it stopped, without the piece of the body that they quote: it may be a piece of a secret or of a person. */
function notJson(words: string): string {
  const position = /at position \d+/.exec(words)?.[0]
  return position === undefined ? 'is not JSON' : `is not JSON: unreadable ${position}`
}
