// Provider accounts at the gateway: given once, recognised later, and nowhere to be read: no answer, no database, no topic, no log.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AccountSeal, encryptionSecretOf, providerNames, type AccountOf } from '@stepcast/accounts'
import { topics } from '@stepcast/contracts'
import { sandboxAccounts } from '@stepcast/local'
import { readTopic, SpecProcesses, type SpecProcess, type SpecStack, specStack } from '@stepcast/testing'
import { Client } from 'pg'
import { services } from './services'

const accounts: AccountOf = sandboxAccounts()
/** Every secret that was given, in the forms in which it could be found. */
const secrets = [
  // The middle of a PEM: its ends look like those of any key.
  accounts.fcm.serviceAccount.private_key.slice(200, 260),
  accounts.apns.privateKey.slice(60, 110),
  accounts.twilio.authToken,
  accounts.solapi.apiSecret,
  accounts.solapi.webhookSecret,
].flatMap((secret) => {
  const bytes = Buffer.from(secret)
  return [secret, JSON.stringify(secret).slice(1, -1), bytes.toString('hex'), bytes.toString('base64').slice(4, -6)]
})

let stack: SpecStack
let upstream: Server
let processes: SpecProcesses
let gateway: SpecProcess
let key: string
const answers: string[] = []

async function call(method: string, path: string, body?: unknown, credential = key): Promise<{ status: number; body: any }> {
  const response = await fetch(gateway.url + path, {
    method,
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  answers.push(text)
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

/** Everything the database holds, as text. */
async function dump(): Promise<string> {
  const client = new Client({ connectionString: stack.databaseUrl })
  await client.connect()
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    )
    const contents = []
    for (const { name } of tables) contents.push(...(await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)).rows)
    return contents.map(({ row }) => row).join('\n')
  } finally {
    await client.end()
  }
}

const told = async (workspaceId: string): Promise<any[]> => {
  const records = await readTopic(stack.connection(), topics.workspaces)
  return records.filter((record) => record.key === workspaceId).map(({ value }) => JSON.parse(value!.settings))
}

beforeAll(async () => {
  stack = await specStack(__filename)
  upstream = createServer((_request, response) => response.end('{}'))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  processes = new SpecProcesses(stack)
  const urls = Object.fromEntries(services.map(({ urlVariable }) => [urlVariable, url]))
  gateway = await processes.start('gateway', { env: { LOG_LEVEL: 'trace', ...urls } })
  const { body } = await call('POST', '/v1/workspaces', { workspaceId: 'shop' }, stack.env.STEPCAST_ROOT_KEY)
  key = body.apiKey.key
})
afterAll(async () => {
  await processes?.stop()
  upstream?.closeAllConnections()
  upstream?.close()
  await stack?.stop()
})

it('an account is answered by what it is recognised by', async () => {
  const hints = {
    fcm: accounts.fcm.serviceAccount.project_id,
    apns: accounts.apns.keyId,
    twilio: accounts.twilio.accountSid,
    solapi: accounts.solapi.apiKey,
  }
  for (const provider of providerNames) {
    expect(await call('PUT', `/v1/workspace/providers/${provider}`, accounts[provider])).toEqual({
      status: 200,
      body: { provider, account: hints[provider], updatedAt: expect.stringMatching(/Z$/) },
    })
  }
  const { body } = await call('GET', '/v1/workspace/providers')
  expect(body.items.map(({ provider, account }: any) => [provider, account])).toEqual(providerNames.map((name) => [name, hints[name]]))
})

it('the dispatchers are told at once, and can open it for this workspace', async () => {
  const settings = (await told('shop')).at(-1)
  const seal = new AccountSeal(encryptionSecretOf(stack.env))
  for (const provider of providerNames) {
    expect(seal.open('shop', provider, settings.providers[provider].sealed)).toEqual(accounts[provider])
    expect(() => seal.open('other', provider, settings.providers[provider].sealed)).toThrow('does not open')
  }
})

it('a change of the workspace leaves its accounts', async () => {
  expect(await call('PUT', '/v1/workspace', { name: 'Shop' })).toMatchObject({ status: 200 })
  expect(Object.keys((await told('shop')).at(-1).providers).sort()).toEqual([...providerNames].sort())
})

it('one that is wrong is refused by its fields and none of its values', async () => {
  const wrong = { accountSid: 'AC1', authToken: `${accounts.twilio.authToken} `, from: 'x'.repeat(40), extra: 1 }
  const { status, body } = await call('PUT', '/v1/workspace/providers/twilio', wrong)
  expect(status).toBe(422)
  expect(body.errors.map(({ path }: any) => path).sort()).toEqual(['/accountSid', '/authToken', '/extra', '/from'])
  expect(
    await call('PUT', '/v1/workspace/providers/twilio', { ...accounts.twilio, messagingServiceSid: `MG${'0'.repeat(32)}` }),
  ).toMatchObject({ status: 422, body: { errors: [{ path: '/from', message: 'give exactly one of from and messagingServiceSid' }] } })
  const wrongKey = { serviceAccount: { ...accounts.fcm.serviceAccount, private_key: accounts.apns.privateKey } }
  expect(await call('PUT', '/v1/workspace/providers/fcm', wrongKey)).toMatchObject({
    status: 422,
    body: { errors: [{ path: '/serviceAccount/private_key' }] },
  })
  expect(await call('PUT', '/v1/workspace/providers/nobody', {})).toMatchObject({ status: 404 })
})

it('only an admin gives, lists or takes one', async () => {
  const { body } = await call('POST', '/v1/workspace/api-keys', { name: 'k', scopes: ['send', 'read'] })
  expect(await call('PUT', '/v1/workspace/providers/twilio', accounts.twilio, body.key)).toMatchObject({ status: 403 })
  expect(await call('GET', '/v1/workspace/providers', undefined, body.key)).toMatchObject({ status: 403 })
  expect(await call('DELETE', '/v1/workspace/providers/twilio', undefined, body.key)).toMatchObject({ status: 403 })
})

it('secrets are in no answer, no table, no topic and no log', async () => {
  const places = { answers: answers.join('\n'), database: await dump(), topic: JSON.stringify(await told('shop')), log: gateway.log() }
  // Each place has something to search at all.
  expect(places.database).toContain(accounts.twilio.accountSid)
  expect(places.topic).toContain('sealed')
  expect(places.log).toContain('/v1/workspace/providers/twilio')
  for (const [place, text] of Object.entries(places)) {
    expect({ place, found: secrets.filter((secret) => text.includes(secret)) }).toEqual({ place, found: [] })
  }
})

it('one that was taken away is gone from the list and from what the dispatchers know', async () => {
  expect(await call('DELETE', '/v1/workspace/providers/twilio')).toMatchObject({ status: 204 })
  expect(await call('DELETE', '/v1/workspace/providers/twilio')).toMatchObject({ status: 204 })
  expect(await call('DELETE', '/v1/workspace/providers/nobody')).toMatchObject({ status: 422, body: { errors: [{ path: '/provider' }] } })
  expect((await call('GET', '/v1/workspace/providers')).body.items).toHaveLength(3)
  expect(Object.keys((await told('shop')).at(-1).providers).sort()).toEqual(['apns', 'fcm', 'solapi'])
})
