// What slow, greedy and forgotten clients do to the others: nothing.
import { createServer, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import type { RunningService } from '@stepcast/service'
import { eventually, type SpecStack, specStack } from '@stepcast/testing'
import { SignJWT } from 'jose'
import { startGateway } from './gateway'
import { services } from './services'

interface MadeWorkspace {
  apiKey: { key: string }
  signingKey: { kid: string; secret: string }
}

const rootKey = 'rk_spec'
let stack: SpecStack
let upstream: Server
let gateway: RunningService
let workspace: MadeWorkspace
const sockets: Socket[] = []
const large = Buffer.alloc(8 * 1024 * 1024, 'x')
/** Answers of the small service that wait for the spec. */
const held: ServerResponse[] = []

beforeAll(async () => {
  stack = await specStack(__filename)
  upstream = createServer((request, response) => {
    if (request.url === '/v1/templates/large') return response.end(large)
    if (request.url === '/v1/templates/held') return held.push(response)
    if (request.url === '/v1/feed/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      return
    }
    request.resume().on('end', () => response.end('{}'))
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  gateway = await startGateway({
    env: { ...stack.env, STEPCAST_ROOT_KEY: rootKey, ...Object.fromEntries(services.map(({ urlVariable }) => [urlVariable, url])) },
    ownsProcess: false,
  })
  workspace = await makeWorkspace()
})
afterEach(() => {
  sockets.splice(0).forEach((socket) => socket.destroy())
  held.splice(0).forEach((response) => response.destroy())
})
afterAll(async () => {
  await gateway?.stop()
  upstream?.closeAllConnections()
  upstream?.close()
  await stack?.stop()
})

async function makeWorkspace(): Promise<MadeWorkspace> {
  const body = JSON.stringify({ workspaceId: `ws-${randomUUID()}` })
  const headers = { authorization: `Bearer ${rootKey}`, 'content-type': 'application/json' }
  return (await (await fetch(`${gateway.url}/v1/workspaces`, { method: 'POST', headers, body })).json()) as MadeWorkspace
}

const tokenOf = ({ signingKey }: MadeWorkspace, sub: string, inS = 600): Promise<string> =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', kid: signingKey.kid })
    .setSubject(sub)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + inS)
    .sign(Buffer.from(signingKey.secret))

/** A client of its own making. */
function open(request: string): Socket {
  const socket = connect(gateway.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(request)
  sockets.push(socket)
  return socket
}
const post = (path: string, more: string[]): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${more.map((line) => `${line}\r\n`).join('')}\r\n{`
const drip = (socket: Socket, drop = ' '): Socket => {
  const timer = setInterval(() => socket.write(drop), 1_000)
  return socket.on('close', () => clearInterval(timer))
}
const get = async (path: string, credential?: string): Promise<number> => {
  const headers: Record<string, string> = credential === undefined ? {} : { authorization: `Bearer ${credential}` }
  return (await fetch(gateway.url + path, { headers, redirect: 'manual', signal: AbortSignal.timeout(5_000) })).status
}
/** Nobody who behaves notices anything. */
async function expectAllServed(): Promise<void> {
  const { key } = workspace.apiKey
  expect(
    await Promise.all([
      get('/readyz'),
      get('/l/sAbc'),
      get('/v1/sms/unknown', key),
      get('/v1/sends/x', key),
      get('/v1/templates', key),
      get('/v1/feed', await tokenOf(workspace, 'other')),
    ]),
  ).toEqual([200, 200, 200, 200, 200, 200])
}

it.each<[string, () => Promise<string>]>([
  ['callbacks, without credentials', async () => post('/v1/callbacks/twilio/demo', ['Content-Length: 1000'])],
  ['sends', async () => post('/v1/sends', ['Content-Length: 1000', `Authorization: Bearer ${workspace.apiKey.key}`])],
  ['large sends', async () => post('/v1/sends', ['Content-Length: 60000000', `Authorization: Bearer ${workspace.apiKey.key}`])],
  [
    'chunked sends',
    async () => post('/v1/sends', ['Transfer-Encoding: chunked', `Authorization: Bearer ${workspace.apiKey.key}`]).slice(0, -1),
  ],
  [
    'receipts of a person',
    async () => post('/v1/feed/x/clicked', ['Content-Length: 1000', `Authorization: Bearer ${await tokenOf(workspace, 'slow')}`]),
  ],
])(
  '160 who begin and do not end: %s',
  async (_what, request) => {
    const written = await request()
    const answers = Array.from({ length: 160 }, () => drip(open(written), written.endsWith('{') ? ' ' : '1\r\n \r\n'))
    await sleep(500)
    await expectAllServed()
    await sleep(1_500)
    await expectAllServed()
    // Those beyond what one caller and one address may have at once are sent away after a second, the others when their time is over.
    const refused = (
      await Promise.all(answers.map((socket) => Promise.race([text(socket).catch(() => ' 429 '), sleep(500).then(() => '')])))
    ).filter((said) => said.includes(' 429 ') || said.includes(' 503 '))
    expect(refused.length).toBeGreaterThan(20)
  },
  60_000,
)

it('whoever sends nothing for 10 s is cut', async () => {
  const { key } = workspace.apiKey
  const begun = performance.now()
  const said = await Promise.all([
    text(open(post('/v1/sends', ['Content-Length: 1000', `Authorization: Bearer ${key}`]))),
    text(open(post('/v1/sends', ['Content-Length: 60000000', `Authorization: Bearer ${key}`]))),
    text(open(post('/v1/workspace/api-keys', ['Content-Length: 1000', `Authorization: Bearer ${key}`]))),
    text(open(post('/v1/callbacks/twilio/demo', ['Content-Length: 1000']))),
  ])
  for (const answer of said) expect(answer).toMatch(/^HTTP\/1.1 408 /)
  expect(performance.now() - begun).toBeLessThan(20_000)
}, 30_000)

it('whoever may not call is answered before his body is read', async () => {
  const token = await tokenOf(workspace, 'mallory')
  const compressed = ['Content-Length: 64080', 'Content-Encoding: gzip']
  const answers = [
    [post('/v1/sends', [...compressed, `Authorization: Bearer ${token}`]), 403],
    [post('/v1/sends', compressed), 401],
    [post('/v1/sends', [...compressed, `Authorization: Bearer ${workspace.apiKey.key}`]), 415],
    [post('/v1/sends', ['Content-Length: 66000000', `Authorization: Bearer ${token}`]), 403],
    [post('/v1/workspace/api-keys', ['Content-Length: 1000', `Authorization: Bearer ${token}`]), 403],
  ] as const
  for (const [request, status] of answers) expect((await text(open(request))).slice(0, 12)).toBe(`HTTP/1.1 ${status}`)
})

it('160 who ask for much and never read: others are served', async () => {
  const { key } = workspace.apiKey
  for (let n = 0; n < 160; n++) open(`GET /v1/templates/large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\n\r\n`).pause()
  await sleep(1_000)
  const other = await makeWorkspace()
  expect(await get('/v1/templates/x', other.apiKey.key)).toBe(200)
  await expect(get('/readyz')).resolves.toBe(200)
}, 60_000)

it('a workspace that takes all it can of a service leaves half of it to the others, and waits 2 s itself', async () => {
  const { key } = workspace.apiKey
  const flood = Array.from({ length: 100 }, () =>
    fetch(`${gateway.url}/v1/templates/held`, { headers: { authorization: `Bearer ${key}` } }),
  )
  await eventually(() => held.length === 64)
  expect(await get('/v1/templates/x', (await makeWorkspace()).apiKey.key)).toBe(200)
  const begun = performance.now()
  const late = await Promise.all(flood.slice(64))
  for (const { status, headers } of late) expect([status, headers.get('retry-after')]).toEqual([503, '1'])
  expect(performance.now() - begun).toBeLessThan(4_000)
  // Work under way is not shed.
  held.splice(0).forEach((response) => response.end('{}'))
  for (const { status } of await Promise.all(flood.slice(0, 64))) expect(status).toBe(200)
}, 30_000)

describe('streams end with what they were opened with', () => {
  const stream = (credential: string, more: string[] = []): Promise<string> =>
    text(
      open(
        `GET /v1/feed/stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${credential}\r\n${more.map((line) => `${line}\r\n`).join('')}\r\n`,
      ),
    )
  const remove = async (path: string): Promise<void> => {
    const { status } = await fetch(gateway.url + path, { method: 'DELETE', headers: { authorization: `Bearer ${workspace.apiKey.key}` } })
    expect(status).toBe(204)
  }
  const make = async (path: string, body?: object): Promise<any> => {
    const headers = { authorization: `Bearer ${workspace.apiKey.key}`, ...(body ? { 'content-type': 'application/json' } : {}) }
    return (await fetch(gateway.url + path, { method: 'POST', headers, ...(body ? { body: JSON.stringify(body) } : {}) })).json()
  }

  it('a token that expires, a signing key and an API key that are revoked', async () => {
    const signingKey = (await make('/v1/workspace/signing-keys')) as MadeWorkspace['signingKey']
    const apiKey = await make('/v1/workspace/api-keys', { name: 'k', scopes: ['send'] })
    const begun = performance.now()
    const expiring = stream(await tokenOf(workspace, 'u', 2))
    const [revoked, ofKey] = [stream(await tokenOf({ ...workspace, signingKey }, 'u')), stream(apiKey.key, ['On-Behalf-Of: u'])]
    await sleep(500)
    await Promise.all([remove(`/v1/workspace/signing-keys/${signingKey.kid}`), remove(`/v1/workspace/api-keys/${apiKey.keyId}`)])
    for (const said of await Promise.all([expiring, revoked, ofKey])) expect(said).toMatch(/^HTTP\/1.1 200 /)
    expect(performance.now() - begun).toBeLessThan(12_000)
  }, 30_000)
})
