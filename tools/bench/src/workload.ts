// Stepcast on the workload: the real broker, database and orchestrator processes, nothing in between.
import {
  commonHeaders,
  encodeRecord,
  messageIdOf,
  newTraceparent,
  partitionOf,
  sequenceIdOf,
  topics,
  type EngagementKind,
  type TemplateChanged,
  type Topic,
} from '@stepcast/contracts'
import {
  consumeRecords,
  kafkaConfigFromEnv,
  KafkaConnection,
  RecordBatch,
  registryConfigFromEnv,
  setUpCluster,
  SharedHeaders,
  silentLog,
} from '@stepcast/kafka'
import { until } from '@stepcast/stack'
import { largest, percentile, perSecond, rate, round } from './numbers'
import { Orchestrators } from './orchestrators'
import type { Progress } from './progress'
import type { Phases, Result } from './result'
import { cpuBetween, cpuSum, spentPer1000, type CpuUse, type Servers } from './servers'
import { untilWritten, written } from './topics'

/** How to run Stepcast. */
export interface StepcastOptions {
  /** Sequences of the largest workload to come: the windows are as long as it needs. */
  readonly n: number
  readonly processes: number
  readonly cpuProfiles: string | null
}

const workspaceId = 'bench'
const partitions = 12
/** The smallest window is 5 "minutes". */
const windowMinutes = 5

/** The four phases as one workload has run them. */
export type WorkloadResult = Omit<Result, 'latenessMs' | 'latencyMs'>

interface Measured {
  readonly ms: number
  readonly spent: CpuUse
}

/** Stepcast's processes and a driver beside them. */
export class Stepcast {
  private readonly env: Record<string, string>
  private readonly connection: KafkaConnection
  private readonly orchestrators: Orchestrators
  private readonly problems: string[] = []

  constructor(
    private readonly servers: Servers,
    private readonly options: StepcastOptions,
    private readonly progress: Progress,
  ) {
    const { kafkaBrokers, registryUrl, databaseUrl } = servers.stack
    this.env = {
      ...(process.env as Record<string, string>),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      NODE_ENV: 'production',
      KAFKA_BROKERS: kafkaBrokers,
      SCHEMA_REGISTRY_URL: registryUrl,
      DATABASE_URL: databaseUrl,
      STEPCAST_INTERNAL_SECRET: 'b'.repeat(64),
    }
    this.connection = new KafkaConnection({
      kafka: kafkaConfigFromEnv(this.env, 'bench'),
      registry: registryConfigFromEnv(this.env),
      log: silentLog,
    })
    this.orchestrators = new Orchestrators({ processes: options.processes, cpuProfiles: options.cpuProfiles, home: servers.home })
  }

  /** Makes topics and tables, starts the orchestrators and approves the template. */
  async prepare(): Promise<void> {
    await setUpCluster({
      kafka: kafkaConfigFromEnv(this.env, 'bench'),
      registry: registryConfigFromEnv(this.env),
      partitions,
      replicationFactor: 1,
    })
    await this.start()
    await this.approve()
  }

  /** Starts the orchestrators with windows long enough for the workload. */
  start(): Promise<void> {
    return this.orchestrators.start({ ...this.env, STEPCAST_MINUTE_MS: String(this.windowMs() / windowMinutes) })
  }

  /** Stops the orchestrators. */
  stop(): Promise<void> {
    return this.orchestrators.stop()
  }

  /** Stops everything of Stepcast's but the servers. */
  async close(): Promise<void> {
    await this.orchestrators.stop()
    await this.connection.close()
  }

  /** The most that one orchestrator process has held in memory since its start, MB. */
  peakMemoryMb(): number {
    return this.orchestrators.peakMemoryMb()
  }

  // Reports of all and engagements of half have to be in before the timers are due: five seconds to put them on the topic, and
  // 5,250 a second.
  private windowMs(): number {
    return Math.max(10_000, 5_000 + Math.round(this.options.n / 3_500) * 1_000)
  }

  // ── The phases ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs the four phases and counts what came out.
   *
   * @param sendId names the sequences; every workload on the same servers has its own
   * @param between called before the first phase and after each, off the clock
   */
  async workload(sendId: string, n: number, between: () => Promise<void> = () => Promise.resolve()): Promise<WorkloadResult> {
    const ids = Array.from({ length: n }, (_, index) => sequenceIdOf(workspaceId, sendId, `user-${index}`))
    const half = Math.floor(n / 2)
    this.problems.length = 0
    const bytesBefore = await this.bytes()
    const pushBefore = await written(this.connection, topics.pushCommands.name)
    await between()
    const start = await this.phase('start', topics.inAppCommands.name, n, n, () =>
      this.sends(
        ids.map((_, index) => `user-${index}`),
        sendId,
      ),
    )
    await between()
    // One instant for all: their windows begin together, so their timers are due together.
    const requestedAt = Date.now()
    const requested = await this.phase('requested', topics.sequences.name, n, n, () => this.reports(ids, 'requested', requestedAt))
    await between()
    const engaged = await this.phase('engaged', topics.sequences.name, half, half, () =>
      this.reports(ids.slice(0, half), 'viewed', Date.now()),
    )
    await between()
    const dueAt = requestedAt + this.windowMs()
    if (Date.now() > dueAt - 500 || (await written(this.connection, topics.pushCommands.name)) > pushBefore) {
      throw new Error(
        `reports and engagements of ${n} sequences took longer than the window of ${this.windowMs() / 1_000} s. ` +
          'This machine is too slow or too busy: try a smaller --n',
      )
    }
    await sleep(dueAt - Date.now() - 200)
    const timers = await this.watch('timers', topics.pushCommands.name, n - half, n - half, () => sleep(dueAt - Date.now()))
    const peakMemoryMb = this.peakMemoryMb()
    await between()
    await this.check(ids, half, sendId)
    const phases: Phases = {
      start: perSecond(n, start.ms),
      requested: perSecond(n, requested.ms),
      engaged: perSecond(half, engaged.ms),
      timers: perSecond(n - half, timers.ms),
    }
    const all = [start, requested, engaged, timers]
    return {
      name: 'stepcast',
      n,
      sequencesPerSecond: perSecond(
        n,
        all.reduce((sum, { ms }) => sum + ms, 0),
      ),
      phases,
      cpuSecondsPer1000: spentPer1000(all.map(({ spent }) => spent).reduce(cpuSum), n),
      bytesPerSequence: Math.round(((await this.bytes()) - bytesBefore) / n),
      peakMemoryMb,
      valid: this.problems.length === 0,
      problems: [...this.problems],
    }
  }

  /**
   * Puts sends on the topic while no orchestrator runs, then lets one take them.
   * @returns sequences a second from its start, and the most memory it held
   */
  async backlog(sendId: string, n: number): Promise<{ n: number; sequencesPerSecond: number; peakMemoryMb: number }> {
    await this.stop()
    const [before, changesBefore] = [
      await written(this.connection, topics.inAppCommands.name),
      await written(this.connection, topics.sequences.name),
    ]
    for (let from = 0; from < n; from += 50_000) {
      await this.sends(
        Array.from({ length: Math.min(50_000, n - from) }, (_, index) => `user-${from + index}`),
        sendId,
      )
      this.progress.show('backlog', from, n)
    }
    await this.start()
    const ms = await untilWritten(this.connection, topics.inAppCommands.name, before + n, (done) =>
      this.progress.show('drain', done - before, n),
    )
    await untilWritten(this.connection, topics.sequences.name, changesBefore + n, () => {})
    const peakMemoryMb = this.peakMemoryMb()
    this.progress.done(`${n.toLocaleString('en')} waiting: ${perSecond(n, ms).toLocaleString('en')} /s, at most ${peakMemoryMb} MB`)
    return { n, sequencesPerSecond: perSecond(n, ms), peakMemoryMb }
  }

  // The load is put on its topic while the orchestrators stand still, so that producing it is nobody's work on the clock.
  private async phase(name: string, topic: string, count: number, changes: number, load: () => Promise<void>): Promise<Measured> {
    this.orchestrators.signal('SIGSTOP')
    await load()
    return this.watch(name, topic, count, changes, async () => this.orchestrators.signal('SIGCONT'))
  }

  /** Waits until a topic has got so many records; CPU is taken until the changes are on theirs too, for both are published side by side. */
  private async watch(name: string, topic: string, count: number, changes: number, begin: () => Promise<void>): Promise<Measured> {
    const [before, changesBefore] = [await written(this.connection, topic), await written(this.connection, topics.sequences.name)]
    const cpuBefore = this.cpu()
    await begin()
    const ms = await untilWritten(this.connection, topic, before + count, (done) => this.progress.show(name, done - before, count))
    await untilWritten(this.connection, topics.sequences.name, changesBefore + changes, () => {})
    this.progress.done(`${name.padEnd(11)} ${rate(count, ms)}`)
    return { ms, spent: cpuBetween(cpuBefore, this.cpu()) }
  }

  private async sends(users: readonly string[], send: string): Promise<void> {
    const schemaId = await this.connection.registry.writerIdOf(topics.sends)
    const requestedAt = Date.now()
    await this.produce(
      topics.sends,
      users.map((userId) => ({
        key: sequenceIdOf(workspaceId, send, userId),
        value: encodeRecord('SendRequested', schemaId, {
          workspaceId,
          sendId: send,
          userId,
          templateId: 'bench',
          templateVersion: 1,
          campaignId: null,
          variables: {},
          tag: null,
          source: 'http',
          requestedAt,
        }),
      })),
    )
  }

  private async reports(ids: readonly string[], kind: EngagementKind, occurredAt: number): Promise<void> {
    const schemaId = await this.connection.registry.writerIdOf(topics.engagements)
    await this.produce(
      topics.engagements,
      ids.map((id) => ({
        key: id,
        value: encodeRecord('EngagementReported', schemaId, {
          workspaceId,
          messageId: messageIdOf(id, 1, 'in_app'),
          kind,
          occurredAt,
          source: 'bench',
          reason: null,
          providerMessageId: null,
          detail: {},
        }),
      })),
    )
  }

  // Encoded here, with the headers that every service of ours sends: the driver should take as little of the machine as it can.
  private async produce(topic: Topic, records: readonly { readonly key: string; readonly value: Buffer }[]): Promise<void> {
    const producer = await this.connection.producer()
    const shared = new SharedHeaders(commonHeaders(topic.record, 'bench'))
    for (let from = 0; from < records.length; from += 12_000) {
      const batches = new Map<number, RecordBatch>()
      for (const { key, value } of records.slice(from, from + 12_000)) {
        const partition = partitionOf(key, partitions)
        let batch = batches.get(partition)
        if (!batch) batches.set(partition, (batch = RecordBatch.begin(16 * 1024)))
        batch.add(key, value, 0, value.length, { ce_id: key, traceparent: newTraceparent() }, shared)
      }
      await producer.sendEncoded([...batches].map(([partition, batch]) => ({ topic: topic.name, partition, batch })))
    }
  }

  // ── Under light load ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * 200 timers over 20 s. Due: what the sequence's own facts say; fired: when PostgreSQL committed the change, by its own record.
   * Needs servers that keep commit times. Starts the orchestrators anew with a "minute" of a second.
   */
  async lateness(): Promise<{ found: NonNullable<Result['latenessMs']>; problems: readonly string[] }> {
    const count = 200
    const minuteMs = 1_000
    await this.orchestrators.stop()
    await this.orchestrators.start({ ...this.env, STEPCAST_MINUTE_MS: String(minuteMs) })
    const users = Array.from({ length: count }, (_, index) => `late-${index}`)
    const ids = new Set(users.map((user) => sequenceIdOf(workspaceId, 'late', user)))
    const dueAt = new Map<string, number>()
    const firedIn = new Map<string, number>()
    const consumer = await consumeRecords(this.connection, {
      topic: topics.sequences,
      groupId: 'bench-lateness',
      handle: async (records) => {
        for (const { value } of records) {
          const change = value!
          if (!ids.has(change.sequenceId)) continue
          for (const event of change.events) {
            if (event.type === 'EngagementRecorded' && event.step === 1)
              dueAt.set(change.sequenceId, event.occurredAt + windowMinutes * minuteMs)
            if (event.type === 'StepEnded' && event.reason === 'waitElapsed') firedIn.set(change.sequenceId, change.version)
          }
        }
      },
    })
    await this.sends(users, 'late')
    await sleep(1_500)
    for (const [index, id] of [...ids].entries()) {
      await this.reports([id], 'requested', Date.now())
      this.progress.show('lateness', index, count)
      await sleep(100)
    }
    const problems: string[] = []
    if (!(await until(async () => firedIn.size >= count, { everyMs: 50, timeoutMs: 30_000 })))
      problems.push(`only ${firedIn.size} of ${count} timers fired`)
    await consumer.stop()
    const committed = await this.servers.sql<{ id: string; version: number; at: number }>(
      `SELECT sequence_id AS id, version, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::float8 AS at
       FROM orchestrator.changes WHERE sequence_id = ANY ($1::uuid[])`,
      [[...ids]],
    )
    const lateBy = committed.flatMap(({ id, version, at }) => (firedIn.get(id) === version ? [at - dueAt.get(id)!] : []))
    const found = { p50: round(percentile(lateBy, 0.5), 1), p99: round(percentile(lateBy, 0.99), 1), max: round(largest(lateBy), 1) }
    this.progress.done(`lateness    p50 ${found.p50} ms, p99 ${found.p99} ms, max ${found.max} ms`)
    return { found, problems }
  }

  /**
   * Sends at half the peak rate for ten seconds, after three that are not counted because the processes are fresh; from the
   * driver's send to the command on its topic, by the broker's clock, which is this machine's. The driver keeps its pace whether or not
   * Kafka has answered, and reads the topic when all is over.
   */
  async latency(perSecondWanted: number): Promise<{ found: NonNullable<Result['latencyMs']>; problems: readonly string[] }> {
    const warmUpMs = 3_000
    const countedMs = 10_000
    const tickMs = 20
    const perTick = Math.max(1, Math.round((perSecondWanted * tickMs) / 1_000))
    const commands = topics.inAppCommands
    await this.connection.stampOnAppend(commands.name)
    const before = await written(this.connection, commands.name)
    const sentAt = new Map<string, number>()
    const begun = Date.now() + 500
    const unanswered: Promise<void>[] = []
    for (let tick = 0; tick * tickMs < warmUpMs + countedMs; tick++) {
      const dueAt = begun + tick * tickMs
      await sleep(dueAt - Date.now())
      const users = Array.from({ length: perTick }, (_, index) => `latency-${tick}-${index}`)
      for (const user of users) sentAt.set(sequenceIdOf(workspaceId, 'latency', user), dueAt)
      unanswered.push(this.sends(users, 'latency'))
      this.progress.show('latency', tick * tickMs, warmUpMs + countedMs)
    }
    await Promise.all(unanswered)
    await untilWritten(this.connection, commands.name, before + sentAt.size, () => {})
    const took: number[] = []
    let arrived = 0
    const consumer = await consumeRecords(this.connection, {
      topic: commands,
      groupId: 'bench-latency',
      handle: async (records) => {
        for (const { value, timestamp } of records) {
          const at = sentAt.get(value!.sequenceId)
          if (at === undefined) continue
          arrived++
          if (at >= begun + warmUpMs) took.push(timestamp - at)
        }
      },
    })
    const problems: string[] = []
    if (!(await until(async () => arrived >= sentAt.size, { everyMs: 50, timeoutMs: 30_000 })))
      problems.push(`only ${arrived} of ${sentAt.size} commands came`)
    await consumer.stop()
    const found = { p50: round(percentile(took, 0.5), 1), p99: round(percentile(took, 0.99), 1) }
    this.progress.done(
      `latency     p50 ${found.p50} ms, p99 ${found.p99} ms at ${Math.round((perTick * 1_000) / tickMs).toLocaleString('en')} sends/s`,
    )
    return { found, problems }
  }

  // ── What runs, and what came out ─────────────────────────────────────────────────────────────────────────────────────────

  private async approve(): Promise<void> {
    const value: TemplateChanged = {
      workspaceId,
      templateId: 'bench',
      changedAt: Date.now(),
      change: {
        type: 'TemplateApproved',
        version: 1,
        name: 'bench',
        category: 'Custom',
        variableSchema: '[]',
        channels: JSON.stringify([
          { channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } },
          { channelType: 'push', content: { title: 't', body: 'b', url: null, data: {} } },
        ]),
        config: JSON.stringify({
          sequenceEnabled: true,
          sequence: {
            steps: [
              { channels: ['in_app'], stopCondition: 'viewed', waitMinutes: windowMinutes },
              { channels: ['push'], stopCondition: null, waitMinutes: null },
            ],
            onFailure: 'advance',
            lateSignal: 'stop',
            dispatchTtlMinutes: 1440,
          },
        }),
      },
    }
    await (await this.connection.producer()).send(topics.templates, [{ key: 'bench/bench/1', value }])
  }

  private cpu(): CpuUse {
    return { orchestrator: this.orchestrators.cpu(), ...this.servers.cpu() }
  }

  /** Everything the orchestrator keeps, with its indexes. */
  private async bytes(): Promise<number> {
    const [row] = await this.servers.sql<{ bytes: string | null }>(
      `SELECT sum(pg_total_relation_size(c.oid)) AS bytes FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
       WHERE s.nspname = 'orchestrator' AND c.relkind = 'r'`,
    )
    return Number(row?.bytes ?? 0)
  }

  /** The ends of the topics that a workload reads and writes, by partition. */
  async ends(names: readonly string[]): Promise<Record<string, Record<number, number>>> {
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, Object.fromEntries(await this.connection.endOffsets(name))] as const)),
    )
  }

  private async check(ids: readonly string[], half: number, sendId: string): Promise<void> {
    const n = ids.length
    const stepsOf = new Map(ids.map((id) => [id, 0]))
    let twice = 0
    for (const topic of [topics.inAppCommands, topics.pushCommands]) {
      const total = await written(this.connection, topic.name)
      let read = 0
      const consumer = await consumeRecords(this.connection, {
        topic,
        groupId: `bench-check-${sendId}-${topic.name}`,
        handle: async (records) => {
          for (const { value } of records) {
            read++
            const before = stepsOf.get(value!.sequenceId)
            if (before === undefined || value!.action !== 'send') continue
            if (before >= value!.step) twice++
            stepsOf.set(value!.sequenceId, value!.step)
          }
        },
      })
      if (!(await until(async () => read >= total, { everyMs: 50, timeoutMs: 60_000 })))
        this.problems.push(`only ${read} of ${total} records of ${topic.name} could be read`)
      await consumer.stop()
    }
    const steps = [...stepsOf.values()]
    const commanded = steps.filter((step) => step > 0).length
    const second = steps.filter((step) => step === 2).length
    const wrong = ids.slice(0, half).filter((id) => stepsOf.get(id) === 2).length
    if (commanded !== n) this.problems.push(`${commanded} of ${n} sequences were commanded`)
    if (second !== n - half) this.problems.push(`${second} second steps, not ${n - half}`)
    if (wrong > 0) this.problems.push(`${wrong} people who had viewed the message were sent the second step`)
    if (twice > 0) this.problems.push(`${twice} commands came twice`)
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
