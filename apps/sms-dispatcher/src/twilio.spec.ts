// Twilio against the provider sandbox: the suite of every provider, and what only SMS has.
import { itIsAProvider, type Weather } from '../../../libs/channel/src/provider.features'
import { startSandbox, type RunningSandbox } from '../../provider-sandbox/src/start'
import type { Provider, ProviderMessage } from '@stepcast/channel'
import { TwilioKind } from './twilio'

const faults: Record<Exclude<Weather, 'fair'>, object> = {
  quota_exceeded: { mode: '429', retryAfterS: 3 },
  internal_error: { mode: '500' },
  rejected: { mode: 'reject' },
  hangs: { mode: 'hang' },
  accepted_then_reset: { mode: 'accept-then-reset' },
  goes_away: { mode: 'goaway' },
}
const account = { accountSid: `AC${'0'.repeat(32)}`, authToken: 'the-auth-token-of-a-spec', from: '+15005550006' }
const permit = { signal: new AbortController().signal, mayBegin: () => true }

describe('Twilio', () => {
  let sandbox: RunningSandbox
  let kind: TwilioKind
  let nowhere: TwilioKind
  let provider: Provider<'sms'>

  const messageTo = (address: string, messageId: string, body = 'Order 1'): ProviderMessage<'sms'> => ({
    workspaceId: 'demo',
    messageId,
    userId: 'user-1',
    target: 'number',
    address,
    timeToLiveMs: 60_000,
    content: { body, trackLinks: false },
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
    await post('/accounts', { provider: 'twilio', accountSid: account.accountSid, authToken: account.authToken })
    const options = { publicUrl: 'http://127.0.0.1:1', connections: 8 }
    kind = new TwilioKind({ ...options, endpoint: sandbox.url })
    nowhere = new TwilioKind({ ...options, endpoint: 'http://127.0.0.1:1' })
    provider = kind.open(account)
  })
  afterAll(async () => {
    await kind.close()
    await nowhere.close()
    await sandbox.stop()
  })

  itIsAProvider('sms', () => ({
    provider,
    unreachable: nowhere.open(account),
    internalErrorIs: 'unknown',
    forgetsDeadAddresses: false,
    weather: (to) => (to === 'fair' ? Promise.resolve() : post('/faults', { provider: 'twilio', rate: 1, count: 1, ...faults[to] })),
    arrivals,
    message: (messageId) => messageTo('+15551234567', messageId),
    messageToDeadAddress: (messageId) => messageTo('+15550000123', messageId),
  }))

  const messageId = (n: number): string => `623f8d79-cdc6-5760-8ab0-ef346563ba6c.${n}.sms`

  it('tells how many segments were charged', async () => {
    expect(await provider.send(messageTo('+15551234567', messageId(1), '가'.repeat(71)), permit)).toMatchObject({
      detail: { segments: '2' },
    })
  })
  it('refuses a text that no SMS holds at once: counting its segments would hold up every other', async () => {
    const begun = performance.now()
    const endless = messageTo('+15551234567', messageId(4), 'x'.repeat(60_000))
    expect(await provider.send(endless, permit)).toEqual({ kind: 'rejected', reason: 'too_large', deadAddress: false })
    expect(performance.now() - begun).toBeLessThan(500)
    expect(await arrivals(messageId(4))).toBe(0)
  })
  it('knows who answered STOP', async () => {
    expect(await provider.send(messageTo('+15550216100', messageId(2)), permit)).toEqual({
      kind: 'unwanted',
      reason: 'unsubscribed',
    })
  })
  it('waits for an account that Twilio does not know to be mended', async () => {
    const stranger = kind.open({ ...account, authToken: 'not-the-auth-token-of-it' })
    expect(await stranger.send(messageTo('+15551234567', messageId(3)), permit)).toMatchObject({ kind: 'retry', reason: '20003' })
  })
})
