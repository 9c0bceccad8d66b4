// The provider token: what it says, and when it is signed anew.
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { jwtVerify } from 'jose'
import { ProviderToken } from './apnsToken'

const minute = 60_000

describe('a provider token', () => {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const key = { teamId: 'TEAM123456', keyId: 'KEY1234567', privateKey }
  let now = 0
  let token: ProviderToken

  beforeEach(() => {
    now = 1_000_000
    token = new ProviderToken(key, () => now)
  })

  it('is an ES256 JWT of the team by the key', async () => {
    const { payload, protectedHeader } = await jwtVerify(await token.get(), createPublicKey(privateKey))
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'KEY1234567' })
    expect(payload).toEqual({ iss: 'TEAM123456', iat: expect.any(Number) })
    expect(Math.abs(payload.iat! - Date.now() / 1_000)).toBeLessThan(5)
  })

  it('is signed once for all who ask, and anew after 40 minutes', async () => {
    const [first, second] = await Promise.all([token.get(), token.get()])
    now += 39 * minute
    expect([second, await token.get()]).toEqual([first, first])
    now += 2 * minute
    expect(await token.get()).not.toBe(first)
  })

  it('is replaced when APNs calls it expired, once for all who hear so', async () => {
    const first = await token.get()
    now += 21 * minute
    const [second, third] = await Promise.all([token.instead(first), token.instead(first)])
    expect(second).not.toBe(first)
    expect([third, await token.instead(first), await token.get()]).toEqual([second, second, second])
  })

  it('is never renewed twice within 20 minutes: Apple would refuse the second', async () => {
    const first = await token.get()
    now += 19 * minute
    expect(await token.instead(first)).toBeNull()
    expect(await token.get()).toBe(first)
  })
})
