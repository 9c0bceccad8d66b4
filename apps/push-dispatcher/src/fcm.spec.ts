// FCM against the provider sandbox: the suite of every provider, and signing in.
import { itIsAProvider, type Weather } from '../../../libs/channel/src/provider.features'
import { startSandbox } from '../../provider-sandbox/src/start'
import type { ProviderMessage } from '@stepcast/channel'
import type { RunningService } from '@stepcast/service'
import type { ServiceAccount } from './config'
import { Fcm } from './fcm'

const faults: Record<Exclude<Weather, 'fair'>, object> = {
  quota_exceeded: { mode: '429', retryAfterS: 3 },
  internal_error: { mode: '500' },
  rejected: { mode: 'reject' },
  hangs: { mode: 'hang' },
  accepted_then_reset: { mode: 'accept-then-reset' },
}

describe('FCM', () => {
  let sandbox: RunningService
  let account: ServiceAccount
  let provider: Fcm
  let unreachable: Fcm

  const messageTo = (address: string, messageId: string): ProviderMessage<'push'> => ({
    workspaceId: 'demo',
    messageId,
    userId: 'user-1',
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
  const permit = { signal: new AbortController().signal, mayBegin: () => true }

  beforeAll(async () => {
    sandbox = await startSandbox({ LOG_LEVEL: 'silent' }, false)
    const file = (await (await fetch(`${sandbox.url}/service-account.json`)).json()) as Record<string, string>
    account = { projectId: file.project_id!, clientEmail: file.client_email!, privateKey: file.private_key!, tokenUri: file.token_uri! }
    provider = new Fcm({ account, endpoint: sandbox.url, connections: 8, minuteMs: 60_000 })
    unreachable = new Fcm({ account, endpoint: 'http://127.0.0.1:1', connections: 1, minuteMs: 60_000 })
  })
  afterAll(async () => {
    await provider.close()
    await unreachable.close()
    await sandbox.stop()
  })

  itIsAProvider('push', () => ({
    provider,
    unreachable,
    weather,
    arrivals,
    message: (messageId) => messageTo('token-1', messageId),
    messageToDeadAddress: (messageId) => messageTo('bad_1', messageId),
  }))

  it('signs in again once when its access token is refused', async () => {
    const stale = new Fcm({ account, endpoint: sandbox.url, connections: 1, minuteMs: 60_000 })
    Object.assign((stale as unknown as { accessToken: object }).accessToken, { current: { token: 'stale', renewAt: Infinity } })
    const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.9.push'
    expect(await stale.send(messageTo('token-1', messageId), permit)).toMatchObject({ kind: 'accepted' })
    expect(await arrivals(messageId)).toBe(2)
    await stale.close()
  })

  it('was not taken when no access token can be had', async () => {
    const locked = new Fcm({
      account: { ...account, tokenUri: 'http://127.0.0.1:1/token' },
      endpoint: sandbox.url,
      connections: 1,
      minuteMs: 60_000,
    })
    expect(await locked.send(messageTo('token-1', '623f8d79-cdc6-5760-8ab0-ef346563ba6c.8.push'), permit)).toMatchObject({
      kind: 'retry',
      reason: 'no_access_token',
    })
    await locked.close()
  })
})
