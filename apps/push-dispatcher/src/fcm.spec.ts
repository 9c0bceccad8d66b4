// FCM against the provider sandbox over HTTP/2: the suite of every provider, signing in, and the codes of tokens.
import { generateKeyPairSync } from 'node:crypto'
import type { FcmAccount } from '@stepcast/accounts'
import type { Provider, ProviderMessage } from '@stepcast/channel'
import { itIsAProvider, type Weather } from '../../../libs/channel/src/provider.features'
import { startSandbox, type RunningSandbox } from '../../provider-sandbox/src/start'
import { FcmKind } from './fcm'

const faults: Record<Exclude<Weather, 'fair'>, object> = {
  quota_exceeded: { mode: '429', retryAfterS: 3 },
  internal_error: { mode: '500' },
  rejected: { mode: 'reject' },
  hangs: { mode: 'hang' },
  accepted_then_reset: { mode: 'accept-then-reset' },
  goes_away: { mode: 'goaway' },
}
const account: FcmAccount = {
  serviceAccount: {
    project_id: 'shop-project',
    client_email: 'sender@shop-project.iam.gserviceaccount.com',
    private_key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  },
}
const permit = { signal: new AbortController().signal, mayBegin: () => true }

describe('FCM', () => {
  let sandbox: RunningSandbox
  let kinds: FcmKind[]
  let provider: Provider<'push'>

  const opened = (changes: { endpoint?: string; tokenEndpoint?: string } = {}): Provider<'push'> => {
    const { tlsUrl, ca } = sandbox
    const kind = new FcmKind({ endpoint: tlsUrl, tokenEndpoint: `${tlsUrl}/token`, connections: 64, ca, ...changes })
    kinds.push(kind)
    return kind.open(account, { minuteMs: 60_000 })
  }
  const messageTo = (address: string, messageId: string): ProviderMessage<'push'> => ({
    workspaceId: 'demo',
    messageId,
    userId: 'person-1',
    target: 'phone',
    address,
    timeToLiveMs: 60_000,
    content: { title: 'Shipped', body: 'Order 1', url: null, data: {} },
  })
  const weather = async (to: Weather): Promise<void> => {
    if (to === 'fair') return
    await fetch(`${sandbox.url}/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ provider: 'fcm', rate: 1, count: 1, ...faults[to] }),
    })
  }
  const arrivals = async (messageId: string): Promise<number> =>
    ((await (await fetch(`${sandbox.url}/log?messageId=${messageId}`)).json()) as { items: unknown[] }).items.length

  beforeAll(async () => {
    kinds = []
    sandbox = await startSandbox({ LOG_LEVEL: 'silent' }, false)
    provider = opened()
  })
  afterAll(async () => {
    await Promise.all(kinds.map((kind) => kind.close()))
    await sandbox.stop()
  })

  itIsAProvider('push', () => ({
    provider,
    unreachable: opened({ endpoint: 'https://127.0.0.1:1' }),
    weather,
    arrivals,
    message: (messageId) => messageTo('token-1', messageId),
    messageToDeadAddress: (messageId) => messageTo('bad_1', messageId),
  }))

  it.each([
    ['UNREGISTERED', 'rejected', true],
    ['INVALID_ARGUMENT', 'rejected', true],
    ['SENDER_ID_MISMATCH', 'rejected', false],
    ['THIRD_PARTY_AUTH_ERROR', 'retry', false],
    ['QUOTA_EXCEEDED', 'retry', false],
    ['UNAVAILABLE', 'retry', false],
    ['INTERNAL', 'retry', false],
  ])('%s: %s, token dead: %s, asked once', async (code, kind, isDead) => {
    const messageId = `623f8d79-cdc6-5760-8ab0-ef346563ba6c.1.${code}`
    const outcome = await provider.send(messageTo(`code_${code}_1`, messageId), permit)
    expect(outcome).toMatchObject({ kind, reason: code })
    expect('deadAddress' in outcome && outcome.deadAddress).toBe(isDead)
    expect(await arrivals(messageId)).toBe(1)
  })

  it('signs in again once when its access token is refused', async () => {
    const stale = opened()
    Object.assign((stale as unknown as { accessToken: object }).accessToken, { current: { token: 'stale', renewAt: Infinity } })
    const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.9.push'
    expect(await stale.send(messageTo('token-1', messageId), permit)).toMatchObject({ kind: 'accepted' })
    expect(await arrivals(messageId)).toBe(2)
  })

  it('was not taken when no access token can be had', async () => {
    const locked = opened({ tokenEndpoint: 'http://127.0.0.1:1/token' })
    expect(await locked.send(messageTo('token-1', '623f8d79-cdc6-5760-8ab0-ef346563ba6c.8.push'), permit)).toMatchObject({
      kind: 'retry',
      reason: 'no_access_token',
    })
  })

  it('speaks HTTP/1.1 where the endpoint is plain', async () => {
    const plain = opened({ endpoint: sandbox.url, tokenEndpoint: `${sandbox.url}/token` })
    const message = messageTo('token-1', '623f8d79-cdc6-5760-8ab0-ef346563ba6c.7.push')
    expect(await plain.send(message, permit)).toMatchObject({ kind: 'accepted' })
  })
})
