// Twilio's signature of its callbacks, against a vector of its own libraries.
import { isSignedByTwilio, twilioSignature } from './twilioSignature'

// The example of Twilio's documents and of the specs of its libraries.
const url = 'https://mycompany.com/myapp.php?foo=1&bar=2'
const token = '12345'
const form = new URLSearchParams({
  CallSid: 'CA1234567890ABCDE',
  From: '+12349013030',
  To: '+18005551212',
  Caller: '+12349013030',
  Digits: '1234',
})
const signature = '0/KCTR6DLpKmkAf8muzZqo1nDgQ='

describe("Twilio's signature", () => {
  it('is what Twilio computes', () => expect(twilioSignature(token, url, form)).toBe(signature))
  it('is good whatever the order of the parameters', () => {
    const reversed = new URLSearchParams([...form].reverse())
    expect(isSignedByTwilio(token, signature, url, reversed)).toBe(true)
  })
  it('is good with the standard port in the address or without', () => {
    expect(isSignedByTwilio(token, signature, url.replace('.com/', '.com:443/'), form)).toBe(true)
    expect(isSignedByTwilio(token, twilioSignature(token, url.replace('.com/', '.com:443/'), form), url, form)).toBe(true)
  })
  it('counts a repeated parameter as twilio-node does: each value once, in order', () => {
    const twice = new URLSearchParams([
      ['a', '2'],
      ['a', '1'],
      ['a', '2'],
    ])
    expect(twilioSignature(token, url, twice)).toBe(
      twilioSignature(
        token,
        url,
        new URLSearchParams([
          ['a', '1'],
          ['a', '2'],
        ]),
      ),
    )
  })
  it.each([
    ['another token', () => isSignedByTwilio('12346', signature, url, form)],
    ['another query', () => isSignedByTwilio(token, signature, url.replace('foo=1', 'foo=2'), form)],
    ['another path', () => isSignedByTwilio(token, signature, url.replace('myapp', 'yourapp'), form)],
    ['another scheme', () => isSignedByTwilio(token, signature, url.replace('https', 'http'), form)],
    ['a parameter more', () => isSignedByTwilio(token, signature, url, new URLSearchParams([...form, ['x', '1']]))],
    ['a parameter changed', () => isSignedByTwilio(token, signature, url, new URLSearchParams([...form, ['Digits', '1']]))],
    ['a truncated one', () => isSignedByTwilio(token, signature.slice(0, -1), url, form)],
    ['none', () => isSignedByTwilio(token, '', url, form)],
  ])('is refused: %s', (_what, isGood) => expect(isGood()).toBe(false))
})
