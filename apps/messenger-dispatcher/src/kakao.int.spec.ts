// The KakaoTalk channel on real Kafka and PostgreSQL, against the provider sandbox: what a command leads to, whatever goes wrong.
import { createHash } from 'node:crypto'
import { startDispatcher } from '@stepcast/channel'
import { itIsAPaidChannel, PaidChannelSpec, type PaidChannel } from '../../../libs/channel/src/paidChannel.features'
import { startSandbox } from '../../provider-sandbox/src/start'
import { messengerDispatcher, schema, serviceName } from './dispatch'

const account = { apiKey: 'NCSAYU7YDBXYORXC', apiSecret: 'the-api-secret-of-a-spec', webhookSecret: 'the-webhook-secret-of-a-spec' }
const codes = { sent: '3000', delivered: '4000' }

const kakao: PaidChannel<'kakao'> = {
  channel: 'kakao',
  provider: 'solapi',
  envPrefix: 'KAKAO',
  endpointVariable: 'SOLAPI_ENDPOINT',
  schema,
  service: serviceName,
  accounts: { solapi: account },
  content: {
    senderKey: 'KA01PF',
    templateCode: 'KA01TP',
    body: '주문 {{orderNo}}이 발송되었습니다.',
    buttons: [{ id: 'track', label: '배송조회', url: 'https://shop.example/{{orderNo}}' }],
  },
  buttonId: 'track',
  startDispatcher: (env) => startDispatcher(messengerDispatcher, { env, ownsProcess: false }),
  startSandbox: (env) => startSandbox(env, false),
  register: async (sandboxUrl, callbackUrl) => {
    const post = (path: string, body: object): Promise<Response> =>
      fetch(`${sandboxUrl}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    await post('/accounts', { provider: 'solapi', apiKey: account.apiKey, apiSecret: account.apiSecret })
    await post('/solapi/webhooks', { apiKey: account.apiKey, url: callbackUrl, secret: account.webhookSecret })
  },
  callback: (url, messageId, word) => ({
    url,
    headers: {
      'content-type': 'application/json',
      'x-solapi-event-name': 'SINGLE-REPORT',
      'x-solapi-secret': createHash('sha1').update(account.webhookSecret).digest('hex'),
    },
    body: JSON.stringify([
      { messageId: 'M1', statusCode: typeof word === 'string' ? codes[word] : word.failed, customFields: { messageId } },
    ]),
  }),
  linkIn: ({ links }) => links[0]!.url,
}

describe('messenger-dispatcher', () => {
  const spec = new PaidChannelSpec(kakao)
  beforeAll(() => spec.start(__filename))
  afterAll(() => spec.stop())

  itIsAPaidChannel(spec, kakao)

  it('goes to the number of the KakaoTalk account where there is one', async () => {
    const sent = await spec.send(await spec.user({ kakaoPhoneNumber: '+821099990001' }))
    await spec.reported(sent, 'requested')
    const { body } = await spec.call('GET', `${spec.sandboxUrl}/log?messageId=${sent.messageId}`)
    expect(body.items[0].to).toMatch(/1099990001$/)
  })

  it('reports with its code what Kakao refuses at once, and what it finds out later', async () => {
    await spec.reported(await spec.send(await spec.user({ phoneNumber: '+821000001042' })), 'failed(1042)')
    await spec.reported(await spec.send(await spec.user({ phoneNumber: '+821000003104' })), 'requested', 'failed(3104)')
  })
})
