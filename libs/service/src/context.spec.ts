// A signed context is believed for a minute, from us, unaltered, and otherwise not at all.
import { SignJWT } from 'jose'
import { type CallerContext, contextKey, signContext, verifyContext } from './context'

const key = contextKey('a-secret-of-at-least-32-characters')
const caller: CallerContext = { workspaceId: 'demo', scopes: ['send'], userId: null, via: 'api_key', keyId: 'ak_1' }

it('comes back as it was signed', async () => {
  expect(await verifyContext(key, await signContext(key, caller))).toEqual(caller)
})

it('is nothing when altered, expired, unsigned or signed by another', async () => {
  const token = await signContext(key, caller)
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const richer = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), scopes: ['admin'] })).toString(
    'base64url',
  )
  expect(await verifyContext(key, `${header}.${richer}.${signature}`)).toBeNull()
  expect(await verifyContext(contextKey('another-secret-of-32-characters-or-more'), token)).toBeNull()
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  expect(await verifyContext(key, `${none}.${payload}.`)).toBeNull()
  const old = await new SignJWT({ ...caller })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('stepcast')
    .setIssuedAt(1)
    .setExpirationTime(2)
    .sign(key)
  expect(await verifyContext(key, old)).toBeNull()
  expect(await verifyContext(key, 'x')).toBeNull()
})

it('refuses a short secret by its name', () => {
  expect(() => contextKey('short')).toThrow('STEPCAST_INTERNAL_SECRET')
})
