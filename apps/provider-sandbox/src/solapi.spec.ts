// Solapi as its SDK and documents show it: signatures, registration, refusals, and reports by webhook.
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { type Received, type SandboxStage, sandboxStage, type Told, until } from './testing'

const apiKey = 'NCSAYU7YDBXYORXC'
const apiSecret = 'secret-of-the-account'
const webhookSecret = 'secret-of-the-webhook'
let next = 0
const newId = (): string => `623f8d79-cdc6-5760-8ab0-${String((next += 1)).padStart(12, '0')}.4.kakao`

const authorized = (secret = apiSecret, date = new Date().toISOString(), salt = randomBytes(16).toString('hex')): string =>
  `HMAC-SHA256 apiKey=${apiKey}, date=${date}, salt=${salt}, signature=${createHmac('sha256', secret)
    .update(date + salt)
    .digest('hex')}`

describe('Solapi', () => {
  let stage: SandboxStage
  const alimtalk = (to: string, id: string, more: object = {}): object => ({
    to,
    from: '0212345678',
    type: 'ATA',
    text: '주문 1',
    kakaoOptions: {
      pfId: 'KA01PF',
      templateId: 'KA01TP',
      disableSms: true,
      buttons: [{ buttonName: '보기', buttonType: 'WL', linkMo: `${stage.productUrl}/l/k123` }],
    },
    customFields: { messageId: id },
    ...more,
  })
  const send = (messages: object[], authorization = authorized(), more: object = {}): Promise<Received> =>
    stage.call('POST', '/messages/v4/send-many/detail', { messages, ...more }, { authorization })
  const reports = (id: string): Told[] => stage.told.filter(({ url, body }) => url === '/v1/callbacks/solapi/demo' && body.includes(id))

  beforeAll(async () => {
    stage = await sandboxStage()
    await stage.call('POST', '/accounts', { provider: 'solapi', apiKey, apiSecret })
    const url = `${stage.productUrl}/v1/callbacks/solapi/demo`
    expect((await stage.call('POST', '/solapi/webhooks', { apiKey, url, secret: webhookSecret })).status).toBe(204)
  })
  afterAll(() => stage.stop())
  afterEach(async () => {
    await stage.call('DELETE', '/faults')
    stage.answer = () => ({ status: 204 })
    stage.told.length = 0
  })

  it('registers messages, and says which it did not', async () => {
    const id = newId()
    const answer = await send([alimtalk('01012345678', id), alimtalk('01000001043', newId())], undefined, { showMessageList: true })
    expect(answer).toMatchObject({
      status: 200,
      body: {
        groupInfo: { count: { total: 2, registeredFailed: 1, registeredSuccess: 1 } },
        failedMessageList: [{ to: '01000001043', statusCode: '1043', type: 'ATA', country: '82' }],
        messageList: [{ statusCode: '2000', customFields: { messageId: id } }, { statusCode: '1043' }],
      },
    })
    expect(await stage.arrivals(`?messageId=${id}`)).toMatchObject([
      { provider: 'solapi', to: '+821012345678', answer: '200', accepted: true },
    ])
  })

  it('answers one message by itself', async () => {
    const one = await stage.call(
      'POST',
      '/messages/v4/send',
      { message: alimtalk('01012345678', newId()) },
      { authorization: authorized() },
    )
    expect(one).toMatchObject({ status: 200, body: { statusCode: '2000', to: '01012345678' } })
    const bad = await stage.call(
      'POST',
      '/messages/v4/send',
      { message: alimtalk('01000001062', newId()) },
      { authorization: authorized() },
    )
    expect(bad).toMatchObject({ status: 400, body: { errorCode: '1062' } })
  })

  it('refuses signatures that are wrong, old or used', async () => {
    const once = authorized()
    expect((await send([alimtalk('01012345678', newId())], once)).status).toBe(200)
    expect(await send([alimtalk('01012345678', newId())], once)).toMatchObject({ status: 403, body: { errorCode: 'DuplicatedSignature' } })
    expect(await send([], authorized('wrong'))).toMatchObject({ status: 403, body: { errorCode: 'SignatureDoesNotMatch' } })
    const id = newId()
    expect((await send([alimtalk('01012345678', id)], authorized('wrong'))).status).toBe(403)
    expect(await stage.arrivals(`?messageId=${id}`)).toMatchObject([{ answer: '403 SignatureDoesNotMatch', accepted: false }])
    const old = new Date(Date.now() - 16 * 60_000).toISOString()
    expect(await send([], authorized(apiSecret, old))).toMatchObject({ status: 403, body: { errorCode: 'RequestTimeTooSkewed' } })
    expect(await send([], 'HMAC-SHA256 nothing')).toMatchObject({ status: 403, body: { errorCode: 'InvalidAPIKey' } })
    expect(await send([], authorized())).toMatchObject({ status: 400, body: { errorCode: 'ValidationError' } })
  })

  it.each([
    ['3010', { to: '+821012345678' }],
    ['1025', { type: 'FAX' }],
    ['1010', { kakaoOptions: undefined }],
    ['1042', { kakaoOptions: { pfId: 'KA01PF' } }],
    ['1031', { text: '가'.repeat(1_001) }],
    ['1032', { customFields: { messageId: 'x'.repeat(101) } }],
    ['1045', { kakaoOptions: { pfId: 'p', templateId: 't', buttons: [{ buttonName: 'b', buttonType: 'WL', linkMo: 'javascript:1' }] } }],
    ['1049', { kakaoOptions: { pfId: 'p', templateId: 't', buttons: [{ buttonName: 'x'.repeat(15), buttonType: 'BK' }] } }],
  ])('refuses with %s', async (statusCode, more) => {
    expect((await send([alimtalk('01012345678', newId(), more)])).body.failedMessageList).toMatchObject([{ statusCode }])
  })

  it('refuses a number twice in a call unless that is wanted', async () => {
    const both = (): object[] => [alimtalk('01012345678', newId()), alimtalk('01012345678', newId())]
    expect((await send(both())).body.failedMessageList).toMatchObject([{ statusCode: '1026' }])
    expect((await send(both(), undefined, { allowDuplicates: true })).body.failedMessageList).toEqual([])
  })

  it('reports a delivery when told, with the SHA-1 of the webhook’s secret', async () => {
    const id = newId()
    await send([alimtalk('01012345678', id)])
    expect((await stage.call('POST', `/phones/${id}/delivered`)).status).toBe(204)
    const [report] = reports(id)
    expect(report!.headers).toMatchObject({
      'x-solapi-event-name': 'SINGLE-REPORT',
      'x-solapi-secret': createHash('sha1').update(webhookSecret).digest('hex'),
    })
    expect(JSON.parse(report!.body)).toMatchObject([{ statusCode: '4000', customFields: { messageId: id }, to: '01012345678' }])
  })

  it.each([['01000003104'], ['5550310400']])('reports the code that number %s asks for', async (to) => {
    const id = newId()
    await send([alimtalk(to, id, to.startsWith('0') ? {} : { country: '1' })])
    await until(() => reports(id).length === 1)
    expect(JSON.parse(reports(id)[0]!.body)).toMatchObject([{ statusCode: '3104' }])
  })

  it('lets simulated phones receive and tap the first button', async () => {
    await stage.call('POST', '/phones', {
      workspaceId: 'demo',
      apiKey: 'sk_1',
      behaviour: { deliveredRate: 1, clickedRate: 1, delayMs: 10 },
    })
    stage.answer = ({ method }) => ({ status: method === 'GET' ? 302 : 204 })
    const id = newId()
    await send([alimtalk('15551234567', id)])
    await until(() => stage.told.some(({ url }) => url === '/l/k123'))
    expect(reports(id)).toHaveLength(1)
    expect((await stage.call('GET', '/phones?to=%2B15551234567')).body.items).toMatchObject([
      { channel: 'kakao', links: [{ label: '보기', tracked: true }], body: '주문 1' },
    ])
  })

  it('reports twice, or after those of other messages', async () => {
    await stage.call('POST', '/faults', { provider: 'solapi', mode: 'duplicate-callbacks', rate: 1, count: 1 })
    const twice = newId()
    await send([alimtalk('01012345678', twice)])
    await stage.call('POST', `/phones/${twice}/delivered`)
    expect(reports(twice)).toHaveLength(2)

    await stage.call('POST', '/faults', { provider: 'solapi', mode: 'reordered-callbacks', rate: 1, count: 1, delayMs: 300 })
    const first = newId()
    const second = newId()
    await send([alimtalk('01012345678', first)])
    await send([alimtalk('01012345678', second)])
    await stage.call('POST', `/phones/${first}/delivered`)
    await stage.call('POST', `/phones/${second}/delivered`)
    await until(() => reports(first).length === 1)
    expect(stage.told.findIndex(({ body }) => body.includes(second))).toBeLessThan(stage.told.findIndex(({ body }) => body.includes(first)))
  })

  it('tries a report again until the product takes it', async () => {
    await stage.call('POST', '/phones', {
      workspaceId: 'demo',
      apiKey: 'sk_1',
      behaviour: { deliveredRate: 1, clickedRate: 0, delayMs: 10 },
    })
    let refusals = 1
    stage.answer = () => ({ status: refusals-- > 0 ? 503 : 204 })
    const id = newId()
    await send([alimtalk('15551234567', id)])
    await until(() => reports(id).length === 2)
  })

  it('does what the faults say', async () => {
    await stage.call('POST', '/faults', { provider: 'solapi', mode: '429', rate: 1, count: 1, retryAfterS: 2 })
    const refused = await send([alimtalk('01012345678', newId())])
    expect(refused).toMatchObject({ status: 429, body: { errorCode: 'TooManyRequests' } })
    expect(refused.headers.get('retry-after')).toBe('2')
    const id = newId()
    await stage.call('POST', '/faults', { provider: 'solapi', mode: 'accept-then-reset', rate: 1, count: 1 })
    await expect(send([alimtalk('01012345678', id)])).rejects.toThrow()
    expect(await stage.arrivals(`?messageId=${id}`)).toMatchObject([{ answer: 'reset', accepted: true }])
  })
})
