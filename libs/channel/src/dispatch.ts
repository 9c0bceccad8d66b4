// A channel's dispatcher at work: commands in, provider calls out, one report per message.
import type { Pool } from 'pg'
import { commandTopicOf, topics, type ChannelType, type UserChanged } from '@stepcast/contracts'
import { consumeRecords, type KafkaConnection, type Log, type RunningConsumer } from '@stepcast/kafka'
import { OutboxRelay } from '@stepcast/postgres'
import { TemplatesReplica, UsersReplica } from '@stepcast/replica'
import { backoffMs } from './backoff'
import { Deadlines } from './deadlines'
import { problemOf, takeCommands, type Address, type Commanded, type IntakeOptions, type Recipient } from './intake'
import { Lane, type LaneStanding } from './lane'
import { eraseUsers } from './ledger'
import type { Outcome, Provider } from './provider'
import { Settler } from './settler'
import { TokenBuckets } from './tokenBucket'

/** What a dispatcher is made of. */
export interface DispatchOptions<C extends ChannelType> {
  readonly channel: C
  /** The service's name: consumer group and `source` of its reports. */
  readonly service: string
  readonly connection: KafkaConnection
  /** On the schema that holds {@link channelTablesSql}. */
  readonly pool: Pool
  readonly log: Log
  /** Those configured; none: every message is `skipped(channel_disabled)`. */
  readonly providers: readonly Provider<C>[]
  /** The ways to reach a user on this channel. */
  readonly addressesOf: (user: UserChanged) => readonly Address[]
  /** The reason of a message whose user has none, e.g. `no_token`. */
  readonly noAddress: string
  /** Whether attempts of unknown outcome are repeated: only where repeats collapse. */
  readonly resendUnknown: boolean
  /** Calls under way at a time, of each provider; 64 unless told: thousands a second, and a crash leaves at most as many unknown. */
  readonly concurrency?: number
  /** Messages a second of one workspace, in each process; 5,000 unless told: half of FCM's default quota of 600,000 a minute. */
  readonly ratePerWorkspace?: number
  /** An attempt is given up after this; 10 s unless told. */
  readonly timeoutMs?: number
  /** 5 s longer than the timeout unless told: room for a slow database, and after a crash the outcome is told within 15 s. */
  readonly leaseMs?: number
  /** Length of a minute, milliseconds. */
  readonly minuteMs: number
  /** For metrics: how each attempt ended and how long it took. */
  readonly onAttempt?: (provider: string, outcome: Outcome['kind'], seconds: number) => void
  /** Called when the ledger holds a new dead address. */
  readonly onDeadAddress?: () => void
}

// Outcomes gather this long: a hundred commits a second instead of thousands. Not where each acceptance costs money.
const lingerMs = 10
// A service has 10 s to stop; requests under way get half of it.
const graceMs = 5_000

/** A dispatcher: everything between its command topic and its providers. */
export class Dispatch<C extends ChannelType> {
  readonly relay: OutboxRelay
  private readonly users: UsersReplica<Recipient>
  private readonly templates: TemplatesReplica
  private readonly settler: Settler
  private readonly lanes: readonly Lane<C>[]
  private readonly deadlines: Deadlines
  private readonly intake: IntakeOptions
  private consumer: RunningConsumer | null = null

  constructor(private readonly options: DispatchOptions<C>) {
    const { channel, service, connection, pool, log, providers, noAddress, minuteMs, timeoutMs = 10_000, concurrency = 64 } = options
    const policy = {
      resendUnknown: options.resendUnknown,
      backoffMs: (attempts: number, afterMs: number | null) => backoffMs(attempts, afterMs, minuteMs),
    }
    const replica = { connection, pool, service }
    const keep = (user: UserChanged): Recipient => ({
      addresses: options.addressesOf(user),
      optOutChannels: user.optOutChannels,
      optOutCategories: user.optOutCategories,
    })
    this.users = new UsersReplica({ ...replica, keep, onErased: eraseUsers })
    this.templates = new TemplatesReplica(replica)
    this.relay = new OutboxRelay({
      pool,
      producer: () => connection.producer(),
      topics: [topics.engagements],
      onError: (error) => log.warn({ error: error.message }, 'reports wait for Kafka'),
    })
    this.settler = new Settler({
      pool,
      log,
      service,
      policy,
      lingerMs: options.resendUnknown ? lingerMs : 0,
      onSettled: (facts) => {
        this.relay.kick()
        this.kick()
        if (facts.some((fact) => fact.kind === 'attempted' && fact.dead !== null)) options.onDeadAddress?.()
      },
    })
    const buckets = new TokenBuckets(options.ratePerWorkspace ?? 5_000)
    this.lanes = providers.map(
      (provider) =>
        new Lane({
          channel,
          provider,
          pool,
          log,
          users: this.users,
          templates: this.templates,
          buckets,
          concurrency,
          timeoutMs,
          leaseMs: options.leaseMs ?? timeoutMs + 5_000,
          noAddress,
          settle: (facts) => this.settler.add(facts),
          onAttempt: options.onAttempt ?? (() => {}),
        }),
    )
    this.deadlines = new Deadlines({ pool, log, settler: this.settler })
    this.intake = { pool, users: this.users, channel, noAddress, providers: new Set(providers.map(({ name }) => name)), service, policy }
  }

  /** Its lanes, for metrics. */
  get standings(): readonly LaneStanding[] {
    return this.lanes.map(({ standing }) => standing)
  }

  /** Follows the replicas, reports what is owed, attempts what is due, takes commands. */
  async start(): Promise<void> {
    const { channel, connection, service } = this.options
    await Promise.all([this.users.start(), this.templates.start()])
    this.relay.start()
    this.deadlines.start()
    this.lanes.forEach((lane) => lane.start())
    this.consumer = await consumeRecords(connection, {
      topic: commandTopicOf[channel],
      groupId: service,
      keyRequired: true,
      maxRecords: 1_000,
      handle: async (records, { deadLetter }) => {
        const commands: Commanded[] = []
        for (const record of records) {
          const problem = problemOf(record.value!, channel)
          if (problem === null) commands.push({ command: record.value!, traceparent: record.headers.traceparent ?? null })
          else await deadLetter(record, problem.reason, problem.detail)
        }
        if (commands.length > 0) await this.take(commands)
      },
    })
  }

  /** Stores commands; what {@link start} does with the topic's. */
  async take(commands: readonly Commanded[]): Promise<void> {
    // failpoint: before-commands-stored
    await takeCommands(commands, this.intake)
    // failpoint: after-commands-stored
    this.relay.kick()
    this.kick()
  }

  /** Takes nothing more, lets calls under way end (5 s), writes down what became of them. */
  async stop(): Promise<void> {
    await this.consumer?.stop()
    const lanes = Promise.all(this.lanes.map((lane) => lane.stop(graceMs)))
    // A claim may be waiting for a replica, and that for Kafka: past the grace it is let go, its lease frees it.
    await Promise.race([lanes, new Promise((resolve) => setTimeout(resolve, graceMs).unref())])
    await Promise.all([this.users.stop(), this.templates.stop()])
    await lanes
    await this.deadlines.stop()
    await this.settler.flush()
    await this.relay.stop()
  }

  /** Drops everything in memory as a killed process would, for specs: calls under way go on, their outcomes are forgotten. */
  async abandon(): Promise<void> {
    this.settler.abandon()
    await this.consumer?.stop()
    this.lanes.forEach((lane) => void lane.stop(0))
    await Promise.all([this.deadlines.stop(), this.relay.stop(), this.users.stop(), this.templates.stop()])
  }

  private kick(): void {
    this.lanes.forEach((lane) => lane.kick())
    this.deadlines.kick()
  }
}
