// Tokens of tracked links: the same for every attempt, not to be guessed, altered or used at another service.
import { LinkTokens } from './linkTokens'

const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.3.sms'
const sms = new LinkTokens('a'.repeat(64), 's')

describe('a token of a tracked link', () => {
  const token = sms.of(messageId, 0)

  it('is 25 characters that need no escaping, beginning with the letter of its service', () =>
    expect(token).toMatch(/^s[A-Za-z0-9_-]{24}$/))
  it('says nothing of the message', () => expect(Buffer.from(token.slice(1), 'base64url').toString('latin1')).not.toContain('623f8d79'))
  it('is the same each time, and another for each link and message', () => {
    expect(sms.of(messageId, 0)).toBe(token)
    expect(sms.of(messageId, 0, 'https://shop.example/a')).toBe(sms.of(messageId, 0, 'https://shop.example/a'))
    expect(sms.of(messageId, 0, 'https://shop.example/a')).not.toBe(sms.of(messageId, 0, 'https://shop.example/b'))
    expect(new Set([token, sms.of(messageId, 1), sms.of(messageId.replace('.3.', '.2.'), 0)]).size).toBe(3)
  })
  it('is genuine', () => expect(sms.isGenuine(token)).toBe(true))
  it('is not when any one of its bits is another', () => {
    const bytes = Buffer.from(token.slice(1), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(sms.isGenuine(`s${flipped.toString('base64url')}`)).toBe(false)
    }
  })
  it('is not at the other service, nor with its letter', () => {
    const kakao = new LinkTokens('a'.repeat(64), 'k')
    expect([kakao.isGenuine(token), kakao.isGenuine(`k${token.slice(1)}`), sms.isGenuine(`k${token.slice(1)}`)]).toEqual([
      false,
      false,
      false,
    ])
  })
  it('is not of another installation', () => expect(new LinkTokens('b'.repeat(64), 's').isGenuine(token)).toBe(false))
  it.each([
    '',
    's',
    `${token}A`,
    token.slice(0, -1),
    ` ${token}`,
    `${token}=`,
    `${token}\n`,
    `s${'='.repeat(24)}`,
    `s//evil.example/x`.padEnd(25, 'A'),
  ])('is not %j', (other) => expect(sms.isGenuine(other)).toBe(false))
})
