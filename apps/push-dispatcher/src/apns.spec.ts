// APNs against the provider sandbox over HTTP/2: the suite of every provider, provider tokens, and what becomes of dead device tokens.
import { generateKeyPairSync } from 'node:crypto'
import type { ApnsAccount } from '@stepcast/accounts'
import type { Provider, ProviderMessage } from '@stepcast/channel'
import { itIsAProvider, type Weather } from '../../../libs/channel/src/provider.features'
import { startSandbox, type RunningSandbox } from '../../provider-sandbox/src/start'
import { ApnsKind } from './apns'

const faults: Record<Exclude<Weather, 'fair'>, object> = {
  quota_exceeded: { mode: '429', retryAfterS: 3 },
  internal_error: { mode: '500' },
  rejected: { mode: 'reject' },
  hangs: { mode: 'hang' },
  accepted_then_reset: { mode: 'accept-then-reset' },
  goes_away: { mode: 'goaway' },
}
const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const account: ApnsAccount = { teamId: 'TEAM123456', keyId: 'KEY1234567', privateKey, topic: 'com.example.shop', environment: 'production' }
const permit = { signal: new AbortController().signal, mayBegin: () => true }

describe('APNs', () => {
  let sandbox: RunningSandbox
  let kinds: ApnsKind[]
  let provider: Provider<'push'>
  let messages = 0

  const kind = (endpoint = sandbox.tlsUrl): ApnsKind => {
    const made = new ApnsKind({ endpoint, connections: 64, ca: sandbox.ca })
    kinds.push(made)
    return made
  }
  const opened = (changes: Partial<ApnsAccount> = {}): Provider<'push'> => kind().open({ ...account, ...changes }, { minuteMs: 60_000 })
  const messageTo = (address: string, messageId = `623f8d79-cdc6-5760-8ab0-ef346563ba6c.${++messages}.push`): ProviderMessage<'push'> => ({
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
      body: JSON.stringify({ provider: 'apns', rate: 1, count: 1, ...faults[to] }),
    })
  }
  const answers = async (messageId: string): Promise<string[]> => {
    const { items } = (await (await fetch(`${sandbox.url}/log?messageId=${messageId}`)).json()) as { items: { answer: string }[] }
    return items.map(({ answer }) => answer)
  }

  beforeAll(async () => {
    kinds = []
    sandbox = await startSandbox({ LOG_LEVEL: 'silent' }, false)
    provider = opened()
  })
  afterAll(async () => {
    await Promise.all(kinds.map((one) => one.close()))
    await sandbox.stop()
  })

  itIsAProvider('push', () => ({
    provider,
    unreachable: kind('https://127.0.0.1:1').open(account, { minuteMs: 60_000 }),
    weather,
    arrivals: async (messageId) => (await answers(messageId)).length,
    message: (messageId) => messageTo('token-1', messageId),
    messageToDeadAddress: (messageId) => messageTo('bad_1', messageId),
  }))

  it('learns from 410 since when a token is dead', async () => {
    const since = Date.now() - 86_400_000
    expect(await provider.send(messageTo(`code_Unregistered_${since}`), permit)).toEqual({
      kind: 'rejected',
      reason: 'Unregistered',
      deadAddress: true,
      deadSinceMs: since,
    })
  })

  it.each(['BadDeviceToken', 'DeviceTokenNotForTopic'])('blames a token for %s only once its account has proved right', async (reason) => {
    const fresh = opened()
    expect(await fresh.send(messageTo(`code_${reason}_1`), permit)).toEqual({ kind: 'rejected', reason, deadAddress: false })
    await fresh.send(messageTo('token-1'), permit)
    expect(await fresh.send(messageTo(`code_${reason}_1`), permit)).toEqual({ kind: 'rejected', reason, deadAddress: true })
  })

  it('comes back 15 minutes after an internal error', async () => {
    expect(await provider.send(messageTo('code_InternalServerError_1'), permit)).toMatchObject({ kind: 'retry', afterMs: 900_000 })
  })

  it('renews an expired provider token and asks again, at once; but not within 20 minutes of the last', async () => {
    const renewing = opened({ keyId: 'KEYEXPIRED' })
    await renewing.send(messageTo('token-1'), permit)
    const { line } = renewing as unknown as { line: { token: { current: { token: string; signedAt: number } } } }
    const before = line.token.current
    const message = messageTo('code_ExpiredProviderToken_1')
    expect(await renewing.send(message, permit)).toMatchObject({ kind: 'retry', reason: 'ExpiredProviderToken' })
    expect([await answers(message.messageId), line.token.current]).toEqual([['403 ExpiredProviderToken'], before])

    line.token.current = { ...before, signedAt: performance.now() - 21 * 60_000 }
    const later = messageTo('code_ExpiredProviderToken_2')
    await renewing.send(later, permit)
    expect(await answers(later.messageId)).toEqual(['403 ExpiredProviderToken', '403 ExpiredProviderToken'])
    expect(line.token.current.token).not.toBe(before.token)
  })

  it('shares connection and provider token among accounts of the same key, and with nobody else', () => {
    const one = kind()
    const lineOf = (changes: Partial<ApnsAccount>): unknown =>
      (one.open({ ...account, ...changes }, { minuteMs: 1 }) as unknown as { line: object }).line
    const line = lineOf({})
    expect(lineOf({ topic: 'com.example.other' })).toBe(line)
    expect(lineOf({ teamId: 'TEAM000000' })).not.toBe(line)
    expect(lineOf({ keyId: 'KEY0000000' })).not.toBe(line)
  })

  it('tells Apple whose push it is: a team alone on its connection', async () => {
    const two = kind()
    for (const teamId of ['TEAM000001', 'TEAM000002'])
      expect(await two.open({ ...account, teamId }, { minuteMs: 1 }).send(messageTo('token-1'), permit)).toMatchObject({ kind: 'accepted' })
  })
})
