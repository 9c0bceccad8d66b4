// The sandbox over HTTP: it answers as FCM does, forgets no arrival, and does what the faults say.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { importPKCS8, SignJWT } from 'jose'
import { expectEveryRouteScoped, type RunningService } from '@stepcast/service'
import type { Arrival } from './arrivals'
import { startSandbox } from './start'

interface Answer {
  status: number
  headers: Headers
  body: any
}

const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.2.push'

describe('provider sandbox', () => {
  let sandbox: RunningService
  let product: Server
  let bearer: string
  const reported: { url: string; authorization: string; user: string }[] = []

  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> => {
    const response = await fetch(`${sandbox.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
  }
  const push = (token: string, id = messageId): Promise<Answer> =>
    call(
      'POST',
      '/v1/projects/p1/messages:send',
      {
        message: {
          token,
          notification: { title: 'Shipped', body: 'Order 1' },
          data: { stepcast_message_id: id, stepcast_workspace_id: 'demo', stepcast_user_id: '사용자-7' },
        },
      },
      { authorization: `Bearer ${bearer}` },
    )
  const arrivals = async (query = ''): Promise<Arrival[]> => (await call('GET', `/log${query}`)).body.items

  beforeAll(async () => {
    product = createServer((request, response) => {
      reported.push({
        url: request.url!,
        authorization: request.headers.authorization!,
        user: Buffer.from(String(request.headers['on-behalf-of']), 'latin1').toString('utf8'),
      })
      response.writeHead(204).end()
    }).listen(0)
    sandbox = await startSandbox(
      { LOG_LEVEL: 'silent', STEPCAST_PUBLIC_URL: `http://127.0.0.1:${(product.address() as AddressInfo).port}` },
      false,
    )

    const account = (await call('GET', '/service-account.json')).body
    const assertion = await new SignJWT({ scope: 'https://www.googleapis.com/auth/firebase.messaging' })
      .setProtectedHeader({ alg: 'RS256' })
      .setIssuer(account.client_email)
      .setAudience(account.token_uri)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(await importPKCS8(account.private_key, 'RS256'))
    const granted = await fetch(account.token_uri, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }),
    })
    bearer = ((await granted.json()) as { access_token: string }).access_token
  })
  afterAll(async () => {
    await sandbox.stop()
    product.close()
  })
  afterEach(async () => {
    await call('DELETE', '/faults')
  })

  it('declares a scope for every route', () => {
    expectEveryRouteScoped(sandbox.app)
  })

  it('refuses a grant without an assertion', async () => {
    const refused = await call('POST', '/token', { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' })
    expect(refused).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })

  it('accepts a message and writes it down', async () => {
    const answer = await push('token-1', `${messageId}`)
    expect(answer.status).toBe(200)
    expect(answer.body.name).toMatch(/^projects\/p1\/messages\//)
    expect(await arrivals(`?messageId=${messageId}`)).toMatchObject([{ provider: 'fcm', messageId, to: 'token-1', answer: '200' }])
  })

  it('answers UNREGISTERED for bad_ tokens, as FCM words it', async () => {
    const answer = await push('bad_1')
    expect(answer.status).toBe(404)
    expect(answer.body.error).toMatchObject({
      status: 'NOT_FOUND',
      details: [{ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode: 'UNREGISTERED' }],
    })
  })

  it('refuses who brings no access token, and writes that down too', async () => {
    const since = new Date().toISOString()
    const answer = await call('POST', '/v1/projects/p1/messages:send', { message: { token: 't' } })
    expect(answer).toMatchObject({ status: 401, body: { error: { status: 'UNAUTHENTICATED' } } })
    expect(await arrivals(`?since=${since}`)).toMatchObject([{ answer: '401 UNAUTHENTICATED' }])
  })

  it('names the field of a malformed message', async () => {
    const answer = await call(
      'POST',
      '/v1/projects/p1/messages:send',
      { message: { token: 't', data: { n: 12 } } },
      { authorization: `Bearer ${bearer}` },
    )
    expect(answer).toMatchObject({ status: 400, body: { error: { details: [{ fieldViolations: [{ field: 'message.data.n' }] }] } } })
  })

  it('strikes as often as a fault says, with Retry-After', async () => {
    expect((await call('POST', '/faults', { provider: 'fcm', mode: '429', rate: 1, count: 1, retryAfterS: 3 })).status).toBe(201)
    const answer = await push('token-1')
    expect(answer.status).toBe(429)
    expect(answer.headers.get('retry-after')).toBe('3')
    expect(answer.body.error.details[0].errorCode).toBe('QUOTA_EXCEEDED')
    expect((await push('token-1')).status).toBe(200)
    expect((await call('GET', '/faults')).body.items).toEqual([])
  })

  it('refuses a fault it does not know', async () => {
    const answer = await call('POST', '/faults', { provider: 'fcm', mode: 'explode', rate: 2 })
    expect(answer.status).toBe(422)
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(['/mode', '/rate'])
  })

  it('accepts and resets: the connection breaks, the arrival stays', async () => {
    await call('POST', '/faults', { provider: 'fcm', mode: 'accept-then-reset', rate: 1, count: 1 })
    const id = messageId.replace('.2.', '.3.')
    await expect(push('token-1', id)).rejects.toThrow()
    expect(await arrivals(`?messageId=${id}`)).toMatchObject([{ answer: 'reset' }])
  })

  it('hangs: no answer, the arrival stays', async () => {
    await call('POST', '/faults', { provider: 'fcm', mode: 'hang', rate: 1, count: 1 })
    const id = messageId.replace('.2.', '.4.')
    const outcome = await Promise.race([
      push('token-1', id).catch(() => 'broken'),
      new Promise((resolve) => setTimeout(resolve, 200, 'hanging')),
    ])
    expect(outcome).toBe('hanging')
    expect(await arrivals(`?messageId=${id}`)).toMatchObject([{ answer: 'hang' }])
  })

  it('reports for a phone when told, on behalf of its user', async () => {
    await push('token-1')
    expect((await call('POST', '/phones/unknown/delivered')).status).toBe(404)
    expect((await call('POST', `/phones/${messageId}/clicked`)).status).toBe(409)
    await call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1' })
    expect((await call('POST', `/phones/${messageId}/clicked`)).status).toBe(204)
    expect(reported).toEqual([{ url: `/v1/push/${messageId}/clicked`, authorization: 'Bearer sk_1', user: '사용자-7' }])
  })

  it('lets simulated phones answer by themselves, once', async () => {
    reported.length = 0
    await call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1', behaviour: { deliveredRate: 1, clickedRate: 1, delayMs: 20 } })
    const id = messageId.replace('.2.', '.5.')
    await push('sim_1', id)
    await push('sim_1', id)
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(reported.map(({ url }) => url)).toEqual([`/v1/push/${id}/delivered`, `/v1/push/${id}/clicked`])
  })
})
