// Two orchestrators under load, one of them stopped, killed or asked to leave: the other takes over, and nothing is commanded twice.
import { Client } from 'pg'
import { messageIdOf, partitionOf, sequenceIdOf, topics, type EngagementKind, type SequenceChanged } from '@stepcast/contracts'
import { consumeRecords, type IncomingRecord, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import {
  approveTwoSteps,
  engagementReported,
  eventually,
  produceEngagements,
  produceSends,
  sendRequested,
  specPartitions,
  SpecProcesses,
  specStack,
  turnsOf,
  type Session,
  type SpecProcess,
  type SpecStack,
} from '@stepcast/testing'

// A window of 5 "minutes" is 1.5 s.
const minuteMs = 300
const stoppedMs = 14_000
const sendsEveryMs = 100
const sendsAtOnce = 15
/** Their histories, loaded at once, do not fit into the buffers of a connection (4 MB to send, less to receive): 100 a partition. */
const heavyUsers = Array.from({ length: 100 * specPartitions }, (_, n) => `heavy-${n}`)
const heavyDetail = { note: 'x'.repeat(50_000) }

let stack: SpecStack
let connection: KafkaConnection
let processes: SpecProcesses
let first: SpecProcess
let second: SpecProcess
let database: Client
let load: Load

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  processes = new SpecProcesses(stack)
  const env = { STEPCAST_MINUTE_MS: String(minuteMs) }
  first = await processes.start('orchestrator', { env })
  second = await processes.start('orchestrator', { name: 'orchestrator-2', env })
  database = new Client({ connectionString: stack.databaseUrl })
  await database.connect()
  await Promise.all([approveTwoSteps(connection, 'news'), approveTwoSteps(connection, 'long', 1440)])
  load = await Load.begin()
  await produceSends(
    connection,
    heavyUsers.map((userId) => sendRequested('long', 'heavy', userId)),
  )
  await produceEngagements(
    connection,
    heavyUsers.map((userId) =>
      engagementReported(messageIdOf(sequenceIdOf('w', 'heavy', userId), 1, 'in_app'), 'delivered', { detail: heavyDetail }),
    ),
  )
  await bothOwn()
}, 120_000)
afterAll(async () => {
  await load?.end()
  await database?.end()
  await processes?.stop()
  await stack?.stop()
})

// ── The world around: producers, dispatchers, people ──────────────────────────────────────────────────────────────────────

/** Sends all the time; every command is answered at once, and every other person views the message before its window has begun to count. */
class Load {
  readonly commands: IncomingRecord<'DispatchStep'>[] = []
  readonly changes: IncomingRecord<'SequenceChanged'>[] = []
  /** When each sequence was asked for. */
  readonly askedAt = new Map<string, number>()
  readonly viewers = new Set<string>()
  /** The youngest send that was commanded, by partition. */
  private readonly youngest = new Map<number, number>()
  /** When commands were seen, by partition. */
  private readonly seenAt = Array.from({ length: specPartitions }, (): number[] => [])
  private readonly consumers: RunningConsumer[] = []
  private timer: NodeJS.Timeout | null = null
  private sends = 0
  private producing: Promise<unknown> = Promise.resolve()

  static async begin(): Promise<Load> {
    const load = new Load()
    for (const topic of [topics.inAppCommands, topics.pushCommands]) {
      load.consumers.push(
        await consumeRecords(connection, {
          topic,
          groupId: `play-${topic.name}`,
          handle: (records) => load.commanded(records),
        }),
      )
    }
    load.consumers.push(
      await consumeRecords(connection, {
        topic: topics.sequences,
        groupId: 'play-sequences',
        handle: async (records) => void load.changes.push(...records),
      }),
    )
    load.goOn()
    return load
  }

  private send(): void {
    const sends = Array.from({ length: sendsAtOnce }, () => sendRequested('news', `send-${this.sends}`, `user-${this.sends++}`))
    for (const { sendId, userId, requestedAt } of sends) {
      const sequenceId = sequenceIdOf('w', sendId, userId)
      this.askedAt.set(sequenceId, requestedAt)
      if (this.askedAt.size % 2 === 0) this.viewers.add(sequenceId)
    }
    this.producing = this.producing.then(() => produceSends(connection, sends))
  }

  private async commanded(records: readonly IncomingRecord<'DispatchStep'>[]): Promise<void> {
    this.commands.push(...records)
    const answers: { messageId: string; kind: EngagementKind }[] = []
    for (const { partition, value } of records) {
      const { sequenceId, messageId, action, step } = value!
      if (action !== 'send') continue
      this.seenAt[partition]!.push(Date.now())
      this.youngest.set(partition, Math.max(this.youngest.get(partition) ?? 0, this.askedAt.get(sequenceId) ?? 0))
      answers.push({ messageId, kind: 'requested' })
      if (step === 1 && this.viewers.has(sequenceId)) answers.push({ messageId, kind: 'viewed' })
    }
    await report(answers)
  }

  /** How long it took from this instant until a send asked for after it was commanded in every partition. */
  async recovered(from: number): Promise<number> {
    await eventually(
      () => {
        for (let partition = 0; partition < specPartitions; partition++) if ((this.youngest.get(partition) ?? 0) <= from) return false
        return true
      },
      { withinMs: 40_000, everyMs: 20 },
    )
    return Date.now() - from
  }

  /** The longest that any partition commanded nothing between these instants, milliseconds. */
  silence(from: number, to: number): number {
    return Math.max(
      ...this.seenAt.map((seen) => {
        const instants = [from, ...seen.filter((at) => at > from && at < to), to]
        return Math.max(...instants.slice(1).map((at, index) => at - instants[index]!))
      }),
    )
  }

  goOn(): void {
    this.timer = setInterval(() => this.send(), sendsEveryMs)
  }

  /** No more sends until {@link goOn}; waits until all that was sent has ended. */
  async pause(): Promise<void> {
    await this.drain(() => this.askedAt.keys())
  }

  /** No more sends; waits until every sequence has ended and everything published has been read. */
  async drain(ids: () => Iterable<string>): Promise<void> {
    if (this.timer) clearInterval(this.timer)
    await this.producing
    await eventually(
      () => {
        const ending = this.changes.filter(({ value }) => value!.events.some(({ type }) => type === 'SequenceEnded'))
        const ended = new Set(ending.map(({ value }) => value!.sequenceId))
        const running = [...ids()].filter((id) => !ended.has(id))
        if (running.length > 0) throw new Error(`${running.length} sequences have not ended, as ${running[0]}`)
        return true
      },
      { withinMs: 60_000, everyMs: 300 },
    )
  }

  async end(): Promise<void> {
    if (this.timer) clearInterval(this.timer)
    await this.producing
    await Promise.all(this.consumers.map((consumer) => consumer.stop()))
  }
}

async function report(facts: readonly { messageId: string; kind: EngagementKind }[]): Promise<void> {
  await produceEngagements(
    connection,
    facts.map(({ messageId, kind }) => engagementReported(messageId, kind)),
  )
}

/** Both orchestrators are members of the group, so both own partitions. */
async function bothOwn(): Promise<void> {
  const admin = await connection.admin()
  await eventually(async () => {
    const { state, members } = (await admin.describeGroups([connection.physical('orchestrator')])).groups[0]!
    return state === 'Stable' && members.length === 2
  })
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))

/**
 * Holds a table that turns need until the process waits for it, stops the process there and lets go: its statement completes, and its
 * transaction stays open.
 */
async function stopInTransaction(process: SpecProcess, table: string, work: () => Promise<void> = async () => {}): Promise<number> {
  const locker = new Client({ connectionString: stack.databaseUrl })
  await locker.connect()
  try {
    await locker.query(`BEGIN; LOCK TABLE orchestrator.${table} IN ACCESS EXCLUSIVE MODE`)
    await work()
    const waits = async (): Promise<boolean> => (await turnsOf(database, process)).some(({ wait_event_type }) => wait_event_type === 'Lock')
    await eventually(waits, { everyMs: 10 })
    process.kill('SIGSTOP')
    return Date.now()
  } finally {
    await locker.end()
  }
}

interface Times {
  /** From the fault until every partition commanded what was asked for after it. */
  readonly takenOverMs: number
  /** Likewise from the process's return. */
  readonly backMs: number
}

/** The process stands still until 14 s are over; by then the other must have taken over. Answers both times to recovery. */
async function takenOver(process: SpecProcess, stoppedAt: number): Promise<Times> {
  try {
    const takenOverMs = await load.recovered(stoppedAt)
    await sleep(stoppedAt + stoppedMs - Date.now())
    const backAt = Date.now()
    process.kill('SIGCONT')
    await bothOwn()
    return { takenOverMs, backMs: await load.recovered(backAt) }
  } finally {
    process.kill('SIGCONT')
  }
}

/** Likewise of a process whose turn has a session at PostgreSQL that looks like this: by then it must have been ended. */
async function takenOverFrom(process: SpecProcess, stoppedAt: number, looks: (session: Session) => boolean): Promise<Times> {
  try {
    const holding = await eventually(
      async () => {
        const found = (await turnsOf(database, process)).filter(looks)
        return found.length > 0 ? found.map(({ pid }) => pid) : null
      },
      { withinMs: 8_000, everyMs: 20 },
    )
    const times = await takenOver(process, stoppedAt)
    expect((await database.query('SELECT pid FROM pg_stat_activity WHERE pid = ANY($1)', [holding])).rows).toEqual([])
    return times
  } finally {
    process.kill('SIGCONT')
  }
}

const print = (what: string, { takenOverMs, backMs }: Times): void =>
  console.info(`${what}: every partition commanded again after ${takenOverMs} ms, shared again ${backMs} ms after it went on`)

// Session timeout 10 s, the other's next heartbeat 2 s, 3 s for a lock that a stopped process holds; the rest is room on a busy machine.
const takeOverWithinMs = 25_000

// ── What must hold ────────────────────────────────────────────────────────────────────────────────────────────────────────

it('stopped beyond its session timeout: the other takes over every partition, and the stopped one comes back as a member', async () => {
  const stoppedAt = Date.now()
  first.kill('SIGSTOP')
  const times = await takenOver(first, stoppedAt)
  expect(times.takenOverMs).toBeLessThan(takeOverWithinMs)
  print('stopped', times)
})

it('stopped inside an open transaction: its session is ended by whoever waits for the partition', async () => {
  const stoppedAt = await stopInTransaction(second, 'timers')
  const times = await takenOverFrom(second, stoppedAt, ({ state }) => state === 'idle in transaction')
  expect(times.takenOverMs).toBeLessThan(takeOverWithinMs)
  print('stopped in its transaction', times)
})

it('stopped while the server writes to it: likewise, though the server itself would wait for ever', async () => {
  // Nothing else to load but these, and nobody remembers them: the last change of owners emptied the caches.
  await load.pause()
  const ids = heavyUsers.map((userId) => sequenceIdOf('w', 'heavy', userId))
  const stoppedAt = await stopInTransaction(first, 'changes', () =>
    report(ids.map((sequenceId) => ({ messageId: messageIdOf(sequenceId, 1, 'in_app'), kind: 'viewed' }))),
  )
  load.goOn()
  const times = await takenOverFrom(first, stoppedAt, ({ wait_event }) => wait_event === 'ClientWrite')
  expect(times.takenOverMs).toBeLessThan(takeOverWithinMs)
  print('stopped while the server wrote to it', times)
})

it('killed, and started again', async () => {
  const killedAt = Date.now()
  second.kill('SIGKILL')
  await second.ended()
  const takenOverMs = await load.recovered(killedAt)
  expect(takenOverMs).toBeLessThan(takeOverWithinMs)
  await second.start()
  const backAt = Date.now()
  await bothOwn()
  print('killed', { takenOverMs, backMs: await load.recovered(backAt) })
})

it('one after the other asked to leave and started again: the rest takes over without waiting for a session timeout', async () => {
  for (const process of [first, second]) {
    const askedAt = Date.now()
    await process.stop()
    await load.recovered(Date.now())
    const handedOverMs = load.silence(askedAt, Date.now())
    expect(handedOverMs).toBeLessThan(9_000)
    const startedAt = Date.now()
    await process.start()
    await bothOwn()
    await load.recovered(Date.now())
    const cameBackMs = load.silence(startedAt, Date.now())
    console.info(`${process.name} left and came back: some partition commanded nothing for ${handedOverMs} ms, then for ${cameBackMs} ms`)
  }
})

it('after all of it: every sequence has ended as it should, each step was commanded once, the log has no gap', async () => {
  await load.drain(() => [...load.askedAt.keys(), ...heavyUsers.map((userId) => sequenceIdOf('w', 'heavy', userId))])
  const log = new Map<string, SequenceChanged>()
  for (const { partition, value } of load.changes) {
    const change = value!
    expect(change.logPartition).toBe(partition)
    expect(partitionOf(change.sequenceId, specPartitions)).toBe(partition)
    const place = `${partition} ${change.logPosition}`
    // Published again is the same again.
    if (log.has(place)) expect(change).toEqual(log.get(place))
    else log.set(place, change)
  }
  for (let partition = 0; partition < specPartitions; partition++) {
    const here = [...log.values()].filter(({ logPartition }) => logPartition === partition)
    const positions = here.map(({ logPosition }) => logPosition).sort((a, b) => a - b)
    expect(positions.findIndex((position, index) => position !== index + 1)).toBe(-1)
  }

  const stepsOf = new Map<string, string[]>()
  const outcomeOf = new Map<string, string>()
  for (const { sequenceId, events } of [...log.values()].sort((a, b) => a.version - b.version)) {
    for (const event of events) {
      if (event.type === 'StepCommanded') {
        const before = stepsOf.get(sequenceId) ?? []
        stepsOf.set(sequenceId, [...before, ...event.channels.map((channel) => `${event.step} ${channel}`)])
      }
      if (event.type === 'SequenceEnded') outcomeOf.set(sequenceId, event.outcome)
    }
  }
  const wrong = [...load.askedAt.keys()].filter((id) => {
    const expected = load.viewers.has(id) ? 'stopped: 1 in_app' : 'exhausted: 1 in_app, 2 push'
    return `${outcomeOf.get(id)}: ${stepsOf.get(id)?.join(', ')}` !== expected
  })
  expect(wrong).toEqual([])

  // A command seen twice is one that was published twice: the same decision, word for word.
  const commandOf = new Map<string, unknown>()
  let again = 0
  for (const { value } of load.commands) {
    const name = `${value!.messageId} ${value!.action}`
    if (commandOf.has(name)) {
      again++
      expect(value).toEqual(commandOf.get(name))
    } else commandOf.set(name, value)
  }
  const repeated = `${load.changes.length - log.size} changes and ${again} commands were published again`
  console.info(`${load.askedAt.size} sequences, ${log.size} changes, commanded twice 0; ${repeated}`)
})
