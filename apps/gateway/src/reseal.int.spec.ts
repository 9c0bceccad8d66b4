// Another encryption key: refused by itself, taken together with the one before, and everything turned over to it.
import { AccountSeal, encryptionKeysOf, encryptionSecretOf, fingerprintOfKey, type EncryptionKeys } from '@stepcast/accounts'
import { topics } from '@stepcast/contracts'
import { createPool } from '@stepcast/postgres'
import { startService, type RunningService } from '@stepcast/service'
import { eventually, readTopic, specStack, type SpecStack } from '@stepcast/testing'
import { smsDispatcher } from '../../sms-dispatcher/src/dispatch'
import { areRenewed } from '../../../libs/channel/src/previousKey'
import { dispatcherModule } from '@stepcast/channel'
import { SignJWT } from 'jose'
import type { Pool } from 'pg'
import { startGateway } from './gateway'
import { services } from './services'
import { reseal } from './reseal'

const old = 'the first key '.padEnd(40, 'x')
const fresh = 'the second key '.padEnd(40, 'y')
const twilio = { accountSid: `AC${'1'.repeat(32)}`, authToken: '2'.repeat(32), from: '+15005550006' }

let stack: SpecStack
let pool: Pool
let running: RunningService | null = null
beforeAll(async () => {
  stack = await specStack(__filename)
  pool = createPool({ databaseUrl: stack.databaseUrl, schema: 'gateway', applicationName: 'spec' })
})
afterEach(async () => {
  await running?.stop()
  running = null
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

const envWith = (current: string, previous?: string): Record<string, string> => ({
  ...stack.env,
  ...Object.fromEntries(services.map(({ urlVariable }) => [urlVariable, 'http://127.0.0.1:9'])),
  STEPCAST_ENCRYPTION_KEY: current,
  ...(previous && { STEPCAST_ENCRYPTION_KEY_PREVIOUS: previous }),
})
const start = async (...keys: [string, string?]): Promise<string> =>
  (running = await startGateway({ env: envWith(...keys), ownsProcess: false })).url

async function call(url: string, method: string, path: string, credential: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

const fingerprints = async (schema = 'gateway'): Promise<string[]> =>
  (await pool.query<{ fingerprint: string }>(`SELECT fingerprint FROM ${schema}.encryption_keys ORDER BY since`)).rows.map(
    ({ fingerprint }) => fingerprint,
  )

/** Whether user tokens of a workspace are taken: what they reach is away (503 or 502), but the token was judged; 401 and 500 are not that. */
async function userCall(url: string, { kid, secret }: { kid: string; secret: string }): Promise<{ status: number; body: any }> {
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', kid })
    .setSubject('ada')
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(Buffer.from(secret))
  return call(url, 'GET', '/v1/feed/unread-count', token)
}

describe('a key that is replaced', () => {
  let made: { apiKey: { key: string }; signingKey: { kid: string; secret: string } }

  it('is noted at the first start', async () => {
    const url = await start(old)
    made = (await call(url, 'POST', '/v1/workspaces', 'rk_spec', { workspaceId: 'shop', name: 'Shop' })).body
    expect((await call(url, 'PUT', '/v1/workspace/providers/twilio', made.apiKey.key, twilio)).status).toBe(200)
    expect(await fingerprints()).toEqual([fingerprintOfKey(old)])
  })

  it('another one alone does not start; the sentence names the variable', async () => {
    await expect(start(fresh)).rejects.toThrow(
      /^STEPCAST_ENCRYPTION_KEY \(.*secrets\/internal.*\) is not what the signing keys and provider accounts in this database are sealed with .*: give that key back, or give it as STEPCAST_ENCRYPTION_KEY_PREVIOUS/,
    )
    expect(await fingerprints()).toEqual([fingerprintOfKey(old)])
  })

  it('nor does it where a version without fingerprints wrote the database', async () => {
    await pool.query('DELETE FROM encryption_keys')
    await expect(start(fresh)).rejects.toThrow('STEPCAST_ENCRYPTION_KEY')
    await start(old)
    expect(await fingerprints()).toEqual([fingerprintOfKey(old)])
  })

  it('both together: tokens are taken meanwhile and everything is sealed anew, once, and told', async () => {
    const sealedBefore = (await pool.query(`SELECT settings->'providers'->'twilio'->>'sealed' AS sealed FROM workspaces`)).rows[0].sealed
    const url = await start(fresh, old)
    expect((await userCall(url, made.signingKey)).status).not.toBe(500)
    await eventually(async () => (await fingerprints()).join() === fingerprintOfKey(fresh))
    const keys: EncryptionKeys = encryptionKeysOf(envWith(fresh, old))
    expect(await reseal(pool, keys)).toEqual({ signingKeys: 0, accounts: 0, broken: [] })
    const sealed = (await pool.query(`SELECT settings->'providers'->'twilio'->>'sealed' AS sealed FROM workspaces`)).rows[0].sealed
    expect(sealed).not.toBe(sealedBefore)
    expect(new AccountSeal(fresh).open('shop', 'twilio', sealed)).toEqual(twilio)
    await eventually(async () => {
      const records = await readTopic(stack.connection(), topics.workspaces)
      return JSON.parse(records.at(-1)!.value!.settings).providers.twilio.sealed === sealed
    })
  })

  it('then the new one alone starts, the old one alone does not, and the user is who they were', async () => {
    const url = await start(fresh)
    expect([502, 503]).toContain((await userCall(url, made.signingKey)).status)
    await running!.stop()
    running = null
    await expect(start(old)).rejects.toThrow('STEPCAST_ENCRYPTION_KEY')
  })

  it('a signing key that opens with neither is a 503 that says which, never a 500', async () => {
    const url = await start(fresh)
    await pool.query(`UPDATE signing_keys SET sealed = '\\x00'`)
    const { status, body } = await userCall(url, made.signingKey)
    expect(status).toBe(503)
    expect(body.detail).toContain(`The signing key ${made.signingKey.kid} cannot be opened with the encryption key of this installation`)
    expect((await reseal(pool, encryptionKeysOf(envWith(fresh, old)))).broken).toEqual(['shop.1'])
  })
})

describe('a dispatcher', () => {
  const startSms = async (...keys: [string, string?]): Promise<RunningService> =>
    (running = await startService({
      name: 'sms-dispatcher',
      module: dispatcherModule(smsDispatcher),
      env: envWith(...keys),
      ownsProcess: false,
    }))

  it('refuses keys that do not fit, and forgets the one before when the gateway has sealed all accounts anew', async () => {
    await startSms(old)
    await running!.stop()
    running = null
    await expect(startSms(fresh)).rejects.toThrow('STEPCAST_ENCRYPTION_KEY')
    await startSms(fresh, old)
    await eventually(async () => (await fingerprints('sms_dispatcher')).join() === fingerprintOfKey(fresh))
  })

  it('needs the key before as long as an account is sealed with it', async () => {
    const sms = createPool({ databaseUrl: stack.databaseUrl, schema: 'sms_dispatcher', applicationName: 'spec' })
    await sms.query(`DELETE FROM workspaces`)
    const seal = new AccountSeal(encryptionKeysOf(envWith(fresh, old)))
    const settings = (sealed: string): string => JSON.stringify({ providers: { twilio: { sealed, updatedAt: '' } } })
    await sms.query('INSERT INTO workspaces VALUES ($1, $2), ($3, $4)', [
      'a',
      settings(seal.close('a', 'twilio', twilio)),
      'b',
      settings(new AccountSeal(old).close('b', 'twilio', twilio)),
    ])
    expect(await areRenewed(sms, seal)).toBe(false)
    await sms.query('UPDATE workspaces SET settings = $1 WHERE workspace_id = $2', [settings(seal.close('b', 'twilio', twilio)), 'b'])
    expect(await areRenewed(sms, seal)).toBe(true)
    await sms.end()
  })
})

it('the key is the encryption key, else the internal secret; an empty or equal one before is none', () => {
  expect(encryptionKeysOf({ STEPCAST_INTERNAL_SECRET: 'a', STEPCAST_ENCRYPTION_KEY_PREVIOUS: '' })).toEqual({
    current: 'a',
    previous: null,
    variable: 'STEPCAST_INTERNAL_SECRET',
  })
  expect(
    encryptionKeysOf({ STEPCAST_INTERNAL_SECRET: 'a', STEPCAST_ENCRYPTION_KEY: 'b', STEPCAST_ENCRYPTION_KEY_PREVIOUS: 'b' }).previous,
  ).toBeNull()
  expect(encryptionSecretOf({ STEPCAST_INTERNAL_SECRET: 'a', STEPCAST_ENCRYPTION_KEY: 'b' })).toBe('b')
})
