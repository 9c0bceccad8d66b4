// The http(s) addresses in a text that people wrote, found so that the text around them stays as it is.

// RFC 3986's characters and no others: an address ends at a space, a quote, or a letter outside ASCII, such as a Korean particle
// written right behind it ("https://shop.example/42에서"). Paths in other alphabets must therefore be percent-encoded.
const address = /\bhttps?:\/\/[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+/gi
const closing: Readonly<Record<string, string>> = { ')': '(', ']': '[' }

/** More is no link that anybody put into a message; Twilio takes 1,600 characters in all. */
const maxLength = 2_048

/**
 * Whether a link may be tracked: an absolute http(s) address without a user name, since `https://bank.example@evil.example` is made to
 * deceive and a short link would hide it.
 */
export function isTrackable(url: string): boolean {
  if (url.length > maxLength || !/^https?:\/\//i.test(url) || !URL.canParse(url)) return false
  const { protocol, username, password } = new URL(url)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}

/** Replaces every trackable link of a text, in order. Whatever cannot be tracked stays as it is. */
export const replaceLinks = (text: string, replace: (url: string) => string): string =>
  text.replace(address, (found) => {
    const url = withoutTrailing(found)
    return isTrackable(url) ? replace(url) + found.slice(url.length) : found
  })

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
    if (extra === undefined ? !/[.,;:!?'*]/.test(last) : extra <= 0) break
    if (extra !== undefined) unopened.set(last, extra - 1)
  }
  return found.slice(0, end)
}

const count = (text: string, character: string): number => text.split(character).length - 1
