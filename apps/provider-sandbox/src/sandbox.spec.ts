// The sandbox over HTTP: it answers as FCM does, forgets no arrival, does what the faults say, and lets phones answer.
import { get } from 'node:http'
import { importPKCS8, SignJWT } from 'jose'
import { expectEveryRouteScoped } from '@stepcast/service'
import { type Received, type SandboxStage, sandboxStage, until } from './testing'

const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.2.push'

describe('provider sandbox', () => {
  let stage: SandboxStage
  let bearer: string
  const call: SandboxStage['call'] = (...args) => stage.call(...args)
  const arrivals: SandboxStage['arrivals'] = (query) => stage.arrivals(query)
  const reported = (): { url: string; authorization: string; user: string }[] =>
    stage.told.map(({ url, headers }) => ({
      url,
      authorization: headers.authorization!,
      user: Buffer.from(String(headers['on-behalf-of']), 'latin1').toString('utf8'),
    }))

  const push = (token: string, id = messageId): Promise<Received> =>
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

  beforeAll(async () => {
    stage = await sandboxStage()
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
    await stage.stop()
  })
  afterEach(async () => {
    await call('DELETE', '/faults')
    stage.told.length = 0
  })

  it('declares a scope for every route', () => {
    expectEveryRouteScoped(stage.sandbox.app)
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

  it.each([
    ['message.data', { data: 'text' }],
    ['message.data', { data: ['text'] }],
    ['message.apns.headers.n', { apns: { headers: { n: 5 } } }],
    ['message.webpush.headers', { webpush: { headers: null } }],
    ['message.data[from]', { data: { from: 'me' } }],
    ['message.apns.headers', { apns: { headers: { 'apns-collapse-id': 'x'.repeat(65) } } }],
    ['message', { other: 1 }],
  ])('names the field %s', async (field, wrong) => {
    const body = { message: { token: 't', ...wrong } }
    const answer = await call('POST', '/v1/projects/p1/messages:send', body, { authorization: `Bearer ${bearer}` })
    expect(answer).toMatchObject({ status: 400, body: { error: { details: [{ fieldViolations: [{ field }] }] } } })
  })

  it.each([
    ['letters', 'x', 4_096, 200],
    ['letters', 'x', 4_097, 400],
    ['characters of six bytes', '\u0001', 4_094, 200],
    ['characters of six bytes', '\u0001', 4_100, 400],
  ])('takes data and notification of 4,096 bytes as JSON, in %s', async (_, character, bytes, status) => {
    const rest = JSON.stringify({ data: { k: '' }, notification: { title: '' } }).length
    const one = JSON.stringify(character).length - 2
    const message = { token: 't', data: { k: character.repeat(Math.floor((bytes - rest) / one)) }, notification: { title: '' } }
    message.notification.title = 'x'.repeat((bytes - rest) % one)
    const answer = await call('POST', '/v1/projects/p1/messages:send', { message }, { authorization: `Bearer ${bearer}` })
    expect(answer.status).toBe(status)
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
    expect(reported()).toEqual([{ url: `/v1/push/${messageId}/clicked`, authorization: 'Bearer sk_1', user: '사용자-7' }])
  })

  it('lets simulated phones answer by themselves, once', async () => {
    await call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1', behaviour: { deliveredRate: 1, clickedRate: 1, delayMs: 20 } })
    const id = messageId.replace('.2.', '.5.')
    await push('sim_1', id)
    await push('sim_1', id)
    await until(() => stage.told.length >= 2)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(reported().map(({ url }) => url)).toEqual([`/v1/push/${id}/delivered`, `/v1/push/${id}/clicked`])
  })

  it('lets a channel behave differently from the others', async () => {
    const behaviour = { deliveredRate: 1, clickedRate: 1, delayMs: 20 }
    await call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1', behaviour, channels: { push: { clickedRate: 0 } } })
    const id = messageId.replace('.2.', '.6.')
    await push('sim_1', id)
    await until(() => stage.told.length >= 1)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(reported().map(({ url }) => url)).toEqual([`/v1/push/${id}/delivered`])
    expect((await call('PUT', '/phones/demo/behaviour', { behaviour: { clickedRate: 2 } })).status).toBe(422)
    expect((await call('PUT', '/phones/nobody/behaviour', {})).status).toBe(404)
    expect((await call('PUT', '/phones/demo/behaviour', { behaviour })).status).toBe(204)
  })

  it.each([
    ['UNSPECIFIED_ERROR', 500],
    ['INVALID_ARGUMENT', 400],
    ['UNREGISTERED', 404],
    ['SENDER_ID_MISMATCH', 403],
    ['QUOTA_EXCEEDED', 429],
    ['UNAVAILABLE', 503],
    ['INTERNAL', 500],
    ['THIRD_PARTY_AUTH_ERROR', 401],
  ])('answers %s where a token asks for it', async (code, status) => {
    const answer = await push(`code_${code}_1`)
    expect(answer.status).toBe(status)
    expect(answer.body.error.details[0]).toMatchObject({ '@type': expect.stringContaining('FcmError'), errorCode: code })
  })

  it('lists by its message what it refused for its size', async () => {
    const id = messageId.replace('.2.', '.9.')
    const message = { token: 'phone-9', notification: { title: 't', body: '가'.repeat(1_500) }, data: { stepcast_message_id: id } }
    const refused = await call('POST', '/v1/projects/p1/messages:send', { message }, { authorization: `Bearer ${bearer}` })
    expect(refused).toMatchObject({ status: 400, body: { error: { message: 'Message too big' } } })
    expect((await call('GET', `/log?messageId=${id}`)).body.items).toMatchObject([
      { messageId: id, to: 'phone-9', answer: '400 INVALID_ARGUMENT' },
    ])
  })

  it('counts how often a message arrived for a target, and how often it was accepted', async () => {
    const since = new Date().toISOString()
    const id = messageId.replace('.2.', '.7.')
    await push('bad_7', id)
    await call('POST', '/faults', { provider: 'fcm', mode: '500', rate: 1, count: 1 })
    await push('phone-7', id)
    await call('POST', '/faults', { provider: 'fcm', mode: 'accept-then-reset', rate: 1, count: 1 })
    await push('phone-7', id).catch(() => null)
    await push('phone-7', id)
    expect(await stage.counts(`?provider=fcm&since=${since}`)).toEqual([
      { provider: 'fcm', messageId: id, to: 'bad_7', arrived: 1, accepted: 0 },
      { provider: 'fcm', messageId: id, to: 'phone-7', arrived: 3, accepted: 2 },
    ])
  })

  it('refuses faults of callbacks where there are none', async () => {
    const refused = await call('POST', '/faults', { provider: 'fcm', mode: 'late-callbacks', rate: 1 })
    expect(refused.status).toBe(422)
    expect(refused.body.errors).toMatchObject([{ path: '/mode' }])
  })

  it('shows what the phones hold, newest first, without keys', async () => {
    const id = messageId.replace('.2.', '.8.')
    await push('phone-8', id)
    await push('tablet-8', id)
    const { body } = await call('GET', '/phones?to=tablet-8&limit=1')
    expect(body.items).toMatchObject([
      {
        messageId: id,
        channel: 'push',
        userId: '사용자-7',
        to: ['phone-8', 'tablet-8'],
        title: 'Shipped',
        body: 'Order 1',
        deliveredAt: null,
      },
    ])
    await call('POST', `/phones/${id}/delivered`)
    expect((await call('GET', '/phones?to=phone-8')).body.items[0].deliveredAt).not.toBeNull()
    expect(JSON.stringify((await call('GET', '/about')).body)).not.toContain('sk_1')
  })

  it('tells the page what is new as it comes', async () => {
    const id = messageId.replace('.2.', '.9.')
    const stream = await fetch(`${stage.sandbox.url}/live`)
    const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
    await push('phone-9', id)
    let text = ''
    await until(async () => (text += (await reader.read()).value ?? '').includes('event: message'))
    await reader.cancel()
    expect(JSON.parse(/data: (.*)/.exec(text)![1]!)).toMatchObject({ messageId: id, to: ['phone-9'] })
  })

  it('gives the page tokens of people, once a signing key is registered, and only under a local name', async () => {
    const path = `/people/demo/${encodeURIComponent('사용자-7')}/token`
    expect((await call('GET', path)).status).toBe(409)
    await call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1', signingKid: 'demo.1', signingSecret: 's'.repeat(43) })
    const { body } = await call('GET', path)
    const [header, claims] = body.token.split('.').map((part: string) => Buffer.from(part, 'base64url').toString('utf8'))
    expect(JSON.parse(header)).toEqual({ alg: 'HS256', kid: 'demo.1' })
    expect(JSON.parse(claims)).toMatchObject({ sub: '사용자-7' })
    expect(Date.parse(body.expiresAt) - Date.now()).toBeLessThanOrEqual(900_000)
    expect(await statusUnderHost(`${stage.sandbox.url}${path}`, 'evil.example')).toBe(403)
  })

  it('learns whose a number is from the product', async () => {
    await call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1' })
    stage.answer = ({ url }) =>
      url.startsWith('/v1/sequences') ? { status: 200, body: { userId: 'ada', items: [{ userId: 'bob' }] } } : { status: 204 }
    const id = messageId.replace('.2.push', '.3.sms')
    const account = `AC${'0'.repeat(32)}`
    const form = new URLSearchParams({
      To: '+821012345678',
      From: '+15005550006',
      Body: 'Hi',
      StatusCallback: `${stage.productUrl}/v1/callbacks/twilio/demo?m=${id}`,
    })
    const authorization = `Basic ${Buffer.from(`${account}:token`).toString('base64')}`
    expect((await call('POST', `/2010-04-01/Accounts/${account}/Messages.json`, form, { authorization })).status).toBe(201)
    expect((await call('GET', '/people')).body.items).toEqual(expect.arrayContaining([{ workspaceId: 'demo', userId: 'bob' }]))
    await until(async () => (await call('GET', '/phones?to=%2B821012345678')).body.items[0]?.userId === 'ada')
    stage.answer = () => ({ status: 204 })
  })

  it('serves its page with a policy that runs nothing of others', async () => {
    const page = await fetch(stage.sandbox.url)
    expect(page.status).toBe(200)
    const policy = page.headers.get('content-security-policy')!
    expect(policy).toContain("script-src 'self'")
    expect(policy).not.toContain('unsafe')
    expect(policy).toContain(`connect-src 'self' ${stage.productUrl}`)
    const html = await page.text()
    expect(html).not.toMatch(/ on\w+=|<script>|style=/)
  })
})

// fetch does not let a caller choose the Host.
const statusUnderHost = (url: string, host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    get(url, { headers: { host } }, (answer) => {
      answer.resume()
      resolve(answer.statusCode!)
    }).on('error', reject)
  })
