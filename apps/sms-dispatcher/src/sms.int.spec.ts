// The SMS channel on real Kafka and PostgreSQL, against the provider sandbox: what a command leads to, whatever goes wrong.
import { dispatchOf, startDispatcher, type Dispatch } from '@stepcast/channel'
import { silentLog } from '@stepcast/kafka'
import { eventually } from '@stepcast/testing'
import { itIsAPaidChannel, PaidChannelSpec, type PaidChannel } from '../../../libs/channel/src/paidChannel.features'
import { startSandbox } from '../../provider-sandbox/src/start'
import { configFromEnv } from './config'
import { schema, serviceName, smsDispatcher } from './dispatch'
import { twilioSignature } from './twilioSignature'

const account = { accountSid: `AC${'1'.repeat(32)}`, authToken: 'the-auth-token-of-a-spec', from: '+15005550006' }

const sms: PaidChannel<'sms'> = {
  channel: 'sms',
  provider: 'twilio',
  envPrefix: 'SMS',
  endpointVariable: 'TWILIO_ENDPOINT',
  schema,
  service: serviceName,
  accounts: { twilio: account },
  content: { body: '배송이 시작되었습니다 https://shop.example/{{orderNo}}에서 확인하세요.', trackLinks: true },
  buttonId: null,
  startDispatcher: (env) => startDispatcher(smsDispatcher, { env, ownsProcess: false }),
  startSandbox: (env) => startSandbox(env, false),
  register: async (sandboxUrl) => {
    await fetch(`${sandboxUrl}/accounts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ provider: 'twilio', accountSid: account.accountSid, authToken: account.authToken }),
    })
  },
  callback: (url, messageId, word) => {
    const called = `${url}?m=${messageId}`
    const status: Record<string, string> =
      typeof word === 'string' ? { MessageStatus: word } : { MessageStatus: 'undelivered', ErrorCode: word.failed }
    const form = new URLSearchParams({ MessageSid: 'SM1', AccountSid: account.accountSid, To: '+821012345678', ...status })
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': twilioSignature(account.authToken, called, form),
    }
    return { url: called, headers, body: form.toString() }
  },
  linkIn: ({ body }) => /http:\/\/127\.0\.0\.1:\d+\/l\/[A-Za-z0-9_-]+/.exec(body)![0],
}

describe('sms-dispatcher', () => {
  const spec = new PaidChannelSpec(sms)
  beforeAll(() => spec.start(__filename))
  afterAll(() => spec.stop())

  itIsAPaidChannel(spec, sms)

  it('reports how many segments are charged', async () => {
    const sent = await spec.send()
    await spec.reported(sent, 'requested')
    expect(spec.reportsOf(sent.messageId)[0]!.detail).toMatchObject({ segments: '2' })
  })

  it.each([
    ['보기 https://shop.example/상품/42 감사', 'https://shop.example/%EC%83%81%ED%92%88/42', /^보기 \S+ 감사$/],
    ['https://shop.example/find?q=신발&id=42', 'https://shop.example/find?q=%EC%8B%A0%EB%B0%9C&id=42', /^\S+$/],
    ['https://shop.example/p?utm_term=red|blue&id=7', 'https://shop.example/p?utm_term=red|blue&id=7', /^\S+$/],
    ['https://shop.example/p?q={x}&id=7', 'https://shop.example/p?q={x}&id=7', /^\S+$/],
  ])('a link is tracked as a phone cuts it: %s', async (body, target, shape) => {
    await spec.approve('demo', 'cut', { body: '{{orderNo}}', trackLinks: true })
    const sent = await spec.send(undefined, { templateId: 'cut', variables: { orderNo: body } })
    await spec.reported(sent, 'requested')
    const { body: held } = await spec.call('GET', `${spec.sandboxUrl}/phones?to=${encodeURIComponent(sent.user.phoneNumber!)}&limit=20`)
    expect(held.items[0].body).toMatch(shape)
    expect((await spec.open(await spec.link(sent))).headers.get('location')).toBe(target)
  })

  it('a text that was no address stays one', async () => {
    const sent = await spec.send(undefined, { templateId: 'cut', variables: { orderNo: 'http:///x' } })
    await spec.reported(sent, 'requested')
    const { body: held } = await spec.call('GET', `${spec.sandboxUrl}/phones?to=${encodeURIComponent(sent.user.phoneNumber!)}&limit=20`)
    expect(held.items[0].body).toBe('http:///x')
  })

  it('reports as unsubscribed whom Twilio knows to have answered STOP', async () => {
    const sent = await spec.send(await spec.user({ phoneNumber: '+15550216100' }))
    await spec.reported(sent, 'failed(unsubscribed)')
  })

  it('says what was charged where Twilio took it although its answer was lost', async () => {
    await spec.fault('accept-then-reset')
    const sent = await spec.send()
    await eventually(() => spec.kinds(sent)[0]?.startsWith('unknown'), { withinMs: 20_000 })
    await spec.call('POST', `${spec.sandboxUrl}/phones/${sent.messageId}/delivered`)
    await eventually(() => spec.kinds(sent).includes('requested'), { withinMs: 20_000 })
    const requested = spec.reports.find(({ messageId, kind }) => messageId === sent.messageId && kind === 'requested')
    expect(requested?.detail).toMatchObject({ segments: '2' })
  })

  it('reports what Twilio finds out later', async () => {
    const sent = await spec.send(await spec.user({ phoneNumber: '+15550300030' }))
    await spec.reported(sent, 'requested', 'failed(30003)')
  })
})

describe('sms-dispatcher killed in the middle', () => {
  const spec = new PaidChannelSpec(sms)
  beforeAll(() => spec.start(__filename))
  afterAll(() => spec.stop())

  it('between the attempt and its outcome: reported unknown, and not sent again', async () => {
    // It goes on as a bare dispatch, which can be abandoned; nobody listens where Twilio calls back.
    await spec.service.stop()
    const begin = async (): Promise<{ dispatch: Dispatch<'sms'>; end: () => Promise<void> }> => {
      const pool = spec.pool()
      const dispatch = dispatchOf(
        smsDispatcher,
        { config: configFromEnv(spec.env), connection: spec.connection, pool, log: silentLog },
        { leaseMs: 2_500 },
      )
      await dispatch.start()
      return { dispatch, end: () => pool.end() }
    }
    await spec.fault('slow', { delayMs: 1_000 })
    const killed = await begin()
    const sent = await spec.send()
    await eventually(async () => (await spec.answers(sent)).length === 1, { everyMs: 10 })
    await killed.dispatch.abandon()
    const revived = await begin()
    await spec.reported(sent, 'unknown(lease_expired)')
    await spec.quiet(3_000)
    expect([spec.kinds(sent), (await spec.answers(sent)).length]).toEqual([['unknown(lease_expired)'], 1])
    await revived.dispatch.stop()
    await revived.end()
    await killed.end()
  })
})
