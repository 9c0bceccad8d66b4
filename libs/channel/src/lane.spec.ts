// The rules of a lane: places are shared by claims and hand-over, what is due comes first, and it stops when its calls have ended.
import { userKey } from '@stepcast/contracts'
import { Lane, type LaneOptions } from './lane'
import type { Claimed } from './ledger'
import type { Recipient } from './message'
import type { Outcome, ProviderMessage } from './provider'
import { TokenBuckets } from './tokenBucket'
import type { Fact } from './transition'

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms)

const claimedOf = (messageId: string, workspaceId: string): Claimed => ({
  messageId,
  target: 't',
  fence: 1,
  workspaceId,
  userId: 'u',
  templateId: 'x',
  templateVersion: 1,
  variables: {},
  windowMs: null,
  answer: null,
  nowMs: 0,
  isAskedFor: false,
  alone: null,
})
const recipient: Recipient = { addresses: [{ target: 't', provider: 'fcm', address: 'a' }], optOutChannels: [], optOutCategories: [] }
const recipientsOf = (claimed: readonly Claimed[]): ReadonlyMap<string, Recipient> =>
  new Map(claimed.map(({ workspaceId, userId }) => [userKey(workspaceId, userId), recipient]))

interface Due {
  readonly messageId: string
  readonly workspaceId: string
  readonly dueAt: number
}

/** The three statements of a claim, each taking a while. */
class Ledger {
  lookMs = 5
  claimMs = 5
  beginMs = 5
  /** When each message was claimed. */
  readonly claimedAt = new Map<string, number>()

  constructor(private due: readonly Due[]) {}

  async query({ name, values }: { name: string; values: readonly unknown[] }): Promise<{ rows: unknown[] }> {
    if (name === 'due-workspaces') {
      await wait(this.lookMs)
      const workspaces = [...new Set(this.due.map(({ workspaceId }) => workspaceId))].sort()
      return { rows: workspaces.map((workspaceId) => ({ workspaceId, dueInMs: this.firstOf(workspaceId) - Date.now() })) }
    }
    if (name === 'claim') {
      await wait(this.claimMs)
      const [, workspaceIds, takes] = values as [string, string[], number[]]
      return { rows: workspaceIds.flatMap((workspaceId, i) => this.claim(workspaceId, takes[i]!)) }
    }
    await wait(this.beginMs)
    const [messageIds, targets] = values as [string[], string[]]
    return { rows: messageIds.map((messageId, i) => ({ messageId, target: targets[i] })) }
  }

  private firstOf(workspace: string): number {
    return Math.min(...this.due.filter(({ workspaceId }) => workspaceId === workspace).map(({ dueAt }) => dueAt))
  }
  private claim(workspace: string, take: number): Claimed[] {
    const chosen = this.due.filter(({ workspaceId, dueAt }) => workspaceId === workspace && dueAt <= Date.now()).slice(0, take)
    this.due = this.due.filter((one) => !chosen.includes(one))
    for (const { messageId } of chosen) this.claimedAt.set(messageId, Date.now())
    return chosen.map(({ messageId, workspaceId }) => claimedOf(messageId, workspaceId))
  }
}

interface Calls {
  readonly sent: string[]
  underWay: number
  most: number
}

function laneOf(ledger: Ledger, concurrency: number, callMs: number): { lane: Lane<'push'>; facts: Fact[]; calls: Calls } {
  const facts: Fact[] = []
  const calls: Calls = { sent: [], underWay: 0, most: 0 }
  const send = async ({ messageId }: ProviderMessage<'push'>): Promise<Outcome> => {
    calls.sent.push(messageId)
    calls.most = Math.max(calls.most, ++calls.underWay)
    await wait(callMs)
    calls.underWay--
    return { kind: 'accepted', providerMessageId: null }
  }
  const lane = new Lane<'push'>({
    channel: 'push',
    kind: { name: 'fcm' },
    accounts: {
      open: (_: string, names: Iterable<string>) => Promise.resolve(new Map([...names].map((name) => [name, { name: 'fcm', send }]))),
    },
    pool: ledger,
    log: { warn: fail, error: fail },
    users: { caughtUp: () => Promise.resolve(new Map()), load: (claimed: Claimed[]) => Promise.resolve(recipientsOf(claimed)) },
    templates: {
      version: () => Promise.resolve({ category: 'c', channels: [{ channelType: 'push', content: { title: 'hi', body: 'there' } }] }),
    },
    buckets: new TokenBuckets(1e6),
    ratePerProvider: 1e6,
    concurrency,
    timeoutMs: 10_000,
    leaseMs: 15_000,
    noAddress: 'no_token',
    prepare: undefined,
    settle: (settled: Fact[]) => facts.push(...settled),
    onAttempt: () => undefined,
  } as unknown as LaneOptions<'push'>)
  return { lane, facts, calls }
}

/** The lane logs only what nobody foresaw. */
function fail(fields: object): never {
  throw new Error(JSON.stringify(fields))
}

/** Takes for these workspaces whatever is offered. */
function takeOffered(lane: Lane<'push'>, workspaceIds: readonly string[]): Claimed[] {
  const shares = lane.offer(new Map(workspaceIds.map((workspaceId) => [workspaceId, 100])))
  const claimed = shares.flatMap(({ workspaceId, take }) => Array.from({ length: take }, () => claimedOf('new', workspaceId)))
  lane.take(claimed)
  return claimed
}

describe('a lane', () => {
  beforeEach(() => jest.useFakeTimers({ now: 0 }))
  afterEach(() => jest.useRealTimers())

  it('has stopped when the calls have ended that a claim was just beginning', async () => {
    const ledger = new Ledger([{ messageId: 'm', workspaceId: 'w', dueAt: 0 }])
    ledger.beginMs = 200
    const { lane, facts, calls } = laneOf(ledger, 4, 500)
    lane.start()
    await pass(60)
    expect([lane.standing.underWay, calls.underWay]).toEqual([1, 0])
    let isStopped = false
    const stopped = lane.stop(5_000).then(() => (isStopped = true))
    await pass(600)
    expect([isStopped, calls.underWay]).toEqual([false, 1])
    await pass(100)
    await stopped
    expect(facts).toMatchObject([{ kind: 'attempted', messageId: 'm', outcome: { kind: 'accepted' } }])
    expect(lane.standing.underWay).toBe(0)
  })

  it('claims what is due although new messages would take every place', async () => {
    const ledger = new Ledger([{ messageId: 'retry', workspaceId: 'w', dueAt: 300 }])
    const { lane } = laneOf(ledger, 4, 100)
    // Each call of 100 ms is followed by the next in the same moment: no place is ever left free.
    const fill = (): void => {
      for (const one of takeOffered(lane, ['new-1', 'new-2'])) {
        setTimeout(() => {
          lane.release(one)
          fill()
        }, 100)
      }
    }
    lane.start()
    await pass(50)
    fill()
    await pass(200)
    expect(lane.standing.underWay).toBe(4)
    await pass(750)
    expect(ledger.claimedAt.get('retry')).toBeLessThan(600)
    await Promise.all([lane.stop(0), pass(200)])
  })

  it('sends nothing more once the window has elapsed, unless an operator asks for it (rule 24)', async () => {
    const { lane } = laneOf(new Ledger([]), 4, 0)
    const answer = { kind: 'requested', occurredAt: 1_000, reason: null, providerMessageId: null, detail: {} } as const
    const retried: Claimed = { ...claimedOf('m', 'w'), windowMs: 60_000, answer, nowMs: 61_000 }
    const judge = async (claimed: Claimed) => lane.judge([claimed], recipientsOf([claimed]))
    expect(await judge(retried)).toMatchObject({ ready: [], notSent: [{ messageId: 'm', kind: 'skipped', reason: 'window_elapsed' }] })
    expect(await judge({ ...retried, nowMs: 60_999 })).toMatchObject({ ready: [{ message: { timeToLiveMs: 1 } }], notSent: [] })
    expect((await judge({ ...retried, isAskedFor: true })).ready).toHaveLength(1)
    expect((await judge({ ...retried, answer: null })).ready).toHaveLength(1)
  })

  it('never has more calls under way than its concurrency, of claims and new messages together', async () => {
    const due = Array.from({ length: 40 }, (_, i) => ({ messageId: `due-${i}`, workspaceId: i % 2 ? 'v' : 'w', dueAt: 0 }))
    const ledger = new Ledger(due)
    ledger.claimMs = 20
    const { lane, calls } = laneOf(ledger, 8, 30)
    let most = 0
    const handOver = async (): Promise<void> => {
      const claimed = takeOffered(lane, ['new-1', 'new-2'])
      most = Math.max(most, lane.standing.underWay)
      await wait(10)
      lane.send((await lane.judge(claimed, recipientsOf(claimed))).ready, performance.now())
    }
    lane.start()
    const timer = setInterval(() => void handOver(), 3)
    await pass(1_000)
    clearInterval(timer)
    await pass(100)
    expect(most).toBe(8)
    expect(calls.most).toBeLessThanOrEqual(8)
    expect(calls.sent.filter((messageId) => messageId !== 'new').sort()).toEqual(due.map(({ messageId }) => messageId).sort())
    expect(calls.sent).toContain('new')
    expect(lane.standing.underWay).toBe(0)
    await Promise.all([lane.stop(0), pass(0)])
  })
})
