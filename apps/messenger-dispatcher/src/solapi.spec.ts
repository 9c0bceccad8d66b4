// Solapi against the provider sandbox: the suite of every provider, and what only Alimtalk has.
import { itIsAProvider, type Weather } from '../../../libs/channel/src/provider.features'
import { startSandbox, type RunningSandbox } from '../../provider-sandbox/src/start'
import type { Provider, ProviderMessage } from '@stepcast/channel'
import { SolapiKind } from './solapi'

const faults: Record<Exclude<Weather, 'fair'>, object> = {
  quota_exceeded: { mode: '429', retryAfterS: 3 },
  internal_error: { mode: '500' },
  rejected: { mode: 'reject' },
  hangs: { mode: 'hang' },
  accepted_then_reset: { mode: 'accept-then-reset' },
  goes_away: { mode: 'goaway' },
}
const account = { apiKey: 'NCSAYU7YDBXYORXC', apiSecret: 'the-api-secret-of-a-spec', webhookSecret: 'the-webhook-secret-of-a-spec' }
const permit = { signal: new AbortController().signal, mayBegin: () => true }

describe('Solapi', () => {
  let sandbox: RunningSandbox
  let kind: SolapiKind
  let nowhere: SolapiKind
  let provider: Provider<'kakao'>

  const messageTo = (address: string, messageId: string): ProviderMessage<'kakao'> => ({
    workspaceId: 'demo',
    messageId,
    userId: 'user-1',
    target: 'number',
    address,
    timeToLiveMs: 60_000,
    content: {
      senderKey: 'KA01PF',
      templateCode: 'KA01TP',
      body: '주문 1이 발송되었습니다.',
      buttons: [{ id: 'track', label: '배송조회', url: 'https://shop.example/1' }],
    },
  })
  const post = async (path: string, body: object): Promise<void> => {
    const response = await fetch(`${sandbox.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  }
  const arrivals = async (messageId: string): Promise<number> =>
    ((await (await fetch(`${sandbox.url}/log?messageId=${messageId}`)).json()) as { items: unknown[] }).items.length

  beforeAll(async () => {
    sandbox = await startSandbox({ LOG_LEVEL: 'silent' }, false)
    await post('/accounts', { provider: 'solapi', apiKey: account.apiKey, apiSecret: account.apiSecret })
    kind = new SolapiKind({ endpoint: sandbox.url, connections: 8 })
    nowhere = new SolapiKind({ endpoint: 'http://127.0.0.1:1', connections: 1 })
    provider = kind.open(account)
  })
  afterAll(async () => {
    await kind.close()
    await nowhere.close()
    await sandbox.stop()
  })

  itIsAProvider('kakao', () => ({
    provider,
    unreachable: nowhere.open(account),
    internalErrorIs: 'unknown',
    forgetsDeadAddresses: false,
    weather: (to) => (to === 'fair' ? Promise.resolve() : post('/faults', { provider: 'solapi', rate: 1, count: 1, ...faults[to] })),
    arrivals,
    message: (messageId) => messageTo('+821012345678', messageId),
    messageToDeadAddress: (messageId) => messageTo('+15550000123', messageId),
  }))

  const messageId = (n: number): string => `623f8d79-cdc6-5760-8ab0-ef346563ba6c.${n}.kakao`

  it('is rejected with the code when Kakao knows no such template', async () => {
    expect(await provider.send(messageTo('+821000001042', messageId(1)), permit)).toEqual({
      kind: 'rejected',
      reason: '1042',
      deadAddress: false,
    })
  })
  it('knows who refuses messages', async () => {
    expect(await provider.send(messageTo('+821000001061', messageId(2)), permit)).toMatchObject({
      kind: 'unwanted',
      reason: 'unsubscribed',
    })
  })
  it('waits for an account that Solapi does not know to be mended', async () => {
    const stranger = kind.open({ ...account, apiSecret: 'not-the-api-secret-of-it' })
    expect(await stranger.send(messageTo('+821012345678', messageId(3)), permit)).toMatchObject({
      kind: 'retry',
      reason: 'SignatureDoesNotMatch',
    })
  })
})
