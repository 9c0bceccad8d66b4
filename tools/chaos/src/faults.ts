// The faults: what strikes whom, and what must work again before it counts as recovered from.
import { commandTopicOf, maxRecordBytes, recordBytes, topics, type Topic } from '@stepcast/contracts'
import { isRecord, type KafkaConnection, type RawRecord } from '@stepcast/kafka'
import { sleep } from '@stepcast/stack'
import type { Failpoints } from './failpoints'
import type { Keeper } from './keeper'
import type { Work } from './progress'
import type { Random } from './random'

/** A fault to come. */
export interface Fault {
  /** As it is counted in the report. */
  readonly kind: string
  /** Faults of one area do not strike at the same time. */
  readonly area: string
  readonly works: readonly Work[]
  /** Strikes; answers when the victim was hit, with what is to be done to end it (null: it ends by itself). */
  strike(stage: Stage): Promise<Struck>
}

/** How a fault struck. */
export interface Struck {
  /** Whom, in words. */
  readonly victim: string
  readonly at: number
  /** Resolves when the fault is over, and recovery may be judged; absent: it is over. */
  readonly over?: Promise<void>
  /** Where it did not get to the point it was meant for: what was done instead. */
  readonly insteadOf?: string
}

/** What faults work with. */
export interface Stage {
  readonly keeper: Keeper
  readonly failpoints: Failpoints
  readonly connection: () => KafkaConnection
  readonly random: Random
}

// How long a process may take to come to a failpoint under this load: all but the rarest are passed several times a second.
const reachWithinMs = 8_000
// Longer than the session timeout of 10 s: the group has given the partitions to another by then.
const stoppedMs = 12_500
const wrongClockMs = 10_000
const hourMs = 3_600_000

const everything: readonly Work[] = ['sequences', 'in_app', 'push']
const pairs = {
  orchestrator: ['orchestrator', 'orchestrator-2'],
  'inapp-dispatcher': ['inapp-dispatcher', 'inapp-dispatcher-2'],
  'push-dispatcher': ['push-dispatcher', 'push-dispatcher-2'],
} as const
type Pair = keyof typeof pairs
const worksOf: Readonly<Record<string, readonly Work[]>> = {
  orchestrator: everything,
  'inapp-dispatcher': ['in_app'],
  'push-dispatcher': ['push'],
  'sms-dispatcher': ['sms'],
  'messenger-dispatcher': ['kakao'],
  'provider-sandbox': ['push'],
}
const isPair = (service: string): service is Pair => service in pairs

/** kill -9 at any instant. */
const killed = (service: string): Fault => ({
  kind: `kill -9 ${service}`,
  area: service,
  works: worksOf[service] ?? [],
  strike: async ({ keeper, random }) => {
    const victim = isPair(service) ? random.pick(pairs[service]) : service
    keeper.part(victim).kill('SIGKILL')
    return { victim, at: Date.now() }
  },
})

/** kill -9 at a named point. */
export const killedAt = (service: string, name: string, nth: (random: Random) => number = (random) => 1 + random.below(5)): Fault => ({
  kind: `kill -9 ${service} ${name}`,
  area: service,
  works: worksOf[service] ?? [],
  strike: async ({ keeper, failpoints, random }) => {
    const victim = isPair(service) ? random.pick(pairs[service]) : service
    const part = keeper.part(victim)
    if (await failpoints.strike(part, { name, nth: nth(random), action: 'kill' }, reachWithinMs)) return { victim, at: Date.now() }
    part.kill('SIGKILL')
    return { victim, at: Date.now(), insteadOf: name }
  },
})

/** Both of a pair at once: nobody is left, and what comes meanwhile waits. */
export const outage = (service: Pair, offMs = 0): Fault => ({
  kind: `kill -9 both ${service}s`,
  area: service,
  works: worksOf[service] ?? [],
  strike: async ({ keeper }) => {
    const at = Date.now()
    const kill = async (): Promise<void> => {
      for (const name of pairs[service]) keeper.part(name).kill('SIGKILL')
      await sleep(offMs)
    }
    if (offMs > 0) await keeper.holding(pairs[service], kill)
    else await kill()
    return { victim: pairs[service].join(' and '), at }
  },
})

/** SIGSTOP for longer than the session timeout, then SIGCONT: the process comes back and believes it still owns what it owned. */
export const stopped = (at: string | null): Fault => ({
  kind: at === null ? 'SIGSTOP orchestrator' : 'SIGSTOP orchestrator inside a transaction',
  area: 'orchestrator',
  works: everything,
  strike: async ({ keeper, failpoints, random }) => {
    const victim = random.pick(pairs.orchestrator)
    const part = keeper.part(victim)
    const isThere =
      at === null ? false : await failpoints.strike(part, { name: at, nth: 1 + random.below(5), action: 'stop' }, reachWithinMs)
    if (!isThere) part.kill('SIGSTOP')
    const over = sleep(stoppedMs).then(() => void part.kill('SIGCONT'))
    return { victim, at: Date.now(), over, ...(at !== null && !isThere && { insteadOf: at }) }
  },
})

/**
 * SIGSTOP past the session timeout; thawed, it is killed as soon as it comes to this point. Whoever is fenced never comes there
 * before it owns its partitions again.
 */
export const stoppedThenKilledAt = (name: string): Fault => ({
  kind: `SIGSTOP orchestrator, SIGCONT, kill -9 ${name}`,
  area: 'orchestrator',
  works: everything,
  strike: async ({ keeper, failpoints, random }) => {
    const victim = random.pick(pairs.orchestrator)
    const part = keeper.part(victim)
    part.kill('SIGSTOP')
    const at = Date.now()
    const over = sleep(stoppedMs).then(async () => {
      const struck = failpoints.strike(part, { name, nth: 1, action: 'kill' }, reachWithinMs)
      part.kill('SIGCONT')
      await struck
    })
    return { victim, at, over }
  },
})

/** The broker loses its process, and with it every connection and session. */
const brokerKilled: Fault = {
  kind: 'kill -9 broker',
  area: 'kafka',
  works: everything,
  strike: async ({ keeper }) => {
    keeper.part('kafka').kill('SIGKILL')
    return { victim: 'broker', at: Date.now() }
  },
}

/** PostgreSQL stops immediately, and once more when it has just come back. */
export const postgresStopped = (times: number): Fault => ({
  kind: 'immediate stop of PostgreSQL',
  area: 'postgres',
  works: everything,
  strike: async ({ keeper, random }) => {
    const part = keeper.part('postgres')
    const at = Date.now()
    const stops = async (): Promise<void> => {
      for (let stop = 0; stop < times; stop++) {
        if (stop > 0) await sleep(random.between(2_500, 4_500))
        while (!keeper.isUp(['postgres'])) await sleep(100)
        part.kill('SIGQUIT')
        await part.ended()
      }
    }
    return { victim: 'postgres', at, over: stops() }
  },
})

/** A process starts with a clock an hour off, and gets the true one back later. */
const wrongClock = (service: Pair | 'metrics-svc'): Fault => ({
  kind: `clock of ${service} an hour off`,
  area: service,
  works: worksOf[service] ?? [],
  strike: async ({ keeper, failpoints, random }) => {
    const victim = isPair(service) ? random.pick(pairs[service]) : service
    const part = keeper.part(victim)
    failpoints.setClock(victim, random.pick([-hourMs, hourMs]))
    part.kill('SIGKILL')
    const back = async (): Promise<void> => {
      await sleep(wrongClockMs)
      failpoints.setClock(victim, 0)
      part.kill('SIGKILL')
    }
    return { victim, at: Date.now(), over: back() }
  },
})

/** Every record of the topics is written once more. */
const everythingTwice: Fault = {
  kind: 'every topic delivered twice',
  area: 'topics',
  works: everything,
  strike: async ({ connection }) => {
    const at = Date.now()
    for (const topic of [topics.sends, topics.engagements, ...Object.values(commandTopicOf), topics.sequences, topics.controls])
      await copy(connection(), topic)
    return { victim: 'all topics', at }
  },
}

/** A group reads its topic from the beginning again. */
const groupReset = (service: 'inapp-dispatcher' | 'push-dispatcher'): Fault => ({
  kind: `group of ${service} reset`,
  area: service,
  works: worksOf[service]!,
  strike: async ({ keeper, connection }) => {
    const at = Date.now()
    await keeper.holding(pairs[service], async () => {
      await Promise.all(pairs[service].map((name) => keeper.part(name).stop()))
      const topic = commandTopicOf[service === 'inapp-dispatcher' ? 'in_app' : 'push'].name
      // A member that was killed just before stays one until its session timeout is over.
      const admin = await connection().admin()
      for (const deadline = at + 40_000; ; await sleep(500)) {
        const error = await admin.resetOffsets({ groupId: service, topic, earliest: true }).then(
          () => null,
          (failure: Error) => failure,
        )
        if (error === null) break
        if (Date.now() > deadline) throw error
      }
    })
    return { victim: pairs[service].join(' and '), at }
  },
})

const copiedAtMost = 30_000

/** Writes what a topic holds once more, each record into its own partition. Copies of an earlier time are copied as well. */
async function copy(connection: KafkaConnection, topic: Topic): Promise<void> {
  const ends = await connection.endOffsets(topic.name)
  const left = new Map([...ends].filter(([, end]) => end > 0))
  if (left.size === 0) return
  const records: RawRecord[] = []
  const consumer = connection.consumer({ groupId: `chaos-copy-${topic.name}-${Date.now()}`, allowAutoTopicCreation: false })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic.name], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const end = left.get(batch.partition)
      if (end === undefined) return
      for (const { key, value, headers, offset } of batch.messages.filter(isRecord)) {
        const record = { key, value, headers: headers ?? {} }
        // The large ones are poison: some would not fit unpacked, and all of them together are hundreds of megabytes.
        if (Number(offset) < end && recordBytes(record) <= maxRecordBytes) records.push({ ...record, partition: batch.partition })
      }
      if (Number(batch.lastOffset()) >= end - 1) left.delete(batch.partition)
    },
  })
  const deadline = Date.now() + 15_000
  while (left.size > 0 && Date.now() < deadline) await sleep(50)
  await connection.release(consumer)
  await (await connection.producer()).sendRaw(topic.name, records.slice(0, copiedAtMost))
}

// Where fewer messages pass, the first of them has to do.
const first = (): number => 1

const orchestratorPoints = ['before-commit', 'after-commit', 'before-publish', 'after-publish', 'timer-taken']
/** Of every ledger: push, sms and kakao keep the same. */
const ledgerPoints = [
  'before-commands-stored',
  'after-commands-stored',
  'before-attempting',
  'after-attempting',
  'after-provider-call',
  'before-settled',
  'after-settled',
]
const inAppPoints = ['before-answers-stored', 'before-report', 'after-report']
const metricsPoints = ['before-fold-commit', 'after-fold-commit']
const sendPoints = ['after-fan-out']
const peoplePoints = ['after-relay', 'before-erased-again']

/** Every failpoint that is struck at. */
export const failpointNames: readonly string[] = [
  ...orchestratorPoints,
  ...ledgerPoints,
  ...inAppPoints,
  ...metricsPoints,
  ...sendPoints,
  ...peoplePoints,
]

/** Every fault there is, in families: a plan goes round the families, so that a short one has struck everywhere. */
const families: readonly { readonly isSlow: boolean; readonly faults: readonly Fault[] }[] = [
  { isSlow: false, faults: orchestratorPoints.map((name) => killedAt('orchestrator', name)) },
  { isSlow: false, faults: ledgerPoints.map((name) => killedAt('push-dispatcher', name)) },
  { isSlow: false, faults: ledgerPoints.map((name) => killedAt('sms-dispatcher', name, first)) },
  { isSlow: false, faults: ledgerPoints.map((name) => killedAt('messenger-dispatcher', name, first)) },
  { isSlow: false, faults: [postgresStopped(2)] },
  { isSlow: false, faults: [brokerKilled] },
  { isSlow: false, faults: [killed('orchestrator'), outage('orchestrator')] },
  { isSlow: false, faults: inAppPoints.map((name) => killedAt('inapp-dispatcher', name)) },
  { isSlow: true, faults: [stopped('before-commit'), stopped(null), stoppedThenKilledAt('before-publish')] },
  {
    isSlow: false,
    faults: [
      ...metricsPoints.map((name) => killedAt('metrics-svc', name)),
      ...sendPoints.map((name) => killedAt('send-svc', name)),
      ...peoplePoints.map((name) => killedAt('people-svc', name, () => 1)),
    ],
  },
  {
    isSlow: false,
    faults: [
      'push-dispatcher',
      'inapp-dispatcher',
      'sms-dispatcher',
      'messenger-dispatcher',
      'provider-sandbox',
      'send-svc',
      'metrics-svc',
      'gateway',
      'people-svc',
      'template-svc',
    ].map(killed),
  },
  { isSlow: true, faults: [everythingTwice, groupReset('push-dispatcher'), groupReset('inapp-dispatcher')] },
  {
    isSlow: true,
    faults: [wrongClock('orchestrator'), wrongClock('push-dispatcher'), wrongClock('inapp-dispatcher'), wrongClock('metrics-svc')],
  },
]

/**
 * Plans so many faults.
 * @param isShort only faults that are over at once
 */
export function planOf(count: number, random: Random, isShort: boolean): Fault[] {
  const round = random.shuffled(families.filter(({ isSlow }) => !isShort || !isSlow).map(({ faults }) => random.shuffled(faults)))
  return Array.from({ length: count }, (_, index) => {
    const faults = round[index % round.length]!
    return faults[Math.floor(index / round.length) % faults.length]!
  })
}
