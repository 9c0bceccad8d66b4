// The http(s) addresses in a text that people wrote, found so that the text around them stays as it is.
import { LinkifyIt } from 'linkify-it'
import { particleEnd } from '@stepcast/template'

/** More is no link that anybody put into a message; Twilio takes 1,600 characters in all. */
const maxLength = 2_048

/** Whether an http(s) address leads to a host without a user name. */
function isHarmless(url: string): boolean {
  if (url.length > maxLength || !/^https?:\/\//i.test(url) || !URL.canParse(url)) return false
  const { protocol, username, password } = new URL(url)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}

/**
 * Whether a link may be tracked: an absolute http(s) address without a user name, since `https://bank.example@evil.example` is made to
 * deceive and a short link would hide it. `http:///x` is none, though browsers make one of it.
 */
export const isTrackable = (url: string): boolean => /^https?:\/\/[^\s/\\]/i.test(url) && isHarmless(url)

/** Whether a link made before leads where it was made to lead; some were made of what {@link isTrackable} takes for no address now. */
export const isFollowable = isHarmless

/** Replaces every trackable link of a text, in order. Whatever cannot be tracked, or may not end where it seems to, stays as it is. */
export function replaceLinks(text: string, replace: (url: string) => string): string {
  let out = ''
  let done = 0
  let passed = 0
  for (const { index, 0: scheme } of text.matchAll(/\bhttps?:(?=\/\/)/gi)) {
    // Inside the one before.
    if (index < passed) continue
    const length = linkifier.testSchemaAt(text, 'https:', index + scheme.length)
    if (length === 0) continue
    passed = index + scheme.length + length
    const end = linkEnd(text, index, passed)
    const url = text.slice(index, end)
    if (end === -1 || !isTrackable(url)) continue
    out += text.slice(done, index) + replace(url)
    done = passed = end
  }
  return out + text.slice(done)
}

// Phones link as far as this does: other alphabets, |, {}, ^ and balanced brackets belong to an address; sentence marks at its end do not.
const linkifier = new LinkifyIt({ maxLength, urlAuth: true })
const structure = /[A-Za-z0-9/?&=#%]/

/**
 * Where the link that begins at `from`, `to` being as far as a phone may go, ends but for what is surely text written right behind it: a Korean
 * particle ("https://shop.example/42에서"), emojis, quotes, marks and invisible characters. -1: it may go on further than anybody can tell, and is
 * left alone.
 */
function linkEnd(text: string, from: number, to: number): number {
  const whole = text.slice(from, to)
  // Brackets and quotes around a link are not the link's.
  const quoted = /["<>]/.exec(whole)
  const link = withoutTrailing(quoted === null ? whole : whole.slice(0, quoted.index))
  const other = /[^\x00-\x7f]/.exec(link)
  if (other === null) return goesOn(text.slice(from + link.length, from + link.length + 100)) ? -1 : from + link.length
  const cut = foreignEnd(link, other.index)
  return cut === -1 ? -1 : from + withoutTrailing(link.slice(0, cut)).length
}

/** Where a link ends whose first character outside ASCII is at `at`; -1: nobody can tell. */
function foreignEnd(link: string, at: number): number {
  const { length: hostEnd } = /^https?:\/\/[^/?#\\]*/i.exec(link)![0]
  const rest = link.slice(at)
  const before = link.charAt(at - 1)
  const first = String.fromCodePoint(link.codePointAt(at)!)
  if (/[\p{P}\p{Cf}\p{Z}]/u.test(first)) return at
  // Emojis, unless an address goes on behind them.
  const symbols = /^[\p{S}\p{M}\u200d\ufe0e\ufe0f]+/u.exec(rest)
  if (symbols !== null) {
    const behind = rest.slice(symbols[0].length)
    return /[A-Za-z0-9]/.test(before) && (/^https?:\/\//i.test(behind) || !structure.test(behind)) ? at : -1
  }
  const particle = /[A-Za-z0-9]/.test(before) ? particleEnd(link, at) : -1
  if (particle !== -1 && !structure.test(link.slice(particle))) return at
  // A host in other letters: a phone may take more or less of it.
  if (at < hostEnd) return -1
  // "café": a word that goes on; "42상품": a word of the address, or of the sentence.
  const isPath = /[/=&#?%_+~@:-]/.test(before) || /\p{Script=Latin}/u.test(first) || structure.test(rest)
  if (!isPath || /https?:\/\//i.test(rest)) return -1
  return wholeEnd(link, at)
}

/** The end of a link that has other letters in its path or query: all of it, but for marks, emojis and a particle behind its last ASCII letter. */
function wholeEnd(link: string, from: number): number {
  for (let i = from; i < link.length; i++) {
    const character = String.fromCodePoint(link.codePointAt(i)!)
    if (character > '\x7f') {
      if (/[\p{P}\p{Cf}\p{S}]/u.test(character)) return structure.test(link.slice(i)) ? -1 : i
      const isBehindAscii = /[A-Za-z0-9]/.test(link.charAt(i - 1))
      if (isBehindAscii) {
        const particle = particleEnd(link, i)
        if (particle !== -1 && !structure.test(link.slice(particle))) return i
        // "…/상품/42확인하세요".
        if (!/\p{Script=Latin}/u.test(character) && !structure.test(link.slice(i))) return -1
      }
    }
    i += character.length - 1
  }
  return link.length
}

/** Whether what stands right behind a link of ASCII reads as if the link went on, which phones may do. */
function goesOn(behind: string): boolean {
  // A bracket that was opened in front of the link, a quote, or another alphabet ends it for everybody.
  if (/^[^\x00-\x7f]|^[)\]}'"<>\s]|^$/.test(behind)) return false
  return /^[.,;:!?*|^`\\]*[A-Za-z0-9/&=#%{~_@+$(-]/.test(behind)
}

const closing: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' }

/**
 * Leaves out what ends the sentence instead of the address: punctuation, and brackets that were opened before it. Brackets are counted once:
 * a text is as long as its variables, and while one is read no other SMS is sent.
 */
function withoutTrailing(found: string): string {
  const unopened = new Map(Object.entries(closing).map(([last, opening]) => [last, count(found, last) - count(found, opening)]))
  let end = found.length
  for (; end > 0; end--) {
    const last = found.charAt(end - 1)
    const extra = unopened.get(last)
    if (extra === undefined ? !/[.,;:!?'*|^`\\]/.test(last) : extra <= 0) break
    if (extra !== undefined) unopened.set(last, extra - 1)
  }
  return found.slice(0, end)
}

const count = (text: string, character: string): number => text.split(character).length - 1
