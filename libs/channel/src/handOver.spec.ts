// The rules of the hand-over: who is sent to at once, who is left to the caller, and that no place is lost on the way.
import { HandOver, type HandOverOptions } from './handOver'
import type { Ready } from './lane'
import type { Claimed } from './ledger'
import type { NewMessage, Recipient } from './message'

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms)

/** Eight places, dealt evenly. A call has its place until it ends. */
class EightPlaces {
  taken = 0
  /** Places of calls that are none of ours. */
  occupied = 0
  callMs = 10
  judgeMs = 0
  readonly sent: string[] = []
  readonly heldBack = new Set<string>()
  readonly optedOut = new Set<string>()

  constructor(readonly name: string) {}

  get free(): number {
    return 8 - this.taken - this.occupied
  }
  get hasRoom(): boolean {
    return this.free >= 2
  }
  offer(wanted: ReadonlyMap<string, number>): { workspaceId: string; take: number }[] {
    let { free } = this
    const turns = [...wanted].filter(([workspaceId]) => !this.heldBack.has(workspaceId))
    return turns.map(([workspaceId, count], i) => {
      const take = Math.min(count, Math.ceil(free / (turns.length - i)))
      free -= take
      return { workspaceId, take }
    })
  }
  take(claimed: readonly Claimed[]): void {
    this.taken += claimed.length
  }
  release(): void {
    this.taken--
  }
  async judge(claimed: readonly Claimed[]): Promise<{ ready: { claimed: Claimed }[] }> {
    if (this.judgeMs > 0) await wait(this.judgeMs)
    return { ready: claimed.filter(({ userId }) => !this.optedOut.has(userId)).map((one) => ({ claimed: one })) }
  }
  send(ready: readonly Ready<'push'>[]): void {
    for (const { claimed } of ready) {
      this.sent.push(claimed.messageId)
      setTimeout(() => this.release(), this.callMs)
    }
  }
}

/** The messages stored; each transaction takes 20 ms, and the next `failing` ones are rolled back. */
class Rows {
  failing = 0
  readonly stored = new Set<string>()
  readonly attempting: string[] = []

  async store(messages: readonly NewMessage[], attempting: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const fails = this.failing-- > 0
    await wait(20)
    if (fails) throw new Error('deadlock detected')
    const isNew = new Set(idsOf(messages).filter((messageId) => !this.stored.has(messageId)))
    for (const messageId of isNew) this.stored.add(messageId)
    this.attempting.push(...attempting)
    return isNew
  }
}

const idsOf = (messages: Iterable<NewMessage>): string[] => [...messages].map(({ command }) => command.messageId).sort()

const message = (messageId: string, workspaceId = 'w', provider = 'fcm', expiresAt = Infinity): NewMessage =>
  ({
    command: { messageId, workspaceId, userId: `user of ${messageId}`, expiresAt },
    traceparent: null,
    answer: null,
    targets: [{ target: 't', provider, address: 'a', isServed: true }],
  }) as unknown as NewMessage

interface Run {
  endedAt: number | null
  stored: string[]
  waits: boolean
  error: string | null
}

let fcm: EightPlaces
let apns: EightPlaces
let rows: Rows
let handOver: HandOver<'push'>

function run(...messages: readonly NewMessage[]): Run {
  const run: Run = { endedAt: null, stored: [], waits: false, error: null }
  const recipients = { known: new Map<string, Recipient>(), upTo: null }
  handOver
    .run({ messages, recipients, nowMs: () => Date.now() })
    .then(({ stored, waits }) => Object.assign(run, { stored: idsOf(stored), waits }))
    .catch((error: Error) => (run.error = error.message))
    .finally(() => (run.endedAt = Date.now()))
  return run
}

beforeEach(() => {
  jest.useFakeTimers({ now: 0 })
  fcm = new EightPlaces('fcm')
  apns = new EightPlaces('apns')
  rows = new Rows()
  handOver = new HandOver({
    users: { caughtUp: () => Promise.resolve(new Map()), load: () => Promise.resolve(new Map()) },
    lanes: [fcm, apns],
    store: (messages: readonly NewMessage[], attempting: ReadonlySet<string>) => rows.store(messages, attempting),
  } as unknown as HandOverOptions<'push'>)
})
afterEach(async () => {
  await pass(60_000)
  jest.useRealTimers()
  // After every rule: whoever took a place gave it back, and nothing was sent that is not stored, or twice.
  expect([fcm.taken, apns.taken]).toEqual([0, 0])
  const sent = [...fcm.sent, ...apns.sent]
  expect(new Set(sent).size).toBe(sent.length)
  expect(sent.filter((messageId) => !rows.stored.has(messageId))).toEqual([])
})

describe('new messages', () => {
  it('that find places are stored as being attempted, and then sent', async () => {
    const all = run(message('a'), message('b'), message('c', 'v', 'apns'))
    await pass(19)
    expect([...fcm.sent, ...apns.sent]).toEqual([])
    await pass(1)
    expect([fcm.sent, apns.sent]).toEqual([['a', 'b'], ['c']])
    expect(rows.attempting.sort()).toEqual(['a t', 'b t', 'c t'])
    expect(all).toEqual({ endedAt: 20, stored: ['a', 'b', 'c'], waits: false, error: null })
  })
  it('with a provider of their own are handed over while others wait for places of another', async () => {
    fcm.occupied = 8
    const first = run(message('a'))
    await pass(10)
    const second = run(message('b', 'w', 'apns'))
    await pass(90)
    expect(apns.sent).toEqual(['b'])
    expect(second).toMatchObject({ stored: ['b'], error: null })
    fcm.occupied = 0
    await pass(90)
    expect(fcm.sent).toEqual(['a'])
    expect(first).toMatchObject({ stored: ['a'], error: null })
  })
  it('already in hand are left to their caller, while they wait and while they are stored', async () => {
    fcm.occupied = 8
    const first = run(message('a'))
    await pass(10)
    const whileItWaits = run(message('a'))
    await pass(0)
    expect(whileItWaits).toEqual({ endedAt: 10, stored: [], waits: false, error: null })
    fcm.occupied = 0
    await pass(15)
    const whileItIsStored = run(message('a'), message('b'))
    await pass(60)
    expect(whileItIsStored.stored).toEqual(['b'])
    expect(first.stored).toEqual(['a'])
    expect(fcm.sent).toEqual(['a', 'b'])
  })
  it('stored before, or of users who opted out, give their places back unsent', async () => {
    fcm.optedOut.add('user of b')
    rows.stored.add('a')
    const all = run(message('a'), message('b'), message('c'))
    await pass(20)
    expect(fcm.sent).toEqual(['c'])
    expect(fcm.taken).toBe(1)
    expect(all).toMatchObject({ stored: ['a', 'b', 'c'], waits: true })
  })
})

describe('a batch whose store fails', () => {
  const six = (): NewMessage[] => ['a', 'b', 'c', 'd', 'e', 'f'].map((messageId) => message(messageId))
  /** Two of them find places, and their store fails; `occupied` places are taken meanwhile. */
  const failed = async (occupied: number): Promise<ReturnType<typeof run>> => {
    fcm.occupied = 6
    rows.failing = 1
    const first = run(...six())
    await pass(10)
    fcm.occupied = occupied
    await pass(10)
    return first
  }

  it('rejects as a whole, may be given again at once, and nothing is sent twice', async () => {
    // No place comes free before the batch is given again: were its first copy still there, both would go in one portion.
    const first = await failed(8)
    expect(first).toMatchObject({ endedAt: 20, error: 'deadlock detected' })
    const again = run(...six())
    fcm.occupied = 0
    await pass(200)
    expect(again).toMatchObject({ stored: ['a', 'b', 'c', 'd', 'e', 'f'], error: null })
    expect(fcm.sent.sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })
  it('is given again while a portion of it is still being stored: that one is not handed over beside itself', async () => {
    const first = await failed(4)
    expect(first.error).toBe('deadlock detected')
    const again = run(...six())
    fcm.occupied = 0
    await pass(200)
    expect(again).toMatchObject({ stored: ['a', 'b', 'e', 'f'], error: null })
    expect(fcm.sent.sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })
  it('leaves other batches alone', async () => {
    fcm.occupied = 6
    rows.failing = 1
    const failed = run(...six())
    await pass(5)
    const other = run(message('x', 'v'))
    await pass(15)
    fcm.occupied = 0
    await pass(100)
    expect(failed.error).toBe('deadlock detected')
    expect(other).toMatchObject({ stored: ['x'], error: null })
    expect(fcm.sent).toEqual(['x'])
  })
})

describe('a workspace that finds no place', () => {
  it('is let go after half a second, its later messages at once, and others of the batch are sent without delay', async () => {
    fcm.heldBack.add('held')
    const first = run(message('a', 'held'), message('b'), message('c', 'held'), message('d'))
    await pass(20)
    expect(fcm.sent).toEqual(['b', 'd'])
    await pass(470)
    expect(first.endedAt).toBeNull()
    await pass(60)
    expect(first).toMatchObject({ stored: ['b', 'd'], waits: false, error: null })

    const startedAt = Date.now()
    const later = run(message('e', 'held'), message('f'))
    const alone = run(message('g', 'held'))
    await pass(100)
    expect(later).toMatchObject({ endedAt: startedAt + 20, stored: ['f'] })
    expect(alone).toMatchObject({ endedAt: startedAt, stored: [] })
    expect(fcm.sent).toEqual(['b', 'd', 'f'])
  })
  it('is waited for again once it found one', async () => {
    fcm.heldBack.add('held')
    run(message('a', 'held'))
    await pass(600)
    fcm.heldBack.clear()
    run(message('b', 'held'))
    await pass(50)
    fcm.heldBack.add('held')
    const last = run(message('c', 'held'))
    await pass(300)
    expect(last.endedAt).toBeNull()
    fcm.heldBack.clear()
    await pass(50)
    expect(last.stored).toEqual(['c'])
    expect(fcm.sent).toEqual(['b', 'c'])
  })
  it('or only one now and then, is waited for two seconds at most', async () => {
    fcm.occupied = 8
    fcm.callMs = 30_000
    const all = run(...Array.from({ length: 20 }, (_, i) => message(`m${i}`)))
    for (let places = 0; places < 8; places++) {
      fcm.occupied--
      await pass(240)
    }
    expect(all.endedAt).toBeNull()
    await pass(200)
    expect(all.stored).toHaveLength(8)
    expect(all.endedAt).toBeGreaterThan(2_000)
  })
})

describe('nothing expired is begun', () => {
  it('when it expires while it waits for a place', async () => {
    fcm.occupied = 8
    const both = run(message('a', 'w', 'fcm', 100), message('b', 'w', 'fcm', 10_000))
    await pass(100)
    fcm.occupied = 0
    await pass(100)
    expect(rows.attempting).toEqual(['b t'])
    expect(fcm.sent).toEqual(['b'])
    expect(both).toMatchObject({ stored: ['a', 'b'], waits: true })
  })
  it('when it expires while it is judged', async () => {
    fcm.judgeMs = 100
    const both = run(message('a', 'w', 'fcm', 100), message('b', 'w', 'fcm', 10_000))
    await pass(200)
    expect(rows.attempting).toEqual(['b t'])
    expect(fcm.sent).toEqual(['b'])
    expect(both).toMatchObject({ stored: ['a', 'b'], waits: true })
  })
})

describe('after stop()', () => {
  it('nothing more is handed over, and every run ends', async () => {
    fcm.occupied = 6
    apns.occupied = 8
    const begun = run(message('a'), message('b'), message('c'), message('d', 'v', 'apns'))
    const waiting = run(message('e', 'v', 'apns'))
    await pass(10)
    handOver.stop()
    const late = run(message('f'))
    fcm.occupied = apns.occupied = 0
    await pass(90)
    expect(begun).toMatchObject({ stored: ['a', 'b'], error: null })
    expect(waiting).toMatchObject({ stored: [], error: null })
    expect(late).toEqual({ endedAt: 10, stored: [], waits: false, error: null })
    expect([begun, waiting].map(({ endedAt }) => endedAt !== null)).toEqual([true, true])
    expect([fcm.sent, apns.sent]).toEqual([['a', 'b'], []])
  })
})
