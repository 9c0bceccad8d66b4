// The frame as a service lives in it: real HTTP, a small module, every kind of refusal.
import { Body, Controller, Get, Inject, Module, Param, Post, Query, Req } from '@nestjs/common'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Request } from 'express'
import { z } from 'zod'
import { type CallerContext, contextHeader, contextKey, signContext } from './context'
import { Describe } from './describe'
import { IdempotencyKey } from './idempotency'
import { Registry } from './metrics'
import { pageQuery } from './page'
import { notFound } from './problem'
import { Readiness } from './readiness'
import { Caller, expectEveryRouteScoped, RequireScope, routesOf } from './scope'
import { type RunningService, startService } from './start'
import { currentTraceparent } from './trace'

const order = z.strictObject({
  orderNo: z.string().min(1),
  steps: z.array(z.object({ waitMinutes: z.union([z.literal(5), z.literal(10)]) })).min(1),
})

@Controller('v1/orders')
class Orders {
  constructor(@Inject(Registry) private readonly metrics: Registry) {}

  @Post()
  @RequireScope('send')
  @Describe({ summary: 'Make an order', answer: z.object({ orderNo: z.string(), paidAt: z.string().nullable() }) })
  make(@Body({ schema: order }) body: z.infer<typeof order>, @Caller() caller: Caller, @IdempotencyKey() key: string | null) {
    return { orderNo: body.orderNo, workspaceId: caller.workspaceId, key }
  }

  @Get()
  @RequireScope('read', 'admin')
  list(@Query({ schema: pageQuery }) query: z.infer<typeof pageQuery>) {
    return query
  }

  @Get('mine')
  @RequireScope('user')
  mine(@Caller() caller: Caller) {
    return { userId: caller.userId, traceparent: currentTraceparent(), metrics: typeof this.metrics.metrics }
  }

  @Get('broken')
  @RequireScope('public')
  broken(): never {
    throw new Error('password=hunter2')
  }

  @Get('away')
  @RequireScope('public')
  away(): never {
    throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.1'), { retriable: true })
  }

  @Get('refused')
  @RequireScope('public')
  refused(): never {
    throw Object.assign(new Error('invalid input syntax for type uuid: "hunter2"'), { code: '22P02' })
  }

  @Get('undeclared')
  undeclared(@Req() _request: Request) {
    return 'never'
  }

  @Get(':orderNo')
  @RequireScope('public')
  one(@Param('orderNo') orderNo: string): never {
    throw notFound(`There is no order ${orderNo}.`)
  }
}

@Module({ controllers: [Orders] })
class OrdersModule {}

const env = { STEPCAST_INTERNAL_SECRET: 'a-secret-of-at-least-32-characters', LOG_LEVEL: 'silent' }
const server: CallerContext = { workspaceId: 'demo', scopes: ['send'], userId: null, via: 'api_key', keyId: 'ak_1' }
let service: RunningService

beforeAll(async () => {
  service = await startService({ name: 'orders', module: OrdersModule, env, ownsProcess: false, bodies: { json: 1 * 1024 } })
})
afterAll(() => service.stop())

async function answered(path: string, { caller, ...init }: RequestInit & { caller?: CallerContext }): Promise<Response> {
  const headers = new Headers(init.headers)
  if (caller !== undefined) headers.set(contextHeader, await signContext(contextKey(env.STEPCAST_INTERNAL_SECRET), caller))
  return fetch(service.url + path, { ...init, headers })
}
async function call(path: string, init: RequestInit & { caller?: CallerContext } = {}) {
  const headers = new Headers(init.headers)
  if (init.body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json')
  const response = await answered(path, { ...init, headers })
  return { status: response.status, type: response.headers.get('content-type'), body: (await response.json()) as Record<string, any> }
}
const post = (body: unknown, caller = server) =>
  call('/v1/orders', {
    method: 'POST',
    body: typeof body === 'string' || body instanceof Uint8Array ? (body as RequestInit['body']) : JSON.stringify(body),
    caller,
  })

describe('callers', () => {
  it('nobody is turned away with 401, and so is who brings another signature', async () => {
    expect(await call('/v1/orders')).toMatchObject({
      status: 401,
      type: 'application/problem+json; charset=utf-8',
      body: { status: 401, title: 'Unauthorized' },
    })
    const forged = await signContext(contextKey('another-secret-of-32-characters-or-more'), server)
    expect(await call('/v1/orders', { headers: { [contextHeader]: forged } })).toMatchObject({ status: 401 })
  })

  it('a scope that is not listed does not do', async () => {
    expect(await call('/v1/orders', { caller: server })).toMatchObject({
      status: 403,
      body: { detail: 'This call needs scope read or scope admin; this key has send.' },
    })
    expect(await call('/v1/orders', { caller: { ...server, scopes: ['admin'] } })).toMatchObject({ status: 200 })
  })

  it('a user is a user token, or a key with scope send acting for one', async () => {
    const user: CallerContext = { workspaceId: 'demo', scopes: [], userId: 'u1', via: 'user_token', keyId: null }
    expect(await call('/v1/orders/mine', { caller: user })).toMatchObject({ status: 200, body: { userId: 'u1' } })
    expect(await call('/v1/orders/mine', { caller: { ...server, userId: 'u2' } })).toMatchObject({ status: 200, body: { userId: 'u2' } })
    expect(await call('/v1/orders/mine', { caller: { ...server, userId: 'u2', scopes: ['read'] } })).toMatchObject({ status: 403 })
    expect(await call('/v1/orders/mine', { caller: server })).toMatchObject({ status: 403 })
  })

  it('a route without a scope is denied, and fails a spec', async () => {
    expect(await call('/v1/orders/undeclared', { caller: server })).toMatchObject({ status: 403 })
    expect(() => expectEveryRouteScoped(service.app)).toThrow('routes without @RequireScope: GET /v1/orders/undeclared')
    expect(routesOf(service.app)).toContainEqual(expect.objectContaining({ method: 'POST', path: '/v1/orders', scopes: ['send'] }))
    expect(routesOf(service.app)).toContainEqual(expect.objectContaining({ method: 'GET', path: '/readyz', scopes: ['public'] }))
  })
})

describe('problems', () => {
  it('a good body arrives', async () => {
    expect(await post({ orderNo: 'A1', steps: [{ waitMinutes: 5 }] })).toMatchObject({
      status: 201,
      body: { orderNo: 'A1', workspaceId: 'demo', key: null },
    })
  })

  it('a refused body names each field, what it is and what is allowed', async () => {
    expect(await post({ orderNo: '', steps: [{ waitMinutes: 7 }], note: 'x' })).toMatchObject({
      status: 422,
      body: {
        type: 'urn:stepcast:refused',
        title: 'Unprocessable Entity',
        errors: [
          { path: '/orderNo', message: 'must have at least 1 character, not ""' },
          { path: '/steps/0/waitMinutes', message: 'must be 5 or must be 10, not 7' },
          { path: '/note', message: 'is not a known field here' },
        ],
      },
    })
  })

  it('no piece of an unreadable body stands in the answer: it may be a piece of a secret', async () => {
    const answer = await post('{"authToken": s-secret-token, "from": "+15005550006"}')
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path: '', message: 'is not JSON' }] } })
    expect(JSON.stringify(answer)).not.toContain('s-secret')
  })

  it('what cannot be read is a 400, what is too large a 413', async () => {
    expect(await post('{"orderNo":')).toMatchObject({ status: 400, body: { errors: [{ path: '' }] } })
    expect(await call('/v1/orders', { method: 'POST', caller: server })).toMatchObject({
      status: 400,
      body: { errors: [{ path: '', message: expect.stringContaining('send JSON') }] },
    })
    expect(await post({ orderNo: 'x'.repeat(2_000) })).toMatchObject({
      status: 413,
      body: { detail: expect.stringContaining('1024 bytes') },
    })
  })

  it('a body whose bytes are no UTF-8 is a 400, half a surrogate pair a 422 that says where', async () => {
    const orderOf = (orderNo: string): string => `{"orderNo":${orderNo},"steps":[{"waitMinutes":5}]}`
    const latin1 = await post(Buffer.from(orderOf('"Zoë"'), 'latin1'))
    expect(latin1).toMatchObject({ status: 400, body: { errors: [{ path: '', message: expect.stringContaining('UTF-8') }] } })
    expect(await post(orderOf('"Zoë"'))).toMatchObject({ status: 201, body: { orderNo: 'Zoë' } })
    expect(await post(orderOf('"Ann \\ud83d"'))).toMatchObject({
      status: 422,
      body: { errors: [{ path: '/orderNo', message: 'must not hold half a surrogate pair' }] },
    })
    expect(await post(orderOf('"a\\u0000b"'))).toMatchObject({
      status: 422,
      body: { errors: [{ path: '/orderNo', message: 'must not hold the character NUL' }] },
    })
  })

  it('a value that only the database refuses is a 422 that does not repeat it', async () => {
    const answer = await call('/v1/orders/refused')
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: '', message: 'holds a value that cannot be stored' }] } })
    expect(JSON.stringify(answer)).not.toContain('hunter2')
  })

  it('NUL in an address is a 400: no database has a name with it', async () => {
    for (const path of ['/v1/orders/a%00b', '/v1/orders?cursor=%00']) {
      const body = { title: 'Bad Request', detail: expect.stringContaining('NUL') }
      expect(await call(path, { caller: server })).toMatchObject({ status: 400, body })
    }
  })

  it('a query is checked like a body', async () => {
    const reader = { ...server, scopes: ['read'] as const }
    expect(await call('/v1/orders?limit=20', { caller: reader })).toMatchObject({ body: { limit: 20 } })
    expect(await call('/v1/orders?limit=101', { caller: reader })).toMatchObject({
      status: 422,
      body: { errors: [{ path: '/limit', message: 'must be at most 100, not 101' }] },
    })
  })

  it('unknown paths and unknown things are 404', async () => {
    expect(await call('/nowhere')).toMatchObject({
      status: 404,
      type: 'application/problem+json; charset=utf-8',
      body: { detail: 'There is no GET /nowhere here.' },
    })
    expect(await call('/v1/orders/A1')).toMatchObject({ status: 404, body: { detail: 'There is no order A1.' } })
    expect(await call('/v1/orders/%FF')).toMatchObject({ status: 400 })
  })

  it('an unexpected error leaks nothing but an id; a part out of reach is a 503', async () => {
    const { status, body } = await call('/v1/orders/broken')
    expect(status).toBe(500)
    expect(JSON.stringify(body)).not.toContain('hunter2')
    expect(body.detail).toContain(body.id)
    const away = await call('/v1/orders/away')
    expect(away).toMatchObject({ status: 503 })
    expect(JSON.stringify(away.body)).not.toContain('10.0.0.1')
  })
})

describe('what HTTP has words for', () => {
  it('a known path with another method is a 405 that names those it takes; to whoever may do nothing there it is a 401 or 403', async () => {
    const refused = await answered('/v1/orders', { method: 'PATCH', caller: server })
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect(await refused.json()).toMatchObject({
      type: 'urn:stepcast:method-not-allowed',
      detail: 'This path takes GET, HEAD, POST, not PATCH.',
    })
    expect((await answered('/v1/orders', { method: 'PATCH' })).status).toBe(401)
    expect((await answered('/v1/orders/mine', { method: 'PUT', caller: { ...server, scopes: [] } })).status).toBe(405)
    expect((await answered('/v1/orders', { method: 'PATCH', caller: { ...server, scopes: [] } })).status).toBe(403)
    expect((await answered('/V1/orders', { method: 'PATCH', caller: server })).status).toBe(404)
    expect((await answered('/healthz', { method: 'DELETE' })).status).toBe(405)
  })

  it('who accepts no JSON is told so, where there is something to answer and the caller is not a stranger', async () => {
    const reader: CallerContext = { ...server, scopes: ['read'] }
    for (const [accept, status] of [
      ['application/xml', 406],
      ['text/html, application/xml;q=0.9', 406],
      ['application/json;q=0', 406],
      ['*/*', 200],
      ['application/*', 200],
      ['text/html, */*;q=0.1', 200],
    ] as const) {
      expect([accept, (await answered('/v1/orders', { caller: reader, headers: { accept } })).status]).toEqual([accept, status])
    }
    expect((await answered('/healthz', { headers: { accept: 'text/plain' } })).status).toBe(200)
  })

  it('a body of another type, or compressed, is a 415; one that is nested too deep a 400', async () => {
    const send = (body: string, headers: Record<string, string>) =>
      answered('/v1/orders', { method: 'POST', caller: server, body, headers })
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])
      expect((await send('{}', { 'content-type': type })).status).toBe(415)
    expect((await send('{}', { 'content-type': 'application/json; charset=klingon' })).status).toBe(415)
    expect((await send('{}', { 'content-type': 'application/json', 'content-encoding': 'gzip' })).status).toBe(415)
    for (const type of ['application/json', 'application/json;charset=UTF-8', 'Application/JSON', 'application/merge-patch+json'])
      expect((await send('{}', { 'content-type': type })).status).toBe(422)
    const deep = await send('['.repeat(100) + ']'.repeat(100), { 'content-type': 'application/json' })
    expect([deep.status, await deep.text()]).toEqual([400, expect.stringContaining('64 levels')])
    expect((await send(`{"orderNo":"${'['.repeat(100)}"}`, { 'content-type': 'application/json' })).status).toBe(422)
  })

  it('a body is not read for whoever may not call: it ends with the answer', async () => {
    const { port } = new URL(service.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write('POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{')
    const said = await text(socket)
    expect(said).toMatch(/^HTTP\/1.1 401 /)
    expect(said.toLowerCase()).toContain('connection: close')
  })

  it('a header that is said twice means nothing', async () => {
    for (const name of ['Host', 'On-Behalf-Of', 'Idempotency-Key']) {
      const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
      socket.write(
        `GET /v1/orders HTTP/1.1\r\n${name === 'Host' ? '' : 'Host: x\r\n'}${name}: a\r\n${name}: b\r\nConnection: close\r\n\r\n`,
      )
      expect(await text(socket)).toMatch(/^HTTP\/1.1 400 /)
    }
  })

  it.each([
    ['no HTTP', 'GET / HTTP/9\r\n\r\n', 400],
    ['too many headers', `GET / HTTP/1.1\r\nHost: x\r\na: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('%s: what Node refuses has the words of all else', async (_what, request, status) => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
    socket.write(request)
    const [head, body] = (await text(socket)).split('\r\n\r\n') as [string, string]
    expect(head).toContain(`HTTP/1.1 ${status} `)
    expect(head).toMatch(/request-id: [0-9a-f]{32}/)
    expect(JSON.parse(body)).toMatchObject({ status })
  })

  it('every answer has a request id: that of the trace', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    expect((await answered('/healthz', {})).headers.get('request-id')).toMatch(/^[0-9a-f]{32}$/)
    expect((await answered('/nowhere', { headers: { traceparent } })).headers.get('request-id')).toBe('4bf92f3577b34da6a3ce929d0e0e4736')
  })
})

it('a trace goes on, and begins where there is none', async () => {
  const caller = { ...server, userId: 'u' }
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  expect(await call('/v1/orders/mine', { caller, headers: { traceparent } })).toMatchObject({ body: { traceparent } })
  expect(await call('/v1/orders/mine', { caller, headers: { traceparent: 'nonsense' } })).toMatchObject({
    body: { traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/) },
  })
})

it('ready is what its parts say', async () => {
  const readiness = service.app.get(Readiness)
  expect(await call('/healthz')).toMatchObject({ status: 200 })
  expect(await call('/readyz')).toMatchObject({ status: 200, body: { ready: true } })
  readiness.add('kafka', () => Promise.reject(new Error('away')))
  expect(await call('/readyz')).toMatchObject({ status: 503, body: { notReady: ['kafka'] } })
  readiness.add('kafka', () => 'no answer for 35 s')
  const body = { notReady: ['kafka'], details: { kafka: 'no answer for 35 s' }, detail: 'Not ready: kafka (no answer for 35 s).' }
  expect(await call('/readyz')).toMatchObject({ status: 503, body })
  // A load balancer that took this process out would find no other that can do more.
  expect(await call('/readyz?of=self')).toMatchObject({ status: 200, body: { ready: true } })
  expect(await call('/readyz?of=others')).toMatchObject({ status: 422 })
  readiness.add('kafka', () => true)
  expect(await call('/readyz')).toMatchObject({ status: 200 })
})

it('metrics count requests by route pattern', async () => {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  expect(text).toContain('stepcast_http_request_seconds_count{service="orders",method="GET",route="/v1/orders/:orderNo",status="404"} 1')
  expect(text).toContain('process_cpu_seconds_total')
})

it('OpenAPI tells the routes, their bodies and who may call them', async () => {
  const { body } = await call('/openapi.json')
  expect(Object.keys(body.paths)).toEqual(expect.arrayContaining(['/v1/orders', '/v1/orders/{orderNo}']))
  expect(Object.keys(body.paths)).not.toContain('/readyz')
  const make = body.paths['/v1/orders'].post
  expect(make).toMatchObject({ summary: 'Make an order', 'x-stepcast-scopes': ['send'], security: [{ bearer: [] }] })
  expect(make.responses['201'].content['application/json'].schema.properties).toMatchObject({ paidAt: { type: 'string', nullable: true } })
  expect(make.responses.default.content).toHaveProperty(['application/problem+json'])
  expect(JSON.stringify(body)).toContain('waitMinutes')
  expect(body.paths['/v1/orders'].get.parameters.map((parameter: { name: string }) => parameter.name)).toEqual(['limit', 'cursor'])
})
