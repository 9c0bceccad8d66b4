// X-Twilio-Signature: https://www.twilio.com/docs/usage/security#validating-requests, and what twilio-node's validateRequest adds.
import { createHmac, timingSafeEqual } from 'node:crypto'

/** The signature of a form posted to a URL: HMAC-SHA1 over the URL and every parameter, name and value, in order of the names. */
export function twilioSignature(authToken: string, url: string, form: URLSearchParams): string {
  const names = [...new Set(form.keys())].sort()
  const parameters = names.map((name) =>
    [...new Set(form.getAll(name))]
      .sort()
      .map((value) => name + value)
      .join(''),
  )
  return createHmac('sha1', authToken)
    .update(url + parameters.join(''), 'utf8')
    .digest('base64')
}

/** Whether Twilio signed this. It is not sure whether a URL is signed with its port, so both are good. Constant time. */
export function isSignedByTwilio(authToken: string, signature: string, url: string, form: URLSearchParams): boolean {
  const given = Buffer.from(signature)
  return withAndWithoutPort(url).some((candidate) => {
    const expected = Buffer.from(twilioSignature(authToken, candidate, form))
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

function withAndWithoutPort(url: string): string[] {
  const parts = /^(https?):\/\/([^/?#:]+)(:\d+)?(.*)$/s.exec(url)
  if (parts === null) return [url]
  const [, scheme, host, port, rest] = parts
  const standard = scheme === 'https' ? ':443' : ':80'
  return [url, port === undefined ? `${scheme}://${host}${standard}${rest}` : `${scheme}://${host}${rest}`]
}
