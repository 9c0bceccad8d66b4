// APNs over real HTTP/2 and TLS: tokens, headers, payloads and device tokens are answered as Apple documents, connections end as told.
import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { get } from 'node:https'
import { SignJWT } from 'jose'
import { certificateOf } from './certificate'
import { startSandbox } from './start'
import { type SandboxStage, sandboxStage, until } from './testing'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.2.push'
const nowS = (): number => Math.floor(Date.now() / 1_000)

const providerToken = (issuedAtS = nowS(), team = 'TEAM000001', alg = 'ES256', key: KeyObject | Uint8Array = privateKey): Promise<string> =>
  new SignJWT().setProtectedHeader({ alg, kid: 'KEY0000001' }).setIssuer(team).setIssuedAt(issuedAtS).sign(key)

const payload = (id = messageId): object => ({
  aps: { alert: { title: 'Shipped', body: 'Order 1' } },
  stepcast_message_id: id,
  stepcast_workspace_id: 'demo',
  stepcast_user_id: 'ada',
  stepcast_url: 'https://shop.example/1',
})

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: any
}

describe('APNs', () => {
  let stage: SandboxStage
  let session: ClientHttp2Session
  let jwt: string
  const sessions: ClientHttp2Session[] = []

  const open = (): ClientHttp2Session => {
    const opened = connect(stage.sandbox.tlsUrl, { ca: stage.sandbox.ca })
    opened.on('error', () => undefined)
    sessions.push(opened)
    return opened
  }
  const request = (headers: Record<string, string>, body: string, over = session): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const stream = over.request({ ':method': 'POST', ...headers })
      let text = ''
      let answer: IncomingHttpHeaders = {}
      stream.on('response', (given) => (answer = given))
      stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
      stream.on('end', () => resolve({ status: Number(answer[':status']), headers: answer, body: text === '' ? null : JSON.parse(text) }))
      stream.on('error', reject)
      if (body === '') stream.end()
      else stream.end(body)
    })
  const push = (token: string, headers: Record<string, string> = {}, body: unknown = payload(), over = session): Promise<Answered> =>
    request(
      { ':path': `/3/device/${token}`, authorization: `bearer ${jwt}`, 'apns-topic': 'example.app', ...headers },
      typeof body === 'string' ? body : JSON.stringify(body),
      over,
    )

  beforeAll(async () => {
    stage = await sandboxStage()
    jwt = await providerToken()
    session = open()
  })
  afterAll(async () => {
    for (const opened of sessions) opened.destroy()
    await stage.stop()
  })
  afterEach(() => stage.call('DELETE', '/faults'))

  it('accepts a notification with an empty body and its apns-id, and writes it down', async () => {
    const id = '0b7f0bb4-7d3c-4f4c-8a53-6b8f3a9f6c11'
    const answer = await push('phone-1', { 'apns-id': id })
    expect(answer).toMatchObject({ status: 200, body: null })
    expect(answer.headers['apns-id']).toBe(id)
    expect(await stage.arrivals(`?messageId=${messageId}&provider=apns`)).toMatchObject([{ to: 'phone-1', answer: '200', accepted: true }])
    expect((await stage.call('GET', '/phones?to=phone-1')).body.items).toMatchObject([
      { title: 'Shipped', body: 'Order 1', userId: 'ada', provider: 'apns' },
    ])
  })

  it.each([
    ['MissingTopic', 400, { 'apns-topic': undefined }],
    ['BadTopic', 400, { 'apns-topic': 'not a topic' }],
    ['BadMessageId', 400, { 'apns-id': '1' }],
    ['BadCollapseId', 400, { 'apns-collapse-id': 'x'.repeat(65) }],
    ['BadExpirationDate', 400, { 'apns-expiration': 'soon' }],
    ['BadPriority', 400, { 'apns-priority': '7' }],
    ['InvalidPushType', 400, { 'apns-push-type': 'shout' }],
    ['MissingProviderToken', 403, { authorization: undefined }],
    ['InvalidProviderToken', 403, { authorization: 'bearer x.y.z' }],
  ])('answers %s for a wrong header', async (reason, status, headers) => {
    const given = Object.fromEntries(
      Object.entries({ ':path': '/3/device/t', authorization: `bearer ${jwt}`, 'apns-topic': 'a', ...headers }).filter(
        ([, value]) => value !== undefined,
      ),
    )
    expect(await request(given as Record<string, string>, JSON.stringify(payload()))).toMatchObject({ status, body: { reason } })
  })

  it('takes a collapse id of 64 bytes', async () => {
    expect(
      (await push('t', { 'apns-collapse-id': 'x'.repeat(64), 'apns-push-type': 'alert', 'apns-priority': '10', 'apns-expiration': '0' }))
        .status,
    ).toBe(200)
  })

  it('answers for payloads that are empty or too large, and for tokens and paths that are none', async () => {
    expect(await push('t', {}, '')).toMatchObject({ status: 400, body: { reason: 'PayloadEmpty' } })
    expect(await push('t', {}, '{')).toMatchObject({ status: 400, body: { reason: 'PayloadEmpty' } })
    const rest = JSON.stringify({ ...payload(), filler: '' }).length
    expect((await push('t', {}, { ...payload(), filler: 'x'.repeat(4_096 - rest) })).status).toBe(200)
    expect(await push('t', {}, { ...payload(), filler: 'x'.repeat(4_097 - rest) })).toMatchObject({
      status: 413,
      body: { reason: 'PayloadTooLarge' },
    })
    await push('t', { 'apns-collapse-id': 'too-large.1.push' }, { ...payload(), filler: 'x'.repeat(4_097) })
    const listed = (await (await fetch(`${stage.sandbox.url}/log?messageId=too-large.1.push`)).json()) as { items: object[] }
    expect(listed.items).toMatchObject([{ provider: 'apns', answer: '413 PayloadTooLarge' }])
    expect(await push('')).toMatchObject({ status: 400, body: { reason: 'MissingDeviceToken' } })
    expect(await push('no%20token')).toMatchObject({ status: 400, body: { reason: 'BadDeviceToken' } })
    expect(await request({ ':path': '/4/device/t' }, '')).toMatchObject({ status: 404, body: { reason: 'BadPath' } })
    expect(await request({ ':path': '/3/device/t', ':method': 'PUT' }, '')).toMatchObject({
      status: 405,
      body: { reason: 'MethodNotAllowed' },
    })
  })

  it('says since when a bad_ token is unregistered', async () => {
    const before = Date.now()
    const answer = await push('bad_1')
    expect(answer).toMatchObject({ status: 410, body: { reason: 'Unregistered' } })
    expect(answer.body.timestamp).toBeGreaterThanOrEqual(before)
    expect((await push('code_Unregistered_1700000000000_x')).body).toEqual({ reason: 'Unregistered', timestamp: 1_700_000_000_000 })
  })

  it.each([
    ['BadDeviceToken', 400],
    ['DeviceTokenNotForTopic', 400],
    ['TopicDisallowed', 400],
    ['Forbidden', 403],
    ['ExpiredToken', 410],
    ['TooManyRequests', 429],
    ['InternalServerError', 500],
    ['ServiceUnavailable', 503],
    ['Shutdown', 503],
  ])('answers %s where a token asks for it', async (reason, status) => {
    expect(await push(`code_${reason}_1`)).toMatchObject({ status, body: { reason } })
  })

  it('takes a provider token for an hour, from one team, signed with ES256 as far as can be seen', async () => {
    const over = open()
    const bearer = async (...args: Parameters<typeof providerToken>): Promise<Answered> =>
      push('t', { authorization: `bearer ${await providerToken(...args)}` }, payload(), over)
    expect(await bearer(nowS() - 3_700)).toMatchObject({ status: 403, body: { reason: 'ExpiredProviderToken' } })
    expect(await bearer(nowS() + 3_700)).toMatchObject({ status: 403, body: { reason: 'InvalidProviderToken' } })
    expect(await bearer(nowS(), 'x')).toMatchObject({ status: 403, body: { reason: 'InvalidProviderToken' } })
    expect(await bearer(nowS(), 'TEAM000001', 'HS256', Buffer.alloc(32, 1))).toMatchObject({
      status: 403,
      body: { reason: 'InvalidProviderToken' },
    })
    expect((await bearer(nowS() - 1_500)).status).toBe(200)
    expect(await bearer(nowS(), 'TEAM000002')).toMatchObject({ status: 403, body: { reason: 'InvalidProviderToken' } })
    expect((await bearer(nowS())).status).toBe(200)
    expect(await bearer(nowS() - 600)).toMatchObject({ status: 429, body: { reason: 'TooManyProviderTokenUpdates' } })
  })

  it('lets a token be renewed at once after calling it expired', async () => {
    const over = open()
    expect((await push('t', {}, payload(), over)).status).toBe(200)
    expect(await push('code_ExpiredProviderToken_1', {}, payload(), over)).toMatchObject({
      status: 403,
      body: { reason: 'ExpiredProviderToken' },
    })
    const renewed = await providerToken(nowS() + 1)
    expect((await push('t', { authorization: `bearer ${renewed}` }, payload(), over)).status).toBe(200)
  })

  it('allows one stream until it has seen a good token, then a thousand', async () => {
    const over = open()
    await until(() => over.remoteSettings?.maxConcurrentStreams === 1)
    await push('t', {}, payload(), over)
    await until(() => over.remoteSettings?.maxConcurrentStreams === 1_000)
  })

  it('says GOAWAY before a request it does not take, and answers those before it', async () => {
    const over = open()
    await push('t', {}, payload(), over)
    let last = -1
    over.on('goaway', (_code, lastStream) => (last = lastStream))
    await stage.call('POST', '/faults', { provider: 'apns', mode: 'slow', rate: 1, count: 1, delayMs: 200 })
    const earlier = push('earlier', {}, payload(messageId.replace('.2.', '.3.')), over)
    await until(async () => (await stage.arrivals(`?messageId=${messageId.replace('.2.', '.3.')}`)).length === 1)
    await stage.call('POST', '/faults', { provider: 'apns', mode: 'goaway', rate: 1, count: 1 })
    const refused = messageId.replace('.2.', '.4.')
    await expect(push('later', {}, payload(refused), over)).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' })
    expect((await earlier).status).toBe(200)
    await until(() => last === 3)
    expect(await stage.counts(`?provider=apns`)).toEqual(
      expect.arrayContaining([expect.objectContaining({ messageId: refused, arrived: 1, accepted: 0 })]),
    )
    await until(() => over.destroyed)
  })

  it('accepts and resets: the stream, or the whole connection', async () => {
    const over = open()
    const id = messageId.replace('.2.', '.5.')
    await stage.call('POST', '/faults', { provider: 'apns', mode: 'accept-then-reset', rate: 1, count: 1 })
    await expect(push('t5', {}, payload(id), over)).rejects.toThrow(/NGHTTP2_INTERNAL_ERROR/)
    expect((await push('t', {}, payload(), over)).status).toBe(200)
    await stage.call('POST', '/faults', { provider: 'apns', mode: 'accept-then-reset', rate: 1, count: 1, connection: true })
    await push('t5', {}, payload(id), over).catch(() => null)
    await until(() => over.destroyed)
    expect(await stage.arrivals(`?messageId=${id}`)).toMatchObject([
      { answer: 'reset', accepted: true },
      { answer: 'reset', accepted: true },
    ])
  })

  it('hangs, and does 429 with Retry-After', async () => {
    await stage.call('POST', '/faults', { provider: 'apns', mode: '429', rate: 1, count: 1, retryAfterS: 7 })
    const answer = await push('t')
    expect(answer).toMatchObject({ status: 429, body: { reason: 'TooManyRequests' } })
    expect(answer.headers['retry-after']).toBe('7')
    await stage.call('POST', '/faults', { provider: 'apns', mode: 'hang', rate: 1, count: 1 })
    const outcome = await Promise.race([push('t').catch(() => 'broken'), new Promise((resolve) => setTimeout(resolve, 200, 'hanging'))])
    expect(outcome).toBe('hanging')
  })

  it('speaks FCM over HTTP/2 on the same address, a hundred streams at a time', async () => {
    const over = open()
    const answer = await request(
      { ':path': '/v1/projects/p1/messages:send', authorization: 'Bearer none', 'content-type': 'application/json' },
      JSON.stringify({ message: { token: 't' } }),
      over,
    )
    expect(answer).toMatchObject({ status: 401, body: { error: { status: 'UNAUTHENTICATED' } } })
    await until(() => over.remoteSettings?.maxConcurrentStreams === 100)
    expect((await request({ ':path': '/token', 'content-type': 'application/x-www-form-urlencoded' }, 'grant_type=x', over)).status).toBe(
      400,
    )
  })

  it('says HEAD the status without the body', async () => {
    expect(await request({ ':path': '/3/device/t', ':method': 'HEAD' }, '')).toMatchObject({ status: 405, body: null })
  })

  it('answers HTTP/1.1 on the same address as on the plain one', async () => {
    const status = await new Promise((resolve, reject) => {
      get(`${stage.sandbox.tlsUrl}/log`, { ca: stage.sandbox.ca, agent: false }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      }).on('error', reject)
    })
    expect(status).toBe(200)
    const pem = await (await fetch(`${stage.sandbox.url}/ca.pem`)).text()
    expect(new X509Certificate(pem).checkHost('localhost')).toBe('localhost')
  })

  it('wants both files of a certificate, or none', async () => {
    await expect(certificateOf({ SANDBOX_CERT_FILE: '/tmp/cert.pem' })).rejects.toThrow(
      'SANDBOX_CERT_FILE and SANDBOX_KEY_FILE belong together',
    )
  })

  it('names the variable of a port that is taken', async () => {
    const port = new URL(stage.sandbox.tlsUrl).port
    const second = startSandbox({ LOG_LEVEL: 'silent', SANDBOX_TLS_PORT: port }, false)
    await expect(second).rejects.toThrow(`SANDBOX_TLS_PORT ${port} is in use`)
  })

  it('survives whoever breaks off', async () => {
    const over = open()
    const stream = over.request({ ':method': 'POST', ':path': '/3/device/t', authorization: `bearer ${jwt}`, 'apns-topic': 'a' })
    stream.on('error', () => undefined)
    stream.write('{')
    await new Promise((resolve) => stream.close(constants.NGHTTP2_CANCEL, () => resolve(null)))
    expect((await push('t', {}, payload(), over)).status).toBe(200)
  })
})
