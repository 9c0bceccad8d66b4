// The gateway on the real stack: workspaces, keys, who may call what, and passing requests on to a small service.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createHash, randomUUID } from 'node:crypto'
import { credentials, loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { topics } from '@stepcast/contracts'
import { contextHeader, contextKey, expectEveryRouteScoped, OpenApi, routesOf, type RunningService, verifyContext } from '@stepcast/service'
import { attack, eventually, readTopic, type SpecStack, specStack } from '@stepcast/testing'
import { protoPath } from 'grpc-health-check'
import { SignJWT } from 'jose'
import { Client } from 'pg'
import { GatewayModule } from './app.module'
import { startGateway } from './gateway'
import { services } from './services'

type Answer = { status: number; body: any; headers: Headers }
interface MadeWorkspace {
  workspaceId: string
  apiKey: { keyId: string; key: string }
  signingKey: { kid: string; secret: string }
}

const rootKey = 'rk_spec'
let stack: SpecStack
let upstream: Server
let gateway: RunningService
let env: Record<string, string>
/** What the small service does next, by path; by default it tells what it was asked. */
const behaviours = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>()

beforeAll(async () => {
  stack = await specStack(__filename)
  upstream = createServer((request, response) => {
    const path = request.url!.split('?')[0]!
    const behave = behaviours.get(path)
    if (behave !== undefined) return behave(request, response)
    if (path === '/readyz') return response.end('{}')
    // Whoever breaks off has no interest in an answer.
    echo(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  env = { ...stack.env, STEPCAST_ROOT_KEY: rootKey, ...Object.fromEntries(services.map(({ urlVariable }) => [urlVariable, url])) }
  gateway = await startGateway({ env, ownsProcess: false })
})
afterAll(async () => {
  await gateway?.stop()
  upstream?.closeAllConnections()
  upstream?.close()
  await stack?.stop()
})
beforeEach(() => behaviours.clear())

async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of request) {
    hash.update(chunk as Buffer)
    bytes += (chunk as Buffer).length
  }
  const token = request.headers[contextHeader]
  const caller = typeof token === 'string' ? await verifyContext(contextKey(env.STEPCAST_INTERNAL_SECRET), token) : null
  response.setHeader('content-type', 'application/json').setHeader('x-stepcast-secret', 'inside')
  response.end(
    JSON.stringify({ method: request.method, url: request.url, headers: request.headers, caller, bytes, sha256: hash.digest('hex') }),
  )
}

async function call(
  method: string,
  path: string,
  { key, body, headers = {} }: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(gateway.url + path, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text }
}

async function makeWorkspace(settings: object = {}): Promise<MadeWorkspace> {
  const { status, body } = await call('POST', '/v1/workspaces', { key: rootKey, body: { workspaceId: `ws-${randomUUID()}`, ...settings } })
  expect(status).toBe(201)
  return body
}

async function keyWith(workspace: MadeWorkspace, scopes: string[]): Promise<string> {
  const { status, body } = await call('POST', '/v1/workspace/api-keys', {
    key: workspace.apiKey.key,
    body: { name: scopes.join(), scopes },
  })
  expect(status).toBe(201)
  return body.key
}

async function userToken(
  { signingKey }: MadeWorkspace,
  { kid = signingKey.kid, secret = signingKey.secret, sub = 'user-1', inS = 600, alg = 'HS256' } = {},
): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg, kid })
    .setSubject(sub)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + inS)
    .sign(Buffer.from(secret))
}

async function rows(sql: string, values: unknown[] = []): Promise<any[]> {
  const client = new Client({ connectionString: stack.databaseUrl })
  await client.connect()
  try {
    return (await client.query(sql, values)).rows
  } finally {
    await client.end()
  }
}

it('every route declares its scope', () => {
  expectEveryRouteScoped(gateway.app)
  expect(
    routesOf(gateway.app)
      .filter(({ scopes }) => scopes?.includes('public'))
      .map(({ path }) => path),
  ).toEqual(['/', '/docs', '/healthz', '/l/:token', '/readyz', '/v1/callbacks/:provider/:workspaceId', '/v1/openapi.json'])
})

describe('workspaces', () => {
  it('is made with the root key, answers its keys, and is told on the topic', async () => {
    const workspaceId = `acme-${randomUUID()}`
    const { status, body } = await call('POST', '/v1/workspaces', {
      key: rootKey,
      body: { workspaceId, name: 'Acme', timezone: 'Asia/Seoul', currency: 'KRW' },
    })
    expect(status).toBe(201)
    expect(body).toEqual({
      workspaceId,
      name: 'Acme',
      timezone: 'Asia/Seoul',
      currency: 'KRW',
      resendUnknown: { sms: false, kakao: false },
      createdAt: expect.stringMatching(/Z$/),
      apiKey: expect.objectContaining({
        keyId: expect.stringMatching(/^ak_/),
        key: expect.stringMatching(/^sk_[\w-]{43}$/),
        scopes: ['admin', 'send', 'read'],
      }),
      signingKey: expect.objectContaining({ kid: `${workspaceId}.1`, secret: expect.stringMatching(/^[\w-]{43}$/) }),
    })
    const told = (await readTopic(stack.connection(), topics.workspaces)).filter(({ key }) => key === workspaceId)
    expect(told).toHaveLength(1)
    expect(JSON.parse(told[0]!.value!.settings)).toEqual({ name: 'Acme', timezone: 'Asia/Seoul', currency: 'KRW' })
    expect(told[0]!.headers.traceparent).toMatch(/^00-/)
    expect(await call('POST', '/v1/workspaces', { key: rootKey, body: { workspaceId } })).toMatchObject({ status: 409 })
  })

  it('needs the root key', async () => {
    const workspace = await makeWorkspace()
    const body = { workspaceId: 'other' }
    expect(await call('POST', '/v1/workspaces', { body })).toMatchObject({ status: 401 })
    expect(await call('POST', '/v1/workspaces', { key: `${rootKey}x`, body })).toMatchObject({ status: 401 })
    expect(await call('POST', '/v1/workspaces', { key: workspace.apiKey.key, body })).toMatchObject({ status: 403 })
  })

  it('refuses a wrong id, zone or currency by name', async () => {
    const { status, body } = await call('POST', '/v1/workspaces', {
      key: rootKey,
      body: { workspaceId: 'No', timezone: '+09:00', currency: 'usd', plan: 'x' },
    })
    expect(status).toBe(422)
    expect(body.errors.map(({ path }: { path: string }) => path).sort()).toEqual(['/currency', '/plan', '/timezone', '/workspaceId'])
    expect(await call('POST', '/v1/workspaces', { key: rootKey })).toMatchObject({ status: 400 })
  })

  it('is read by any key and changed by an admin; what is left out stays', async () => {
    const workspace = await makeWorkspace({ name: 'Shop' })
    const reader = await keyWith(workspace, ['read'])
    const { body: before } = await call('GET', '/v1/workspace', { key: reader })
    expect(before).toMatchObject({ workspaceId: workspace.workspaceId, name: 'Shop', timezone: 'UTC', currency: 'USD' })
    expect(await call('PUT', '/v1/workspace', { key: reader, body: { timezone: 'Europe/Berlin' } })).toMatchObject({ status: 403 })
    expect(await call('PUT', '/v1/workspace', { key: workspace.apiKey.key, body: { ...before, timezone: 'Europe/Berlin' } })).toMatchObject(
      { status: 200, body: { name: 'Shop', timezone: 'Europe/Berlin', currency: 'USD' } },
    )
    const told = (await readTopic(stack.connection(), topics.workspaces)).filter(({ key }) => key === workspace.workspaceId)
    expect(told.map(({ value }) => JSON.parse(value!.settings).timezone)).toEqual(['UTC', 'Europe/Berlin'])
  })

  it('says for each paid channel whether messages of unknown outcome are sent again', async () => {
    const workspace = await makeWorkspace()
    const change = (resendUnknown: object) => call('PUT', '/v1/workspace', { key: workspace.apiKey.key, body: { resendUnknown } })
    expect(await change({ sms: true })).toMatchObject({ status: 200, body: { resendUnknown: { sms: true, kakao: false } } })
    expect(await change({ kakao: true })).toMatchObject({ status: 200, body: { resendUnknown: { sms: true, kakao: true } } })
    expect(await change({ push: true })).toMatchObject({ status: 422, body: { errors: [{ path: '/resendUnknown/push' }] } })
    const told = (await readTopic(stack.connection(), topics.workspaces)).filter(({ key }) => key === workspace.workspaceId)
    expect(JSON.parse(told.at(-1)!.value!.settings).resendUnknown).toEqual({ sms: true, kakao: true })
  })

  it('the same Idempotency-Key makes one workspace, and its secrets are shown once', async () => {
    const body = { workspaceId: `ws-${randomUUID()}` }
    const headers = { 'idempotency-key': randomUUID() }
    const first = await call('POST', '/v1/workspaces', { key: rootKey, body, headers })
    const again = await call('POST', '/v1/workspaces', { key: rootKey, body, headers })
    expect(again.status).toBe(201)
    expect(again.body).toEqual({
      ...first.body,
      apiKey: { ...first.body.apiKey, key: null },
      signingKey: { ...first.body.signingKey, secret: null },
    })
    expect(await call('POST', '/v1/workspaces', { key: rootKey, body: { workspaceId: 'another' }, headers })).toMatchObject({ status: 422 })
  })
})

describe('keys', () => {
  it('are nowhere in the database as they were shown', async () => {
    const workspace = await makeWorkspace()
    await call('POST', '/v1/workspace/api-keys', {
      key: workspace.apiKey.key,
      body: { name: 'k', scopes: ['read'] },
      headers: { 'idempotency-key': 'k1' },
    })
    const tables = ['workspaces', 'api_keys', 'signing_keys', 'outbox', 'idempotency_keys']
    const dump = JSON.stringify(
      await Promise.all(
        tables.map((table) => rows(`SELECT to_jsonb(t)::text AS row, convert_to(t::text, 'UTF8') AS raw FROM gateway.${table} t`)),
      ),
    )
    const sealed = Buffer.concat((await rows('SELECT sealed FROM gateway.signing_keys')).map(({ sealed }) => sealed))
    expect(dump).toContain(workspace.workspaceId)
    expect(dump).not.toContain(workspace.apiKey.key)
    expect(dump).not.toContain(workspace.signingKey.secret)
    expect(sealed.includes(workspace.signingKey.secret)).toBe(false)
    expect(sealed.includes(Buffer.from(workspace.signingKey.secret, 'base64url'))).toBe(false)
  })

  it('list without their secrets, page by page', async () => {
    const workspace = await makeWorkspace()
    await keyWith(workspace, ['send', 'read', 'send'])
    const { body: first } = await call('GET', '/v1/workspace/api-keys?limit=1', { key: workspace.apiKey.key })
    const { body: second } = await call('GET', `/v1/workspace/api-keys?limit=1&cursor=${first.nextCursor}`, { key: workspace.apiKey.key })
    expect(first.items).toEqual([
      expect.objectContaining({ keyId: workspace.apiKey.keyId, scopes: ['admin', 'send', 'read'], revokedAt: null }),
    ])
    expect(second).toMatchObject({ items: [{ name: 'send,read,send', scopes: ['send', 'read'] }], nextCursor: null })
    expect(JSON.stringify([first, second])).not.toMatch(/sk_[\w-]{20}/)
  })

  it('revoked, stop working at once', async () => {
    const workspace = await makeWorkspace()
    const key = await keyWith(workspace, ['read'])
    expect(await call('GET', '/v1/templates', { key })).toMatchObject({ status: 200 })
    const {
      body: { items },
    } = await call('GET', '/v1/workspace/api-keys', { key: workspace.apiKey.key })
    expect(await call('DELETE', `/v1/workspace/api-keys/${items[1].keyId}`, { key: workspace.apiKey.key })).toMatchObject({ status: 204 })
    expect(await call('GET', '/v1/templates', { key })).toMatchObject({
      status: 401,
      body: { detail: 'The API key is unknown or revoked.' },
    })
    expect(await call('DELETE', '/v1/workspace/api-keys/ak_none', { key: workspace.apiKey.key })).toMatchObject({ status: 404 })
  })

  it('all lost, the root key makes another', async () => {
    const workspace = await makeWorkspace()
    const path = `/v1/workspaces/${workspace.workspaceId}/api-keys`
    const body = { name: 'again', scopes: ['admin'] }
    expect(await call('DELETE', `/v1/workspace/api-keys/${workspace.apiKey.keyId}`, { key: workspace.apiKey.key })).toMatchObject({
      status: 204,
    })
    expect(await call('GET', '/v1/workspace', { key: workspace.apiKey.key })).toMatchObject({ status: 401 })
    const made = await call('POST', path, { key: rootKey, body })
    expect(made).toMatchObject({ status: 201, body: { scopes: ['admin'], name: 'again' } })
    expect(await call('GET', '/v1/workspace', { key: made.body.key })).toMatchObject({
      status: 200,
      body: { workspaceId: workspace.workspaceId },
    })
    expect(await call('POST', path, { key: made.body.key, body })).toMatchObject({ status: 403 })
    expect(await call('POST', '/v1/workspaces/nobody/api-keys', { key: rootKey, body })).toMatchObject({ status: 404 })
  })

  it('of another workspace are out of reach', async () => {
    const [mine, theirs] = [await makeWorkspace(), await makeWorkspace()]
    expect(await call('DELETE', `/v1/workspace/api-keys/${theirs.apiKey.keyId}`, { key: mine.apiKey.key })).toMatchObject({ status: 404 })
    expect(await call('DELETE', `/v1/workspace/signing-keys/${theirs.signingKey.kid}`, { key: mine.apiKey.key })).toMatchObject({
      status: 404,
    })
  })

  it('need scope admin', async () => {
    const workspace = await makeWorkspace()
    const key = await keyWith(workspace, ['send', 'read'])
    for (const [method, path] of [
      ['POST', 'api-keys'],
      ['GET', 'api-keys'],
      ['DELETE', 'api-keys/x'],
      ['POST', 'signing-keys'],
      ['GET', 'signing-keys'],
      ['DELETE', 'signing-keys/x'],
    ] as const) {
      expect(
        await call(method, `/v1/workspace/${path}`, { key, ...(method === 'POST' ? { body: { name: 'x', scopes: ['read'] } } : {}) }),
      ).toMatchObject({ status: 403 })
    }
    expect(
      await call('POST', '/v1/workspace/api-keys', { key: workspace.apiKey.key, body: { name: 'x', scopes: ['root'] } }),
    ).toMatchObject({ status: 422, body: { errors: [{ path: '/scopes/0' }] } })
  })
})

describe('what an answer says beside itself', () => {
  it('paths are written as they are: another case is another path', async () => {
    const {
      apiKey: { key },
    } = await makeWorkspace()
    for (const path of [
      '/V1/templates',
      '/v1/Templates',
      '/v1/Feed',
      '/V1/feed/stream',
      '/V1/workspace',
      '/v1/Workspace',
      '/READYZ',
      '/v1/templates/../V1',
    ]) {
      expect([path, (await call('GET', path, { key })).status]).toEqual([path, 404])
    }
  })

  it('a known path with another method names what it takes, to whoever may do something there', async () => {
    const workspace = await makeWorkspace()
    const { status, headers } = await call('PATCH', '/v1/workspace/api-keys', { key: workspace.apiKey.key })
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect((await call('PATCH', '/v1/workspace/api-keys')).status).toBe(401)
    expect((await call('PATCH', '/v1/workspace/api-keys', { key: await keyWith(workspace, ['send']) })).status).toBe(403)
  })

  it('nothing that is meant for one caller is kept by anybody between, and everything has a request id', async () => {
    const workspace = await makeWorkspace()
    for (const path of ['/v1/workspace', '/v1/workspace/api-keys', '/v1/templates', '/v1/nothing', '/v1/feed/x']) {
      const { headers } = await call('GET', path, { key: workspace.apiKey.key })
      expect([path, headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual([path, 'no-store', 'nosniff'])
      expect(headers.get('request-id')).toMatch(/^[0-9a-f]{32}$/)
    }
    expect((await call('GET', '/readyz')).headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  })

  it('what was made says where it is; its secret is not shown again, so the same key is a 409 that names it', async () => {
    const workspace = await makeWorkspace()
    const { key } = workspace.apiKey
    for (const [path, as, body, shown, id] of [
      ['/v1/workspace/api-keys', key, { name: 'k', scopes: ['read'] }, 'key', 'keyId'],
      ['/v1/workspace/signing-keys', key, undefined, 'secret', 'kid'],
      [`/v1/workspaces/${workspace.workspaceId}/api-keys`, rootKey, { name: 'k', scopes: ['read'] }, 'key', 'keyId'],
    ] as const) {
      const headers = { 'idempotency-key': randomUUID() }
      const first = await call('POST', path, { key: as, body, headers })
      expect(first.status).toBe(201)
      expect(first.body[shown]).toEqual(expect.any(String))
      expect(first.headers.get('location')).toBe(`/v1/workspace/${shown === 'key' ? 'api-keys' : 'signing-keys'}/${first.body[id]}`)
      expect(await call('POST', path, { key: as, body, headers })).toMatchObject({
        status: 409,
        body: { type: 'urn:stepcast:taken', detail: expect.stringContaining(first.body[id]) },
      })
    }
    const { status, headers } = await call('PUT', '/v1/workspace', { key, body: { name: 'once' }, headers: { 'idempotency-key': 'once' } })
    expect([status, headers.get('idempotent-replayed')]).toEqual([200, null])
    expect(
      (await call('PUT', '/v1/workspace', { key, body: { name: 'once' }, headers: { 'idempotency-key': 'once' } })).headers.get(
        'idempotent-replayed',
      ),
    ).toBe('true')
  })

  it('a key gives only scopes it has', async () => {
    const workspace = await makeWorkspace()
    const admin = await keyWith(workspace, ['admin'])
    const make = (scopes: string[]) => call('POST', '/v1/workspace/api-keys', { key: admin, body: { name: 'k', scopes } })
    expect(await make(['admin'])).toMatchObject({ status: 201 })
    expect(await make(['admin', 'send'])).toMatchObject({ status: 403, body: { detail: expect.stringContaining('not send') } })
    expect(await make(['read'])).toMatchObject({ status: 403 })
  })
})

describe('users', () => {
  const feed = (key: string, headers: Record<string, string> = {}) => call('GET', '/v1/feed', { key, headers })

  it('a token speaks for its user in its workspace', async () => {
    const workspace = await makeWorkspace()
    expect((await feed(await userToken(workspace, { sub: '사용자-7' }))).body.caller).toEqual({
      workspaceId: workspace.workspaceId,
      userId: '사용자-7',
      scopes: [],
      via: 'user_token',
      keyId: workspace.signingKey.kid,
    })
  })

  it('clocks may differ: a minute for when a token begins, five seconds for when it ends', async () => {
    const workspace = await makeWorkspace()
    const { kid, secret } = workspace.signingKey
    const nowS = Math.floor(Date.now() / 1_000)
    const token = (claims: Record<string, unknown>): Promise<string> =>
      new SignJWT({ sub: 'u', exp: nowS + 600, ...claims }).setProtectedHeader({ alg: 'HS256', kid }).sign(Buffer.from(secret))
    for (const claims of [{ nbf: nowS + 2 }, { nbf: nowS + 50 }, { iat: nowS + 50 }, { exp: nowS - 1 }, { nbf: nowS, iat: nowS }]) {
      expect([claims, (await feed(await token(claims))).status]).toEqual([claims, 200])
    }
    for (const claims of [
      { nbf: nowS + 90 },
      { iat: nowS + 90 },
      { exp: nowS - 10 },
      { sub: 5 },
      { sub: true },
      { sub: null },
      { sub: {} },
      { sub: ['u'] },
      { sub: '' },
    ]) {
      expect([claims, (await feed(await token(claims))).status]).toEqual([claims, 401])
    }
  })

  it('a token reaches what is its own and nothing else, whatever is sent with it', async () => {
    const token = await userToken(await makeWorkspace())
    for (const { prefixes, name } of services) {
      const forPeople = name === 'inapp-dispatcher' || name === 'push-dispatcher'
      for (const prefix of prefixes) {
        const { status } = await call('POST', `${prefix}/x`, { key: token, body: {} })
        expect([prefix, status]).toEqual([prefix, forPeople ? 200 : 403])
      }
    }
  })

  it("tokens that are expired, unsigned, too long-lived or somebody else's are refused", async () => {
    const [workspace, other] = [await makeWorkspace(), await makeWorkspace()]
    const part = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url')
    const unsigned = `${part({ alg: 'none', kid: workspace.signingKey.kid })}.${part({ sub: 'u', exp: 9_999_999_999 })}.`
    const {
      signingKey: { kid, secret },
    } = workspace
    const bad: [string, Promise<string> | string, RegExp][] = [
      ['expired', userToken(workspace, { inS: -7 }), /expired/],
      ['more than a day', userToken(workspace, { inS: 25 * 3_600 }), /24 hours/],
      ['alg none', unsigned, /HS256/],
      [
        'another algorithm',
        new SignJWT({})
          .setProtectedHeader({ alg: 'HS512', kid })
          .setSubject('u')
          .setExpirationTime('1h')
          .sign(Buffer.from(secret.repeat(2))),
        /HS256/,
      ],
      ["another workspace's kid", userToken(workspace, { kid: other.signingKey.kid }), /not signed/],
      ['unknown kid', userToken(workspace, { kid: `${workspace.workspaceId}.9` }), /unknown or revoked/],
      [
        'no kid',
        new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject('u').setExpirationTime('1h').sign(Buffer.from(secret)),
        /"kid"/,
      ],
      ['no exp', new SignJWT({}).setProtectedHeader({ alg: 'HS256', kid }).setSubject('u').sign(Buffer.from(secret)), /"exp"/],
      ['no sub', new SignJWT({}).setProtectedHeader({ alg: 'HS256', kid }).setExpirationTime('1h').sign(Buffer.from(secret)), /"sub"/],
      ['control characters', userToken(workspace, { sub: 'a\nb' }), /"sub"/],
      ['nonsense', 'nonsense', /neither/],
    ]
    for (const [name, token, detail] of bad) {
      const { status, body } = await feed(await token)
      expect({ name, status, detail: body.detail }).toEqual({ name, status: 401, detail: expect.stringMatching(detail) })
    }
  })

  it('a day is not too long', async () => {
    expect(await feed(await userToken(await makeWorkspace(), { inS: 24 * 3_600 }))).toMatchObject({ status: 200 })
  })

  it('a revoked signing key takes its tokens along', async () => {
    const workspace = await makeWorkspace()
    const token = await userToken(workspace)
    expect(await feed(token)).toMatchObject({ status: 200 })
    expect(await call('POST', '/v1/workspace/signing-keys', { key: workspace.apiKey.key })).toMatchObject({
      status: 201,
      body: { kid: `${workspace.workspaceId}.2` },
    })
    expect(await call('DELETE', `/v1/workspace/signing-keys/${workspace.signingKey.kid}`, { key: workspace.apiKey.key })).toMatchObject({
      status: 204,
    })
    expect(await feed(token)).toMatchObject({ status: 401 })
    const {
      body: { items },
    } = await call('GET', '/v1/workspace/signing-keys', { key: workspace.apiKey.key })
    expect(items).toMatchObject([
      { kid: `${workspace.workspaceId}.1`, revokedAt: expect.any(String) },
      { kid: `${workspace.workspaceId}.2`, revokedAt: null },
    ])
  })

  it('a server acts for a user with scope send, and only with it', async () => {
    const workspace = await makeWorkspace()
    expect((await feed(await keyWith(workspace, ['send']), { 'on-behalf-of': 'user-9' })).body.caller).toMatchObject({
      userId: 'user-9',
      scopes: ['send'],
      via: 'api_key',
    })
    const utf8 = Buffer.from('사용자-7').toString('latin1')
    expect((await feed(workspace.apiKey.key, { 'on-behalf-of': utf8 })).body.caller).toMatchObject({
      userId: '사용자-7',
    })
    expect(await feed(await keyWith(workspace, ['read', 'admin']), { 'on-behalf-of': 'user-9' })).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('needs scope send') },
    })
    expect(await feed(await userToken(workspace), { 'on-behalf-of': 'user-9' })).toMatchObject({ status: 403 })
    expect(await feed(workspace.apiKey.key, { 'on-behalf-of': 'x'.repeat(129) })).toMatchObject({ status: 400 })
  })
})

describe('passing on', () => {
  let workspace: MadeWorkspace
  let key: string
  beforeAll(async () => {
    workspace = await makeWorkspace()
    key = workspace.apiKey.key
  })

  it('the service gets path, body and trace, the signed context, and nothing the client may not say', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const { status, headers, body } = await call('POST', '/v1/sends/a%2Fb?x=1&x=2', {
      key,
      body: { hello: 1 },
      headers: { traceparent, 'x-stepcast-context': 'forged', 'x-stepcast-other': 'x', 'idempotency-key': 'i1' },
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      method: 'POST',
      url: '/v1/sends/a%2Fb?x=1&x=2',
      bytes: 11,
      caller: {
        workspaceId: workspace.workspaceId,
        keyId: workspace.apiKey.keyId,
        scopes: ['admin', 'send', 'read'],
        via: 'api_key',
        userId: null,
      },
    })
    expect(body.headers).toMatchObject({ traceparent, 'idempotency-key': 'i1', 'content-type': 'application/json' })
    expect(Object.keys(body.headers)).not.toEqual(expect.arrayContaining(['authorization']))
    expect(body.headers['x-stepcast-other']).toBeUndefined()
    expect(headers.get('x-stepcast-secret')).toBeNull()
  })

  it('a callback reaches the dispatcher of its provider as it came, signature and all', async () => {
    behaviours.set(`/v1/callbacks/twilio/${workspace.workspaceId}`, (request, response) => void echo(request, response))
    const body = 'MessageStatus=delivered&MessageSid=SM1'
    const answer = await fetch(`${gateway.url}/v1/callbacks/twilio/${workspace.workspaceId}?m=a.1.sms`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': 'c2lnbmF0dXJl',
        authorization: 'Basic abc',
        'x-stepcast-context': 'forged',
      },
      body,
    })
    expect(await answer.json()).toMatchObject({
      method: 'POST',
      url: `/v1/callbacks/twilio/${workspace.workspaceId}?m=a.1.sms`,
      caller: null,
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': 'c2lnbmF0dXJl', authorization: 'Basic abc' },
      sha256: createHash('sha256').update(body).digest('hex'),
    })
    expect(await call('POST', '/v1/callbacks/nobody/demo', { body: {} })).toMatchObject({ status: 404 })
    const refused = await call('GET', '/v1/callbacks/twilio/demo')
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'POST'])
    const large = await fetch(`${gateway.url}/v1/callbacks/solapi/demo`, { method: 'POST', body: Buffer.alloc(1024 * 1024 + 1) })
    expect(large.status).toBe(413)
  })

  it('a tracked link reaches the dispatcher that made it, and its redirect is not followed here', async () => {
    behaviours.set('/l/sAbc', (_request, response) => response.writeHead(302, { location: 'https://shop.example/42' }).end())
    for (const method of ['GET', 'HEAD']) {
      const answer = await fetch(`${gateway.url}/l/sAbc`, { method, redirect: 'manual' })
      expect([answer.status, answer.headers.get('location')]).toEqual([302, 'https://shop.example/42'])
    }
    expect((await call('GET', '/l/kAbc')).body).toMatchObject({ url: '/l/kAbc', caller: null })
    expect(await call('GET', '/l/xAbc')).toMatchObject({ status: 404 })
    expect(await call('POST', '/l/sAbc')).toMatchObject({ status: 405 })
  })

  it('needs credentials, and the root key is none here', async () => {
    expect(await call('GET', '/v1/templates')).toMatchObject({ status: 401 })
    expect(await call('GET', '/v1/templates', { key: rootKey })).toMatchObject({ status: 403 })
  })

  it('64 MB stream through, more is a 413', async () => {
    const body = Buffer.alloc(64 * 1024 * 1024, 'stepcast')
    const init = (content: Buffer) => ({
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: content,
    })
    const answer = await fetch(`${gateway.url}/v1/sends`, init(body))
    expect(await answer.json()).toMatchObject({ bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') })
    const tooLarge = await fetch(`${gateway.url}/v1/templates`, init(body.subarray(0, 1024 * 1024 + 1)))
    expect(tooLarge.status).toBe(413)
    const chunked = await fetch(`${gateway.url}/v1/templates`, {
      ...init(body),
      body: new Blob([body.subarray(0, 2 * 1024 * 1024)]).stream(),
      duplex: 'half',
    } as RequestInit)
    expect(chunked.status).toBe(413)
  })

  it('a refusal before the body was read still arrives', async () => {
    behaviours.set('/v1/sends', (_request, response) =>
      response.writeHead(422, { 'content-type': 'application/problem+json' }).end('{"status":422}'),
    )
    const answer = await fetch(`${gateway.url}/v1/sends`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: Buffer.alloc(8 * 1024 * 1024),
    })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([422, 'application/problem+json'])
  })

  it('events stream as they happen, and the service learns that the reader left', async () => {
    let left = false
    behaviours.set('/v1/feed/stream', (request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      request.once('close', () => {
        left = true
      })
      setTimeout(() => response.write('data: one\n\n'), 50)
    })
    const reader = new AbortController()
    const answer = await fetch(`${gateway.url}/v1/feed/stream`, {
      headers: { authorization: `Bearer ${await userToken(workspace)}`, accept: 'text/event-stream' },
      signal: reader.signal,
    })
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const { value } = await answer.body!.getReader().read()
    expect(Buffer.from(value!).toString()).toBe('data: one\n\n')
    expect(left).toBe(false)
    reader.abort()
    await eventually(() => left)
  })

  it('streams take no place from other calls, whatever their clients accept', async () => {
    behaviours.set('/v1/feed/stream', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
    })
    const readers = new AbortController()
    const headers = { authorization: `Bearer ${await userToken(workspace)}` }
    // Two more than there are connections for requests; silent ones would be given up after 60 s and make room.
    const signal = AbortSignal.any([readers.signal, AbortSignal.timeout(20_000)])
    const opened = Array.from({ length: 130 }, () => fetch(`${gateway.url}/v1/feed/stream`, { headers, signal }))
    try {
      expect((await Promise.all(opened)).every(({ status }) => status === 200)).toBe(true)
      expect((await fetch(`${gateway.url}/v1/feed`, { headers, signal: AbortSignal.timeout(5_000) })).status).toBe(200)
    } finally {
      readers.abort()
      await Promise.allSettled(opened)
    }
  })

  it('an answer that breaks off is not passed off as complete', async () => {
    behaviours.set('/v1/templates', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"items":[')
      setTimeout(() => response.destroy(), 50)
    })
    await expect(call('GET', '/v1/templates', { key })).rejects.toThrow()
  })

  it('a service that is away is a 503 that says which', async () => {
    const away = await startGateway({ env: { ...env, TEMPLATE_SVC_URL: 'http://127.0.0.1:1' }, ownsProcess: false })
    try {
      const response = await fetch(`${away.url}/v1/templates`, { headers: { authorization: `Bearer ${key}` } })
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({
        detail: 'The part for templates is restarting: nothing was done; try again in a moment.',
      })
      const ready = await fetch(`${away.url}/readyz`)
      expect([ready.status, await ready.json()]).toMatchObject([503, { notReady: ['template-svc'] }])
      expect((await fetch(`${away.url}/healthz`)).status).toBe(200)
      expect(await (await fetch(away.url)).text()).toContain('Not ready: template-svc')
    } finally {
      await away.stop()
    }
  })

  it('all else is a 404 problem', async () => {
    for (const path of ['/v1/nothing', '/openapi.json', '/v1/templates-x', '/v1/workspaces/x']) {
      expect(await call('GET', path, { key })).toMatchObject({ status: 404, body: { status: 404, title: 'Not Found' } })
    }
  })
})

describe('operators and newcomers', () => {
  it('the whole is ready when every service is; metrics take the root key', async () => {
    expect(await call('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true } })
    expect(await call('GET', '/metrics')).toMatchObject({ status: 401 })
    expect((await call('GET', '/metrics', { key: rootKey })).body).toContain('stepcast_http_request_seconds')
  })

  it('a service that waits is told with its reason; that the gateway itself can answer is another question', async () => {
    const told = { status: 503, detail: 'Not ready: kafka (no answer for 35 s).', notReady: ['kafka'] }
    behaviours.set('/readyz', (_request, response) =>
      response.writeHead(503, { 'content-type': 'application/problem+json' }).end(JSON.stringify(told)),
    )
    await eventually(async () => (await call('GET', '/readyz')).status === 503)
    const { body } = await call('GET', '/readyz')
    expect(body.notReady).toEqual(services.map(({ name }) => name))
    expect(body.details['orchestrator']).toBe('kafka (no answer for 35 s)')
    expect((await call('GET', '/')).body).toContain('Not ready: template-svc (kafka (no answer for 35 s))')
    expect(await call('GET', '/readyz?of=self')).toMatchObject({ status: 200, body: { ready: true } })
    behaviours.clear()
    await eventually(async () => (await call('GET', '/readyz')).status === 200)
  })

  it('Kafka away for 30 s: the whole is not ready and the start page says so, this process can still answer', async () => {
    const away = await startGateway({ env: { ...env, KAFKA_BROKERS: '127.0.0.1:1' }, ownsProcess: false })
    try {
      const { status, body } = await eventually(
        async () => {
          const response = await fetch(`${away.url}/readyz`)
          return response.status === 503 ? { status: response.status, body: await response.json() } : null
        },
        { withinMs: 60_000, everyMs: 1_000 },
      )
      expect([status, body]).toMatchObject([
        503,
        { notReady: ['kafka'], details: { kafka: expect.stringMatching(/^no answer for 3\d s$/) } },
      ])
      expect(await (await fetch(away.url)).text()).toContain('Not ready: kafka (no answer for')
      expect((await fetch(`${away.url}/readyz?of=self`)).status).toBe(200)
      expect(
        (await fetch(`${away.url}/v1/workspace`, { headers: { authorization: `Bearer ${(await makeWorkspace()).apiKey.key}` } })).status,
      ).toBe(200)
    } finally {
      await away.stop()
    }
  }, 120_000)

  it('one document of the whole, to read by machines and people', async () => {
    behaviours.set('/openapi.json', (_request, response) =>
      response.end(
        JSON.stringify({
          openapi: '3.0.0',
          info: { title: 'x', version: '1' },
          paths: {
            '/v1/templates': { get: { summary: 'List <templates>', 'x-stepcast-scopes': ['read'] } },
            '/internal/x': { get: {} },
            '/v1/hidden': { post: { 'x-stepcast-scopes': ['internal'] } },
          },
        }),
      ),
    )
    const fresh = await startGateway({ env, ownsProcess: false })
    try {
      const document = (await (await fetch(`${fresh.url}/v1/openapi.json`)).json()) as { paths: object }
      expect(Object.keys(document.paths)).toEqual([
        '/v1/templates',
        '/v1/workspace',
        '/v1/workspace/api-keys',
        '/v1/workspace/api-keys/{keyId}',
        '/v1/workspace/providers',
        '/v1/workspace/providers/{provider}',
        '/v1/workspace/providers/apns',
        '/v1/workspace/providers/fcm',
        '/v1/workspace/providers/solapi',
        '/v1/workspace/providers/twilio',
        '/v1/workspace/signing-keys',
        '/v1/workspace/signing-keys/{kid}',
        '/v1/workspaces',
        '/v1/workspaces/{workspaceId}/api-keys',
      ])
      const page = await fetch(`${fresh.url}/docs`)
      expect(page.headers.get('content-type')).toContain('text/html')
      expect(await page.text()).toContain('List &lt;templates&gt;')
    } finally {
      await fresh.stop()
    }
  })

  it('gRPC answers health for the whole, and reflection', async () => {
    const { port } = gateway.app.get(GatewayModule).grpc!
    const { grpc } = loadPackageDefinition(loadSync(protoPath)) as any
    const client = new grpc.health.v1.Health(`127.0.0.1:${port}`, credentials.createInsecure())
    const { status } = await new Promise<{ status: unknown }>((resolve, reject) =>
      client.check({ service: '' }, (error: Error | null, answer: any) => (error ? reject(error) : resolve(answer))),
    )
    client.close()
    expect(status).toBe(1)
  })

  it('a port in use is an error that names the variable', async () => {
    await expect(startGateway({ env: { ...env, PORT: String(gateway.port) }, ownsProcess: false })).rejects.toThrow(
      `PORT ${gateway.port} is in use`,
    )
  })

  it('a missing setting is an error that names it', async () => {
    await expect(startGateway({ env: { ...env, SEND_SVC_URL: '' }, ownsProcess: false })).rejects.toThrow('SEND_SVC_URL is missing')
  })
})

describe('what no database takes', () => {
  const cursorOf = (json: string): string => Buffer.from(json).toString('base64url')

  it('nothing hostile is answered with 5xx: no text, number, time or cursor of any call', async () => {
    const workspace = await makeWorkspace()
    const { breaches, byStatus } = await attack({
      url: gateway.url,
      document: gateway.app.get(OpenApi, { strict: false }).document(),
      headers: async (path) => ({ authorization: `Bearer ${path.startsWith('/v1/workspaces') ? rootKey : workspace.apiKey.key}` }),
      known: {
        workspaceId: workspace.workspaceId,
        timezone: 'Asia/Seoul',
        currency: 'KRW',
        keyId: 'ak_x',
        kid: `${workspace.workspaceId}.99`,
        provider: 'fcm',
      },
    })
    expect(breaches).toEqual([])
    expect(Object.keys(byStatus)).toEqual(expect.arrayContaining(['200', '400', '404', '409', '422']))
  })

  it('names of workspaces and keys hold no NUL and no half surrogate pair', async () => {
    const {
      apiKey: { key },
    } = await makeWorkspace()
    const errors = [{ path: '/name' }]
    for (const name of ['a\u0000b', 'a\ud800']) {
      expect(await call('PUT', '/v1/workspace', { key, body: { name } })).toMatchObject({ status: 422, body: { errors } })
      expect(await call('POST', '/v1/workspace/api-keys', { key, body: { name, scopes: ['read'] } })).toMatchObject({
        status: 422,
        body: { errors },
      })
      expect(await call('POST', '/v1/workspaces', { key: rootKey, body: { workspaceId: 'nul', name } })).toMatchObject({
        status: 422,
        body: { errors },
      })
    }
  })

  it.each(['["x"]', '[1.5]', '[1e308]', '[2147483648]', '[null]', '[1,2]'])(
    'the cursor %s is none of the list of signing keys',
    async (json) => {
      const {
        apiKey: { key },
      } = await makeWorkspace()
      expect(await call('GET', `/v1/workspace/signing-keys?cursor=${cursorOf(json)}`, { key })).toMatchObject({
        status: 400,
        body: { errors: [{ path: '/cursor' }] },
      })
    },
  )

  it('a body that is no UTF-8 is a 400', async () => {
    const {
      apiKey: { key },
    } = await makeWorkspace()
    const response = await fetch(`${gateway.url}/v1/workspace`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: Buffer.from('{"name":"Zoë"}', 'latin1'),
    })
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { errors: [{ path: '', message: expect.stringContaining('UTF-8') }] },
    ])
  })
})
