// people-svc over HTTP, on the real broker, registry and database.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { topics, type UserChanged } from '@stepcast/contracts'
import {
  contextHeader,
  contextKey,
  expectEveryRouteScoped,
  fingerprintOf,
  signContext,
  startService,
  type CallerContext,
  type RunningService,
} from '@stepcast/service'
import { attack, readTopic, readValues, specStack, type SpecStack } from '@stepcast/testing'
import { Client } from 'pg'
import { AppModule } from './app.module'

interface Answer {
  status: number
  body: any
}

let stack: SpecStack
let service: RunningService
let dispatcher: Awaited<ReturnType<typeof smsDispatcher>>

/** Plays the SMS dispatcher: what it says of each number. */
async function smsDispatcher(): Promise<{
  url: string
  says: Map<string, object[]>
  asked: string[]
  isAway: boolean
  stop: () => Promise<void>
}> {
  const says = new Map<string, object[]>()
  const asked: string[] = []
  const played = { url: '', says, asked, isAway: false, stop: () => new Promise<void>((resolve) => void server.close(() => resolve())) }
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { phoneNumber } = JSON.parse(body) as { phoneNumber: string }
      asked.push(`${request.method} ${request.url} ${phoneNumber}`)
      response.statusCode = played.isAway ? 503 : 200
      response.end(JSON.stringify({ unsubscribed: says.get(phoneNumber) ?? [] }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  played.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return played
}

beforeAll(async () => {
  stack = await specStack(__filename)
  dispatcher = await smsDispatcher()
  service = await startService({
    name: 'people-svc',
    module: AppModule,
    env: { ...stack.env, ORCHESTRATOR_URL: 'http://127.0.0.1:9', SMS_DISPATCHER_URL: dispatcher.url },
    ownsProcess: false,
  })
})
afterAll(async () => {
  await service?.stop()
  await dispatcher?.stop()
  await stack?.stop()
})

async function call(
  method: string,
  path: string,
  body?: unknown,
  more: { workspaceId?: string; scopes?: CallerContext['scopes']; key?: string } = {},
): Promise<Answer> {
  const { workspaceId = 'demo', scopes = ['send', 'read'], key } = more
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), {
    workspaceId,
    scopes,
    userId: null,
    via: 'api_key',
    keyId: 'ak_1',
  })
  const response = await fetch(service.url + path, {
    method,
    headers: { [contextHeader]: context, 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: response.status === 204 ? null : await response.json() }
}

/** Every state of a user on the topic, oldest first; null: erased. */
const told = async (userId: string): Promise<(UserChanged | null)[]> =>
  (await readTopic(stack.connection(), topics.users)).filter(({ key }) => key === `demo/${userId}`).map(({ value }) => value)

it('every route declares its scope', () => expectEveryRouteScoped(service.app))

it('writes a user, and Kafka has the whole state when the answer comes', async () => {
  const path = `/v1/users/${encodeURIComponent('a/b 사용자%')}`
  const put = await call('PUT', path, { phoneNumber: '+82 10-1234-5678', timezone: 'Asia/Seoul' })
  expect(put).toMatchObject({
    status: 200,
    body: {
      userId: 'a/b 사용자%',
      phoneNumber: '+821012345678',
      kakaoPhoneNumber: null,
      locale: null,
      timezone: 'Asia/Seoul',
      devices: [],
      preferences: { optOut: { channels: [], categories: [] }, quietHours: null },
    },
  })
  expect(await call('GET', path)).toEqual(put)
  expect(await told('a/b 사용자%')).toEqual([
    {
      workspaceId: 'demo',
      userId: 'a/b 사용자%',
      phoneNumber: '+821012345678',
      kakaoPhoneNumber: null,
      locale: null,
      timezone: 'Asia/Seoul',
      devices: [],
      optOutChannels: [],
      optOutCategories: [],
      quietHoursStart: null,
      quietHoursEnd: null,
      updatedAt: Date.parse(put.body.updatedAt),
    },
  ])
})

it('a device or an opt-out may come before the profile, and the profile leaves them alone', async () => {
  expect(await call('PUT', '/v1/users/early/devices/phone', { platform: 'fcm', token: 'sim_1' })).toMatchObject({
    status: 200,
    body: { deviceId: 'phone', platform: 'fcm', token: 'sim_1' },
  })
  const preferences = { optOut: { channels: ['sms'], categories: ['Marketing'] }, quietHours: { start: '21:00', end: '08:00' } }
  expect(await call('PUT', '/v1/users/early/preferences', preferences)).toEqual({ status: 200, body: preferences })
  await call('PUT', '/v1/users/early', { locale: 'ko-KR' })
  const states = await told('early')
  expect(states).toHaveLength(3)
  expect(states[2]).toMatchObject({
    locale: 'ko-KR',
    devices: [{ deviceId: 'phone', platform: 'fcm', token: 'sim_1' }],
    optOutChannels: ['sms'],
    optOutCategories: ['Marketing'],
    quietHoursStart: '21:00',
    quietHoursEnd: '08:00',
  })
  await call('PUT', '/v1/users/early/preferences', { optOut: { channels: [], categories: [] }, quietHours: null })
  expect((await call('GET', '/v1/users/early')).body.preferences).toEqual({ optOut: { channels: [], categories: [] }, quietHours: null })
})

it('a token belongs to one device: it is taken from its former owner, who is told of too', async () => {
  await call('PUT', '/v1/users/seller/devices/d', { platform: 'fcm', token: 'handed_over' })
  await call('PUT', '/v1/users/buyer/devices/d', { platform: 'fcm', token: 'handed_over' })
  expect((await call('GET', '/v1/users/seller')).body.devices).toEqual([])
  expect((await call('GET', '/v1/users/buyer')).body.devices).toMatchObject([{ token: 'handed_over' }])
  expect((await told('seller')).at(-1)).toMatchObject({ devices: [] })
  await call('PUT', '/v1/users/buyer/devices/other', { platform: 'fcm', token: 'handed_over' })
  expect((await call('GET', '/v1/users/buyer')).body.devices).toMatchObject([{ deviceId: 'other' }])
})

it('shows which senders the number has told to stop, of every person who has it, and of the number they have now', async () => {
  const unsubscribed = [{ channelType: 'sms', sender: '+15005550006', since: '2026-01-31T09:00:00.000Z' }]
  dispatcher.says.set('+821055550001', unsubscribed)
  for (const user of ['stopped', 'shares-the-number']) {
    expect((await call('PUT', `/v1/users/${user}`, { phoneNumber: '+82 10-5555-0001' })).body).toMatchObject({ unsubscribed })
    expect((await call('GET', `/v1/users/${user}`)).body).toMatchObject({ unsubscribed })
  }
  expect(dispatcher.asked).toContain('POST /internal/unsubscribed +821055550001')
  await call('PUT', '/v1/users/stopped', { phoneNumber: '+821055550002' })
  expect((await call('GET', '/v1/users/stopped')).body).toMatchObject({ unsubscribed: [] })
  await call('DELETE', '/v1/users/shares-the-number')
  expect((await call('PUT', '/v1/users/shares-the-number', { phoneNumber: '+821055550001' })).body).toMatchObject({ unsubscribed })
})

it('does not know who has told a sender to stop while the dispatcher is away, and says so; nobody is asked where there is no number', async () => {
  dispatcher.isAway = true
  expect(await call('PUT', '/v1/users/unsure', { phoneNumber: '+821055550003' })).toMatchObject({
    status: 200,
    body: { unsubscribed: null },
  })
  expect(await call('PUT', '/v1/users/numberless', {})).toMatchObject({ status: 200, body: { unsubscribed: [] } })
  dispatcher.isAway = false
  expect((await call('GET', '/v1/users/unsure')).body).toMatchObject({ unsubscribed: [] })
})

it('a token of APNs in two spellings is one device, and moves in any of them', async () => {
  const small = 'ab'.repeat(32)
  const put = (user: string, device: string, token: string): Promise<Answer> =>
    call('PUT', `/v1/users/${user}/devices/${device}`, { platform: 'apns', token })
  const devicesOf = async (user: string): Promise<any[]> => (await call('GET', `/v1/users/${user}`)).body.devices
  expect((await put('anna', 'phone', small.toUpperCase())).body).toMatchObject({ token: small })
  await put('anna', 'the-same-phone', small)
  expect(await devicesOf('anna')).toMatchObject([{ deviceId: 'the-same-phone', token: small }])
  await put('bert', 'phone', `<${small.toUpperCase().replace(/(.{8})(?=.)/g, '$1 ')}>`)
  expect([await devicesOf('anna'), await devicesOf('bert')]).toMatchObject([[], [{ token: small }]])
  expect((await told('anna')).at(-1)).toMatchObject({ devices: [] })
  expect(await put('anna', 'phone', '{length = 32, bytes = 0x740f4707 ... 61bb78ad }')).toMatchObject({
    status: 422,
    body: { errors: [{ path: '/token' }] },
  })
})

it('a token registered in another spelling by an earlier version moves too', async () => {
  await call('PUT', '/v1/users/earlier/devices/phone', { platform: 'apns', token: 'cd'.repeat(32) })
  const database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=people_svc' })
  await database.connect()
  for (const stored of ['CD'.repeat(32), `<${'CD'.repeat(32)}>`, `Cd${'cD'.repeat(31)}`]) {
    await call('PUT', '/v1/users/earlier/devices/phone', { platform: 'apns', token: 'cd'.repeat(32) })
    await database.query('UPDATE devices SET token = $1 WHERE user_id = $2', [stored, 'earlier'])
    await call('PUT', '/v1/users/later/devices/phone', { platform: 'apns', token: 'cd'.repeat(32) })
    expect((await call('GET', '/v1/users/earlier')).body.devices).toEqual([])
  }
  await database.end()
})

it('takes languages and numbers as phones give them, and says why not', async () => {
  const taken = await call('PUT', '/v1/users/copied', { phoneNumber: '\u202d+82 10-1234-5678\u202c', locale: 'zh_Hant_TW' })
  expect(taken).toMatchObject({ status: 200, body: { phoneNumber: '+821012345678', locale: 'zh-Hant-TW' } })
  expect((await call('PUT', '/v1/users/copied', { phoneNumber: '+８２１０１２３４５６７８', locale: 'ko_KR' })).body).toMatchObject({
    phoneNumber: '+821012345678',
    locale: 'ko-KR',
  })
  const refused = await call('PUT', '/v1/users/copied', { phoneNumber: '+52 1 55 1234 5678' })
  expect(refused).toMatchObject({
    status: 422,
    body: { errors: [{ path: '/phoneNumber', message: expect.stringContaining('too many digits for the country code +52') }] },
  })
})

it('one token registered by many at once ends with one owner, and topic and tables agree', async () => {
  const users = ['r1', 'r2', 'r3', 'r4']
  await Promise.all(
    users.flatMap((user) => [1, 2].map(() => call('PUT', `/v1/users/${user}/devices/d`, { platform: 'apns', token: 'wanted' }))),
  )
  const owners = await Promise.all(users.map(async (user) => (await call('GET', `/v1/users/${user}`)).body.devices.length))
  expect(owners.reduce((sum, count) => sum + count, 0)).toBe(1)
  const last = await Promise.all(users.map(async (user) => (await told(user)).at(-1)!.devices.length))
  expect(last).toEqual(owners)
})

it('many writers of one user: the last state on the topic is the one in the table', async () => {
  await Promise.all(Array.from({ length: 20 }, (_, i) => call('PUT', '/v1/users/busy', { phoneNumber: `+8210123456${10 + i}` })))
  const states = await told('busy')
  expect(states).toHaveLength(20)
  expect(states.at(-1)!.phoneNumber).toBe((await call('GET', '/v1/users/busy')).body.phoneNumber)
})

it('of more than 20 devices the ones registered longest ago are forgotten', async () => {
  for (let i = 1; i <= 21; i++) await call('PUT', `/v1/users/many/devices/d${i}`, { platform: 'fcm', token: `many_${i}` })
  const { devices } = (await call('GET', '/v1/users/many')).body
  expect(devices).toHaveLength(20)
  expect(devices[0].deviceId).toBe('d2')
})

it('a device is removed, twice without harm', async () => {
  await call('PUT', '/v1/users/leaver/devices/d', { platform: 'fcm', token: 'leaving' })
  expect((await call('DELETE', '/v1/users/leaver/devices/d')).status).toBe(204)
  expect((await call('DELETE', '/v1/users/leaver/devices/d')).status).toBe(204)
  expect(await told('leaver')).toHaveLength(2)
})

it('a dead token is removed only while it is the same and was not registered again', async () => {
  const { body } = await call('PUT', '/v1/users/dead/devices/d', { platform: 'fcm', token: 'bad_1' })
  const registered = Date.parse(body.updatedAt)
  const remove = (token: string, deadSince: number | string, workspaceId = 'demo'): Promise<Answer> =>
    call(
      'POST',
      '/internal/devices/remove-token',
      { workspaceId, userId: 'dead', deviceId: 'd', token, deadSince },
      { scopes: ['internal'] },
    )
  expect(await remove('other', registered)).toEqual({ status: 200, body: { removed: false } })
  expect(await remove('bad_1', registered - 1)).toEqual({ status: 200, body: { removed: false } })
  expect((await remove('bad_1', registered, 'elsewhere')).status).toBe(422)
  expect(await remove('bad_1', new Date(registered).toISOString())).toEqual({ status: 200, body: { removed: true } })
  expect((await told('dead')).at(-1)).toMatchObject({ devices: [] })
  expect((await call('POST', '/internal/devices/remove-token', {}, { scopes: ['send', 'read'] })).status).toBe(403)
})

it('erasing leaves nothing here, a tombstone on the topic and a cancel of running sequences', async () => {
  await call('PUT', '/v1/users/gone', { phoneNumber: '+821099998888' }, { key: 'k-gone' })
  await call('PUT', '/v1/users/gone/devices/d', { platform: 'fcm', token: 'gone_token' })
  expect((await call('DELETE', '/v1/users/gone')).status).toBe(204)
  expect((await call('GET', '/v1/users/gone')).status).toBe(404)
  const states = await told('gone')
  expect(states.at(-1)).toBeNull()
  const cancels = (await readValues(stack.connection(), topics.controls)).filter(({ id }) => id === 'gone')
  expect(cancels).toEqual([
    {
      cancelId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      workspaceId: 'demo',
      scope: 'user',
      id: 'gone',
      requestedBy: 'api_key ak_1',
      requestedAt: expect.any(Number),
    },
  ])
  expect(cancels[0]!.requestedAt).toBeGreaterThanOrEqual(states[1]!.updatedAt)

  const database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=people_svc' })
  await database.connect()
  for (const table of ['users', 'devices', 'outbox', 'idempotency_keys']) {
    const { rows } = await database.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t`)
    expect(rows.filter(({ row }) => /gone|821099998888/.test(row.replaceAll('k-gone', '')))).toEqual([])
  }
  // Of what was asked only a keyed fingerprint stays: a plain one would give the number away to whoever tries them all.
  const profile = { phoneNumber: '+821099998888', kakaoPhoneNumber: null, locale: null, timezone: null }
  const { rows } = await database.query<{ fingerprint: string }>(`SELECT fingerprint FROM idempotency_keys WHERE key = 'k-gone'`)
  expect(rows).toHaveLength(1)
  expect(rows[0]!.fingerprint).not.toBe(fingerprintOf({ userId: 'gone', profile }))
  await database.end()
  expect((await call('DELETE', '/v1/users/never-seen')).status).toBe(204)
  expect(await told('never-seen')).toEqual([null])
})

it('the same Idempotency-Key writes once, another body is refused', async () => {
  const first = await call('PUT', '/v1/users/idem', { locale: 'ko' }, { key: 'i1' })
  expect(await call('PUT', '/v1/users/idem', { locale: 'ko' }, { key: 'i1' })).toEqual(first)
  expect((await call('PUT', '/v1/users/idem', { locale: 'en' }, { key: 'i1' })).status).toBe(422)
  expect(await told('idem')).toHaveLength(1)
})

it('workspaces do not see each other, and each call needs its scope', async () => {
  await call('PUT', '/v1/users/mine', {})
  expect((await call('GET', '/v1/users/mine', undefined, { workspaceId: 'other' })).status).toBe(404)
  expect((await call('PUT', '/v1/users/mine', {}, { scopes: ['read'] })).status).toBe(403)
  expect((await call('GET', '/v1/users/mine', undefined, { scopes: ['admin'] })).status).toBe(403)
  expect((await call('GET', `/v1/users/${'a'.repeat(129)}`)).body.errors).toMatchObject([{ path: '/userId' }])
})

it('lists users by id, code point by code point, and those whose ids begin with a text', async () => {
  const workspaceId = 'listed'
  const ids = ['B', 'a', 'a%', 'a_b', 'aa', 'ab', 'b', 'é', '사용자-1', '사용자-2', '사용자', '\u{ffff}x', '😀']
  for (const id of [...ids].reverse())
    expect((await call('PUT', `/v1/users/${encodeURIComponent(id)}`, { locale: 'ko-KR' }, { workspaceId })).status).toBe(200)
  await call('PUT', '/v1/users/foreign', {}, { workspaceId: 'other' })
  const list = async (query: string): Promise<string[]> => {
    const found: string[] = []
    let cursor = ''
    do {
      const { status, body } = await call('GET', `/v1/users?limit=2${query}${cursor}`, undefined, { workspaceId })
      expect(status).toBe(200)
      found.push(...body.items.map((user: { userId: string }) => user.userId))
      cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`
    } while (cursor !== '')
    return found
  }
  const sorted = [...ids].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
  expect(await list('')).toEqual(sorted)
  for (const prefix of ['a', 'a%', '_', '%', '사용자', '사용자-', 'x', '\u{ffff}', '😀', 'A']) {
    expect([prefix, await list(`&prefix=${encodeURIComponent(prefix)}`)]).toEqual([prefix, sorted.filter((id) => id.startsWith(prefix))])
  }
  const { body } = await call('GET', '/v1/users?prefix=ab', undefined, { workspaceId })
  expect(body.items).toEqual([expect.objectContaining({ userId: 'ab', locale: 'ko-KR', phoneNumber: null })])
  expect(body.items[0]).not.toHaveProperty('devices')
  expect((await call('GET', '/v1/users', undefined, { workspaceId, scopes: ['send'] })).status).toBe(403)
})

it('nothing hostile is answered with 5xx: no text, number, time or cursor of any call', async () => {
  const caller = {
    workspaceId: 'demo',
    scopes: ['admin', 'send', 'read', 'internal'] as CallerContext['scopes'],
    userId: null,
    via: 'api_key' as const,
    keyId: 'ak_1',
  }
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), caller)
  const { breaches, byStatus } = await attack({
    url: service.url,
    headers: async () => ({ [contextHeader]: context }),
    known: {
      userId: 'attacked',
      deviceId: 'phone',
      workspaceId: 'demo',
      phoneNumber: '+821012345678',
      kakaoPhoneNumber: '+821012345678',
      locale: 'ko',
      timezone: 'Asia/Seoul',
      start: '21:00',
      end: '08:00',
    },
  })
  expect(breaches).toEqual([])
  expect(Object.keys(byStatus)).toEqual(expect.arrayContaining(['200', '204', '400', '404', '422']))
})

it('half an emoji and bytes that are no UTF-8 are refused where they stand', async () => {
  expect(await call('PUT', '/v1/users/half/devices/phone', { platform: 'fcm', token: 'a\ud83d' })).toMatchObject({
    status: 422,
    body: { errors: [{ path: '/token' }] },
  })
  expect(await call('PUT', '/v1/users/half', { locale: 'ko\u0000' })).toMatchObject({
    status: 422,
    body: { errors: [{ path: '/locale' }] },
  })
  expect((await call('PUT', '/v1/users/half%ED%A0%BD', {})).status).toBe(400)
  const scopes: CallerContext['scopes'] = ['send']
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), {
    workspaceId: 'demo',
    scopes,
    userId: null,
    via: 'api_key',
    keyId: 'ak_1',
  })
  const latin1 = await fetch(`${service.url}/v1/users/half`, {
    method: 'PUT',
    headers: { [contextHeader]: context, 'content-type': 'application/json' },
    body: Buffer.from('{"locale":"é"}', 'latin1'),
  })
  expect([latin1.status, await latin1.json()]).toMatchObject([400, { errors: [{ path: '', message: expect.stringContaining('UTF-8') }] }])
})
