// Twilio as documented: the Messages resource, its errors, and signed status callbacks in every order the faults ask for.
import { twilioSignature } from './twilio'
import { type Received, type SandboxStage, sandboxStage, type Told, until } from './testing'

const accountSid = `AC${'0'.repeat(32)}`
const authToken = 'token-of-the-account'
const basic = (token = authToken): string => `Basic ${Buffer.from(`${accountSid}:${token}`).toString('base64')}`
let next = 0
const newId = (): string => `623f8d79-cdc6-5760-8ab0-${String((next += 1)).padStart(12, '0')}.3.sms`

// The example of twilio.com/docs/usage/webhooks/webhooks-security.
it('signs as the example in Twilio’s documents', () => {
  const params = { CallSid: 'CA1234567890ABCDE', Caller: '+12349013030', Digits: '1234', From: '+12349013030', To: '+18005551212' }
  expect(twilioSignature('12345', 'https://mycompany.com/myapp.php?foo=1&bar=2', params)).toBe('0/KCTR6DLpKmkAf8muzZqo1nDgQ=')
})

describe('Twilio', () => {
  let stage: SandboxStage
  const callbackUrl = (id: string): string => `${stage.productUrl}/v1/callbacks/twilio/demo?m=${id}`
  const send = (form: Record<string, string>, authorization = basic()): Promise<Received> =>
    stage.call('POST', `/2010-04-01/Accounts/${accountSid}/Messages.json`, new URLSearchParams(form), { authorization })
  const text = (to: string, id: string, more: Record<string, string> = {}): Promise<Received> =>
    send({ To: to, From: '+15005550006', Body: 'Your order 1', StatusCallback: callbackUrl(id), ...more })
  const callbacks = (id: string): Told[] => stage.told.filter(({ url, method }) => method === 'POST' && url.endsWith(`?m=${id}`))
  const statuses = (id: string): (string | null)[] => callbacks(id).map(({ body }) => new URLSearchParams(body).get('MessageStatus'))

  beforeAll(async () => {
    stage = await sandboxStage()
    await stage.call('POST', '/accounts', { provider: 'twilio', accountSid, authToken })
  })
  afterAll(() => stage.stop())
  afterEach(async () => {
    await stage.call('DELETE', '/faults')
    stage.answer = () => ({ status: 204 })
    stage.told.length = 0
  })

  it('lets whoever was texted answer STOP and START: kept for the sender, refused meanwhile, passed on with a signature', async () => {
    const number = '+821099990001'
    const phone = `/phones/${encodeURIComponent(number)}`
    expect((await stage.call('POST', `${phone}/stop`)).status).toBe(404)
    await text(number, newId())
    expect((await stage.call('POST', `${phone}/stop`)).status).toBe(204)
    const url = `${stage.productUrl}/v1/callbacks/twilio/demo`
    const told = stage.told.find((one) => one.url === '/v1/callbacks/twilio/demo')!
    const form = Object.fromEntries(new URLSearchParams(told.body))
    expect(form).toMatchObject({
      AccountSid: accountSid,
      From: number,
      To: '+15005550006',
      Body: 'STOP',
      SmsStatus: 'received',
      MessageSid: expect.stringMatching(/^SM/),
    })
    expect(told.headers['x-twilio-signature']).toBe(twilioSignature(authToken, url, form))
    expect(await text(number, newId())).toMatchObject({ status: 400, body: { code: 21610 } })
    expect(await text(number, newId(), { From: '+15005550007' })).toMatchObject({ status: 201 })
    expect((await stage.call('POST', `${phone}/start`, { workspaceId: 'other' })).status).toBe(404)
    // Who texted last is answered: the other sender.
    await stage.call('POST', `${phone}/start`)
    expect(await text(number, newId())).toMatchObject({ status: 400, body: { code: 21610 } })
  })

  it('lets START lift what STOP has stopped', async () => {
    const phone = `/phones/${encodeURIComponent('+821099990003')}`
    await text('+821099990003', newId())
    for (const word of ['stop', 'start']) expect((await stage.call('POST', `${phone}/${word}`, { workspaceId: 'demo' })).status).toBe(204)
    expect(await text('+821099990003', newId())).toMatchObject({ status: 201 })
    stage.answer = () => ({ status: 403 })
    expect((await stage.call('POST', `${phone}/stop`)).status).toBe(502)
  })

  it('takes a message, counts its segments, and shows it again', async () => {
    const id = newId()
    const answer = await text('+821012345678', id, { Body: '가'.repeat(71) })
    expect(answer).toMatchObject({
      status: 201,
      body: {
        account_sid: accountSid,
        status: 'queued',
        num_segments: '2',
        price: null,
        direction: 'outbound-api',
        error_code: null,
        to: '+821012345678',
      },
    })
    expect(answer.body.sid).toMatch(/^SM[0-9a-f]{32}$/)
    expect(await stage.arrivals(`?messageId=${id}`)).toMatchObject([
      { provider: 'twilio', to: '+821012345678', answer: '201', accepted: true },
    ])
    const path = `/2010-04-01/Accounts/${accountSid}/Messages/${answer.body.sid}.json`
    expect((await stage.call('GET', path, undefined, { authorization: basic() })).body).toMatchObject({
      sid: answer.body.sid,
      status: 'sent',
    })
    expect((await stage.call('GET', path.replace('SM', 'SM0'), undefined, { authorization: basic() })).body).toMatchObject({ code: 20404 })
  })

  it.each([
    [20003, 401, { authorization: 'Basic bm8=' }, {}],
    [20003, 401, { authorization: basic('wrong') }, {}],
    [21604, 400, {}, { To: '' }],
    [21603, 400, {}, { From: '' }],
    [21602, 400, {}, { Body: '' }],
    [21617, 400, {}, { Body: 'x'.repeat(1_601) }],
    [21212, 400, {}, { From: '!' }],
    [21609, 400, {}, { StatusCallback: 'ftp://x' }],
    [20422, 400, {}, { ValidityPeriod: '36001' }],
    [21211, 400, {}, { To: '010-1234' }],
    [21211, 400, {}, { To: '+15005550001' }],
    [21211, 400, {}, { To: '+15550000123' }],
    [21610, 400, {}, { To: '+15005550004' }],
    [21614, 400, {}, { To: '+15550216140' }],
  ])('answers error %s', async (code, status, { authorization }: { authorization?: string }, form) => {
    const answer = await send({ To: '+821012345678', From: '+15005550006', Body: 'Hi', ...form }, authorization)
    expect(answer).toMatchObject({ status, body: { code, status, more_info: `https://www.twilio.com/docs/errors/${code}` } })
  })

  it('takes a name or a messaging service as sender', async () => {
    expect((await send({ To: '+821012345678', From: 'Shop 24', Body: 'Hi' })).status).toBe(201)
    expect((await send({ To: '+821012345678', MessagingServiceSid: `MG${'0'.repeat(32)}`, Body: 'Hi' })).status).toBe(201)
  })

  it('calls back queued, sent and, when told, delivered, each signed under the auth token over the exact address', async () => {
    const id = newId()
    await text('+821012345678', id)
    await until(() => callbacks(id).length === 2)
    expect((await stage.call('POST', `/phones/${id}/delivered`)).status).toBe(204)
    expect(statuses(id)).toEqual(['queued', 'sent', 'delivered'])
    for (const { body, headers } of callbacks(id)) {
      const params = Object.fromEntries(new URLSearchParams(body))
      expect(params).toMatchObject({ AccountSid: accountSid, To: '+821012345678', MessageSid: expect.stringMatching(/^SM/) })
      expect(headers['x-twilio-signature']).toBe(twilioSignature(authToken, callbackUrl(id), params))
    }
  })

  it('lets simulated phones receive, fetch a preview, and tap the tracked link, or fail', async () => {
    const channels = { sms: { previewRate: 1 } }
    await stage.call('POST', '/phones', {
      workspaceId: 'demo',
      apiKey: 'sk_1',
      behaviour: { deliveredRate: 1, clickedRate: 1, delayMs: 10 },
      channels,
    })
    stage.answer = ({ method }) => (method === 'GET' ? { status: 302, headers: { location: 'https://shop.example/1' } } : { status: 204 })
    const id = newId()
    await text('+15551234567', id, { Body: `Your order: ${stage.productUrl}/l/s123 or https://shop.example/x` })
    await until(() => stage.told.filter(({ url }) => url === '/l/s123').length === 2)
    expect(statuses(id)).toEqual(['queued', 'sent', 'delivered'])
    const [preview, tap] = stage.told.filter(({ url }) => url === '/l/s123')
    expect(preview!.headers['user-agent']).toContain('facebookexternalhit')
    expect(tap!.headers['user-agent']).toMatch(/iPhone.*Safari/)

    await stage.call('POST', '/phones', { workspaceId: 'demo', apiKey: 'sk_1', behaviour: { deliveredRate: 0, delayMs: 10 } })
    const lost = newId()
    await text('+15551234567', lost)
    await until(() => callbacks(lost).length === 3)
    expect(new URLSearchParams(callbacks(lost)[2]!.body).get('ErrorCode')).toBe('30003')
    expect(statuses(lost)[2]).toBe('undelivered')
  })

  it('fails later with the code a number asks for, whoever registered', async () => {
    const id = newId()
    expect((await text('+15550300070', id)).status).toBe(201)
    await until(() => callbacks(id).length === 3)
    expect(Object.fromEntries(new URLSearchParams(callbacks(id)[2]!.body))).toMatchObject({
      MessageStatus: 'undelivered',
      ErrorCode: '30007',
    })
  })

  it('opens no link that leads elsewhere', async () => {
    const id = newId()
    await text('+821012345678', id, { Body: 'See https://shop.example/x' })
    expect((await stage.call('POST', `/phones/${id}/clicked`)).status).toBe(409)
    expect((await stage.call('POST', `/phones/${id}/clicked`, { link: 0 })).status).toBe(409)
    expect((await stage.call('POST', `/phones/${id}/clicked`, { link: 3 })).status).toBe(409)
  })

  it('calls back twice, in the wrong order, or late', async () => {
    await stage.call('POST', '/faults', { provider: 'twilio', mode: 'duplicate-callbacks', rate: 1, count: 1 })
    const twice = newId()
    await text('+821012345678', twice)
    await stage.call('POST', `/phones/${twice}/delivered`)
    expect(statuses(twice)).toEqual(['queued', 'queued', 'sent', 'sent', 'delivered', 'delivered'])

    await stage.call('POST', '/faults', { provider: 'twilio', mode: 'reordered-callbacks', rate: 1, count: 1 })
    const reversed = newId()
    await text('+821012345678', reversed)
    await stage.call('POST', `/phones/${reversed}/delivered`)
    await until(() => callbacks(reversed).length === 3)
    expect(statuses(reversed)).toEqual(['delivered', 'sent', 'queued'])

    await stage.call('POST', '/faults', { provider: 'twilio', mode: 'late-callbacks', rate: 1, count: 1, delayMs: 300 })
    const late = newId()
    await text('+821012345678', late)
    expect((await stage.call('POST', `/phones/${late}/delivered`)).status).toBe(204)
    expect(statuses(late)).toEqual([])
    await until(() => callbacks(late).length === 3)
    expect(statuses(late)).toEqual(['queued', 'sent', 'delivered'])
  })

  it('does what the faults say', async () => {
    await stage.call('POST', '/faults', { provider: 'twilio', mode: '429', rate: 1, count: 1, retryAfterS: 2 })
    const refused = await text('+821012345678', newId())
    expect(refused).toMatchObject({ status: 429, body: { code: 20429 } })
    expect(refused.headers.get('retry-after')).toBe('2')

    const id = newId()
    await stage.call('POST', '/faults', { provider: 'twilio', mode: 'accept-then-reset', rate: 1, count: 1 })
    await expect(text('+821012345678', id)).rejects.toThrow()
    expect(await stage.counts('?provider=twilio')).toEqual(
      expect.arrayContaining([{ provider: 'twilio', messageId: id, to: '+821012345678', arrived: 1, accepted: 1 }]),
    )
    await until(() => callbacks(id).length === 2)

    await stage.call('POST', '/faults', { provider: 'twilio', mode: 'goaway', rate: 1, count: 1 })
    const closed = await text('+821012345678', newId())
    expect(closed.status).toBe(201)
    expect(closed.headers.get('connection')).toBe('close')
  })
})
