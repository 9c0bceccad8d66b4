// Stepcast on the workload: the real broker, database and orchestrator processes, nothing in between.
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { encodeRecord, messageIdOf, sequenceIdOf, topics, type EngagementKind, type TemplateChanged } from '@stepcast/contracts'
import { consumeRecords, kafkaConfigFromEnv, KafkaConnection, registryConfigFromEnv, setUpCluster, silentLog, type RawRecord } from '@stepcast/kafka'
import { checkout } from '@stepcast/local'
import { freePort, startStack, until, type Stack } from '@stepcast/stack'
import { cpuSeconds, percentile } from './cpu'
import type { Progress } from './progress'
import type { Result } from './result'
import { untilWritten, written } from './topics'

/** How large and how. */
export interface BenchOptions {
  readonly n: number
  /** Orchestrator processes. */
  readonly processes: number
  /** Write CPU profiles of the orchestrators here. */
  readonly cpuProfiles: string | null
  /** Leave out lateness and latency. */
  readonly peakOnly: boolean
}

const workspaceId = 'bench'
const sendId = 'bench'
const partitions = 12
/** The smallest window is 5 "minutes". */
const windowMinutes = 5

/** Runs the four phases, then lateness and latency. */
export async function benchStepcast(options: BenchOptions, progress: Progress): Promise<Result> {
  const home = mkdtempSync(join(tmpdir(), 'stepcast-bench-'))
  const stack = await startStack({ home, onProgress: (line) => progress.done(line) })
  const bench = new Bench(home, stack, options, progress)
  try {
    return await bench.run()
  } finally {
    await bench.close()
    await stack.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

class Bench {
  private readonly env: Record<string, string>
  private readonly connection: KafkaConnection
  private orchestrators: ChildProcess[] = []
  private readonly ids: string[]
  private readonly problems: string[] = []

  constructor(private readonly home: string, private readonly stack: Stack, private readonly options: BenchOptions, private readonly progress: Progress) {
    this.env = {
      ...(process.env as Record<string, string>), HOST: '127.0.0.1', LOG_LEVEL: 'warn', NODE_ENV: 'production',
      KAFKA_BROKERS: stack.kafkaBrokers, SCHEMA_REGISTRY_URL: stack.registryUrl, DATABASE_URL: stack.databaseUrl,
      STEPCAST_INTERNAL_SECRET: 'b'.repeat(64), STEPCAST_MINUTE_MS: String(this.windowMs() / windowMinutes),
    }
    this.connection = new KafkaConnection({ kafka: kafkaConfigFromEnv(this.env, 'bench'), registry: registryConfigFromEnv(this.env), log: silentLog })
    this.ids = Array.from({ length: options.n }, (_, index) => sequenceIdOf(workspaceId, sendId, `user-${index}`))
  }

  /** Long enough that reports and engagements are in before the timers are due, on a machine ten times slower than the target. */
  private windowMs(): number {
    return Math.max(10_000, Math.round(this.options.n / 3_000) * 1_000)
  }

  async run(): Promise<Result> {
    const { n } = this.options
    await setUpCluster({ kafka: kafkaConfigFromEnv(this.env, 'bench'), registry: registryConfigFromEnv(this.env), partitions, replicationFactor: 1 })
    await this.startOrchestrators()
    await this.approve()
    const half = Math.floor(n / 2)
    const cpuBefore = this.cpu()

    const startMs = await this.phase('start', topics.inAppCommands.name, n, () => this.sends(this.ids.map((_, index) => `user-${index}`), sendId))
    const afterStart = await written(this.connection, topics.sequences.name)
    // One instant for all: their windows begin together, so their timers are due together.
    const requestedAt = Date.now()
    const requestedMs = await this.phase('requested', topics.sequences.name, afterStart + n, () => this.reports(this.ids, 'requested', requestedAt))
    const engagedMs = await this.phase('engaged', topics.sequences.name, afterStart + n + half, () => this.reports(this.ids.slice(0, half), 'viewed', Date.now()))
    const early = await written(this.connection, topics.pushCommands.name)
    if (early > 0) this.problems.push(`${early} timers fired before the engagements were in: the window of ${this.windowMs()} ms was too short here`)
    const cpuBeforeWait = this.cpu()
    const dueAt = requestedAt + this.windowMs()
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAt - Date.now() - 50)))
    const cpuAfterWait = this.cpu()
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAt - Date.now())))
    const timersMs = await untilWritten(this.connection, topics.pushCommands.name, n - half, (done) => this.progress.show('timers', done, n - half))
    this.progress.done(`timers      ${rate(n - half, timersMs)}`)
    const cpuAfter = this.cpu()
    const bytes = await this.bytes()
    await this.check(half)
    const spent = Object.fromEntries(Object.entries(cpuAfter).map(([name, seconds]) =>
      [name, round((seconds - cpuBefore[name]! - (cpuAfterWait[name]! - cpuBeforeWait[name]!)) / n * 1_000, 4)]))
    const totalMs = startMs + requestedMs + engagedMs + timersMs
    const lateness = this.options.peakOnly ? null : await this.lateness()
    const latency = this.options.peakOnly ? null : await this.latency(n / startMs / 2)
    return {
      name: 'stepcast', n, sequencesPerSecond: Math.round(n / totalMs * 1_000),
      phases: {
        start: perSecond(n, startMs), requested: perSecond(n, requestedMs), engaged: perSecond(half, engagedMs), timers: perSecond(n - half, timersMs),
      },
      cpuSecondsPer1000: { ...spent, total: round(Object.values(spent).reduce((sum, seconds) => sum + seconds, 0), 4) },
      bytesPerSequence: Math.round(bytes / n), latenessMs: lateness, latencyMs: latency, valid: this.problems.length === 0, problems: this.problems,
    }
  }

  async close(): Promise<void> {
    await this.stopOrchestrators()
    await this.connection.close()
  }

  // ── The phases ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  // The load is put on its topic while the orchestrators stand still, so that producing it is nobody's work on the clock.
  private async phase(name: string, watched: string, count: number, load: () => Promise<void>): Promise<number> {
    this.signal('SIGSTOP')
    await load()
    const before = await written(this.connection, watched)
    this.signal('SIGCONT')
    const ms = await untilWritten(this.connection, watched, count, (done) => this.progress.show(name, done - before, count - before))
    this.progress.done(`${name.padEnd(11)} ${rate(count - before, ms)}`)
    return ms
  }

  private async sends(users: readonly string[], send: string): Promise<void> {
    const schemaId = await this.connection.registry.writerIdOf(topics.sends)
    const requestedAt = Date.now()
    await this.produce(topics.sends.name, users.map((userId) => ({
      key: sequenceIdOf(workspaceId, send, userId),
      value: encodeRecord('SendRequested', schemaId, {
        workspaceId, sendId: send, userId, templateId: 'bench', templateVersion: 1, campaignId: null, variables: {}, tag: null, source: 'http', requestedAt,
      }),
    })))
  }

  private async reports(ids: readonly string[], kind: EngagementKind, occurredAt: number): Promise<void> {
    const schemaId = await this.connection.registry.writerIdOf(topics.engagements)
    await this.produce(topics.engagements.name, ids.map((id) => ({
      key: id,
      value: encodeRecord('EngagementReported', schemaId, {
        workspaceId, messageId: messageIdOf(id, 1, 'in_app'), kind, occurredAt, source: 'bench', reason: null, providerMessageId: null, detail: {},
      }),
    })))
  }

  private async produce(topic: string, records: readonly RawRecord[]): Promise<void> {
    const producer = await this.connection.producer()
    for (let from = 0; from < records.length; from += 5_000) await producer.sendRaw(topic, records.slice(from, from + 5_000))
  }

  // ── Under light load ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** 200 timers over 20 s; the database's clock says when each was due and when its turn decided. */
  private async lateness(): Promise<NonNullable<Result['latenessMs']>> {
    const count = 200
    await this.stopOrchestrators()
    this.env.STEPCAST_MINUTE_MS = '1000'
    await this.startOrchestrators()
    const users = Array.from({ length: count }, (_, index) => `late-${index}`)
    const lateBy: number[] = []
    const startedOf = new Map<string, number>()
    const ids = new Set(users.map((user) => sequenceIdOf(workspaceId, 'late', user)))
    const consumer = await consumeRecords(this.connection, {
      topic: topics.sequences, groupId: 'bench-lateness',
      handle: async (records) => {
        for (const { value } of records) {
          if (!ids.has(value!.sequenceId)) continue
          for (const event of value!.events) {
            if (event.type === 'EngagementRecorded' && event.step === 1) startedOf.set(value!.sequenceId, event.occurredAt)
            if (event.type === 'StepEnded' && event.reason === 'waitElapsed') lateBy.push(value!.recordedAt - startedOf.get(value!.sequenceId)! - windowMinutes * 1_000)
          }
        }
      },
    })
    await this.sends(users, 'late')
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    for (const [index, id] of [...ids].entries()) {
      await this.reports([id], 'requested', Date.now())
      this.progress.show('lateness', index, count)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    if (!(await until(async () => lateBy.length >= count, { everyMs: 50, timeoutMs: 30_000 }))) this.problems.push(`only ${lateBy.length} of ${count} timers fired`)
    await consumer.stop()
    const found = { p50: percentile(lateBy, 0.5), p99: percentile(lateBy, 0.99), max: Math.max(...lateBy) }
    this.progress.done(`lateness    p50 ${found.p50} ms, p99 ${found.p99} ms, max ${found.max} ms`)
    return found
  }

  /** Sends at half the peak rate for ten seconds; from the driver's send to the command in the driver's hands. */
  private async latency(perMs: number): Promise<NonNullable<Result['latencyMs']>> {
    const seconds = 10
    const tickMs = 20
    const perTick = Math.max(1, Math.round(perMs * tickMs))
    const sentAt = new Map<string, number>()
    const took: number[] = []
    const consumer = await consumeRecords(this.connection, {
      topic: topics.inAppCommands, groupId: 'bench-latency',
      handle: async (records) => {
        const now = performance.now()
        for (const { value } of records) {
          const at = sentAt.get(value!.sequenceId)
          if (at !== undefined) took.push(now - at)
        }
      },
    })
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    const begin = performance.now()
    let tick = 0
    while (performance.now() - begin < seconds * 1_000) {
      const users = Array.from({ length: perTick }, (_, index) => `latency-${tick}-${index}`)
      const now = performance.now()
      for (const user of users) sentAt.set(sequenceIdOf(workspaceId, 'latency', user), now)
      await this.sends(users, 'latency')
      this.progress.show('latency', performance.now() - begin, seconds * 1_000)
      tick++
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, begin + tick * tickMs - performance.now())))
    }
    if (!(await until(async () => took.length >= sentAt.size, { everyMs: 50, timeoutMs: 30_000 }))) this.problems.push(`only ${took.length} of ${sentAt.size} commands came`)
    await consumer.stop()
    const found = { p50: round(percentile(took, 0.5), 1), p99: round(percentile(took, 0.99), 1) }
    this.progress.done(`latency     p50 ${found.p50} ms, p99 ${found.p99} ms at ${Math.round(sentAt.size / seconds)} sends/s`)
    return found
  }

  // ── What runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async startOrchestrators(): Promise<void> {
    for (let number = 0; number < this.options.processes; number++) {
      const port = await freePort()
      const log = openSync(join(this.home, `orchestrator-${number}.log`), 'a')
      const profile = this.options.cpuProfiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${this.options.cpuProfiles}`]
      const child = spawn(process.execPath, [...profile, join(checkout, 'apps/orchestrator/dist/main.js')], { env: { ...this.env, PORT: String(port) }, stdio: ['ignore', log, log] })
      closeSync(log)
      this.orchestrators.push(child)
      const ready = await until(() => fetch(`http://127.0.0.1:${port}/readyz`).then((answer) => answer.ok),
        { everyMs: 50, timeoutMs: 60_000, abandon: () => child.exitCode !== null })
      if (!ready) throw new Error(`the orchestrator did not become ready (exit code ${child.exitCode}): see its log in ${this.home}`)
    }
  }

  private async stopOrchestrators(): Promise<void> {
    const gone = this.orchestrators.map((child) => new Promise((resolve) => (child.exitCode === null ? child.once('exit', resolve) : resolve(null))))
    this.signal('SIGCONT')
    this.signal('SIGTERM')
    await Promise.all(gone)
    this.orchestrators = []
  }

  private signal(signal: NodeJS.Signals): void {
    for (const child of this.orchestrators) child.kill(signal)
  }

  private async approve(): Promise<void> {
    const value: TemplateChanged = {
      workspaceId, templateId: 'bench', changedAt: Date.now(),
      change: {
        type: 'TemplateApproved', version: 1, name: 'bench', category: 'Custom', variableSchema: '[]',
        channels: JSON.stringify([
          { channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } }, { channelType: 'push', content: { title: 't', body: 'b', url: null, data: {} } },
        ]),
        config: JSON.stringify({
          sequenceEnabled: true,
          sequence: {
            steps: [{ channels: ['in_app'], stopCondition: 'viewed', waitMinutes: windowMinutes }, { channels: ['push'], stopCondition: null, waitMinutes: null }],
            onFailure: 'advance', lateSignal: 'stop', dispatchTtlMinutes: 1440,
          },
        }),
      },
    }
    await (await this.connection.producer()).send(topics.templates, [{ key: 'bench/bench/1', value }])
  }

  private cpu(): Record<string, number> {
    const { broker, postgres } = this.stack.parts
    return {
      orchestrator: this.orchestrators.reduce((sum, child) => sum + cpuSeconds(child.pid!), 0),
      postgres: cpuSeconds(postgres!.pid!), broker: cpuSeconds(broker!.pid!),
    }
  }

  private async sql<T extends object>(statement: string): Promise<T[]> {
    const client = new Client({ connectionString: this.stack.databaseUrl })
    await client.connect()
    try {
      return (await client.query<T>(statement)).rows
    } finally {
      await client.end()
    }
  }

  /** Heads, histories, timers and variables with their indexes. */
  private async bytes(): Promise<number> {
    const [row] = await this.sql<{ bytes: string }>(
      `SELECT sum(pg_total_relation_size(c.oid)) AS bytes FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
       WHERE s.nspname = 'orchestrator' AND c.relkind = 'r' AND (c.relname IN ('sequences', 'timers', 'sequence_variables') OR c.relname LIKE 'changes_2%')`)
    return Number(row!.bytes)
  }

  private async check(half: number): Promise<void> {
    const { n } = this.options
    const stepsOf = new Map<string, number>()
    let twice = 0
    for (const topic of [topics.inAppCommands, topics.pushCommands]) {
      const ends = await this.connection.endOffsets(topic.name)
      let read = 0
      const total = [...ends.values()].reduce((sum, end) => sum + end, 0)
      const consumer = await consumeRecords(this.connection, {
        topic, groupId: `bench-check-${topic.name}`,
        handle: async (records) => {
          for (const { value } of records) {
            read++
            if (value!.action !== 'send') continue
            const before = stepsOf.get(value!.sequenceId) ?? 0
            if (before >= value!.step) twice++
            stepsOf.set(value!.sequenceId, value!.step)
          }
        },
      })
      if (!(await until(async () => read >= total, { everyMs: 50, timeoutMs: 60_000 }))) this.problems.push(`only ${read} of ${total} records of ${topic.name} could be read`)
      await consumer.stop()
    }
    const second = [...stepsOf.values()].filter((step) => step === 2).length
    const wrong = this.ids.slice(0, half).filter((id) => stepsOf.get(id) === 2).length
    if (stepsOf.size !== n) this.problems.push(`${stepsOf.size} of ${n} sequences were commanded`)
    if (second !== n - half) this.problems.push(`${second} second steps, not ${n - half}`)
    if (wrong > 0) this.problems.push(`${wrong} people who had viewed the message were sent the second step`)
    if (twice > 0) this.problems.push(`${twice} commands came twice`)
  }
}

const perSecond = (count: number, ms: number): number => Math.round(count / ms * 1_000)
const round = (value: number, digits: number): number => Number(value.toFixed(digits))
const rate = (count: number, ms: number): string => `${perSecond(count, ms).toLocaleString('en')} /s (${count.toLocaleString('en')} in ${(ms / 1_000).toFixed(2)} s)`
