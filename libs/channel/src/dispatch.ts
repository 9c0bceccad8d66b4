// A channel's dispatcher at work: commands in, provider calls out, one report per message.
import type { Pool, PoolClient } from 'pg'
import type { AccountSeal } from '@stepcast/accounts'
import { commandProblem, commandTopicOf, topics, type ChannelType, type UserChanged } from '@stepcast/contracts'
import { consumeRecords, keepUnpublishable, type KafkaConnection, type Log, type RunningConsumer } from '@stepcast/kafka'
import { OutboxRelay } from '@stepcast/postgres'
import { TemplatesReplica, UsersReplica, WorkspacesReplica, type Followed, type UserName } from '@stepcast/replica'
import { Accounts } from './accounts'
import { backoffMs } from './backoff'
import { Deadlines } from './deadlines'
import { HandOver, type HandOverOptions } from './handOver'
import { storeMessages, takeCommands, type IntakeOptions } from './intake'
import { Lane, type LaneStanding, type Prepare } from './lane'
import type { Address, Commanded, Recipient } from './message'
import { eraseUsers } from './ledger'
import type { SettleOptions } from './settle'
import type { Outcome, Provider, ProviderKind } from './provider'
import { Settler } from './settler'
import { TokenBuckets } from './tokenBucket'
import type { Fact, Resolution } from './transition'
import { resolveUncertain, type Resolved } from './uncertain'
import type { Unsubscribes } from './unsubscribes'

/** What a dispatcher is made of. */
export interface DispatchOptions<C extends ChannelType> {
  readonly channel: C
  /** The service's name: consumer group and `source` of its reports. */
  readonly service: string
  readonly connection: KafkaConnection
  /** On the schema that holds {@link channelTablesSql} and {@link accountTablesSql}. */
  readonly pool: Pool
  readonly log: Log
  /** The providers of the channel; which of them a workspace can send with is a matter of its accounts. */
  readonly kinds: readonly ProviderKind<C>[]
  /** Opens the accounts of workspaces. */
  readonly seal: AccountSeal
  /** The ways to reach a user on this channel. */
  readonly addressesOf: (user: UserChanged) => readonly Address[]
  /** The reason of a message whose user has none, e.g. `no_token`. */
  readonly noAddress: string
  /** Where attempts of unknown outcome are repeated: `always` where repeats collapse, else only for workspaces that say so (rule 12). */
  readonly resendUnknown: 'always' | 'as_the_workspace_says'
  /** Called with messages about to be sent; answers them, in the same order, as they shall be sent. They are stored by then. */
  readonly prepare?: Prepare<C>
  /** Whom a provider's sender must not write to, since the person has told it to stop; absent: nobody can tell a sender of this channel. */
  readonly unsubscribes?: Unsubscribes
  /** Called for users erased (rule 22), in the transaction that removes what is known of them, while messages still say whose they are. */
  readonly onErased?: (tx: PoolClient, users: readonly UserName[]) => Promise<void>
  /** Calls under way at a time, of each provider; 64 unless told: thousands a second, and a crash leaves at most as many unknown. */
  readonly concurrency?: number
  /** Messages a second of one workspace, in each process; 5,000 unless told: half of FCM's default quota of 600,000 a minute. */
  readonly ratePerWorkspace?: number
  /** Calls a second to each provider, in each process; 10,000 unless told: FCM's default quota of 600,000 a minute and project. */
  readonly ratePerProvider?: number
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

// Outcomes gather this long, and then their reports: fifty commits a second instead of thousands. Outcomes not where each costs money.
const lingerMs = 20
// A service has 10 s to stop; requests under way get half of it.
const graceMs = 5_000

/** A dispatcher: everything between its command topic and its providers. */
export class Dispatch<C extends ChannelType> {
  readonly relay: OutboxRelay
  private readonly users: UsersReplica<Recipient>
  private readonly templates: TemplatesReplica
  private readonly workspaces: WorkspacesReplica
  private readonly accounts: Accounts<C>
  private readonly settler: Settler
  private readonly lanes: readonly Lane<C>[]
  private readonly handOver: HandOver<C> | null
  private readonly deadlines: Deadlines
  private readonly intake: IntakeOptions
  private consumer: RunningConsumer | null = null

  constructor(private readonly options: DispatchOptions<C>) {
    const { channel, service, connection, pool, log, kinds, noAddress, minuteMs, timeoutMs = 10_000, concurrency = 64 } = options
    const { leaseMs = timeoutMs + 5_000 } = options
    const replica = { connection, pool, service }
    const keep = (user: UserChanged): Recipient => ({
      addresses: options.addressesOf(user),
      optOutChannels: user.optOutChannels,
      optOutCategories: user.optOutCategories,
    })
    const onErased = async (tx: PoolClient, users: readonly UserName[]): Promise<void> => {
      await options.onErased?.(tx, users)
      await eraseUsers(tx, users)
    }
    this.users = new UsersReplica({ ...replica, keep, onErased })
    this.templates = new TemplatesReplica(replica)
    this.workspaces = new WorkspacesReplica(replica)
    this.accounts = new Accounts({ workspaces: this.workspaces, seal: options.seal, kinds, connections: concurrency, minuteMs, log })
    const settling: SettleOptions = {
      service,
      unsubscribes: options.unsubscribes ?? null,
      backoffMs: (attempts, afterMs) => backoffMs(attempts, afterMs, minuteMs),
      resendUnknown: options.resendUnknown === 'always' ? 'always' : (tx, workspaceIds) => this.resending(tx, workspaceIds),
    }
    this.relay = new OutboxRelay({
      pool,
      producer: () => connection.producer(),
      setAside: keepUnpublishable(connection),
      topics: [topics.engagements],
      onError: (error) => log.warn({ error: error.message }, 'reports wait for Kafka'),
      gatherMs: lingerMs,
      // Of up to 500 reports each, where outcomes gather.
      ...(options.resendUnknown === 'always' ? { rowsAtOnce: 20 } : {}),
    })
    this.settler = new Settler({
      ...settling,
      pool,
      log,
      lingerMs: options.resendUnknown === 'always' ? lingerMs : 0,
      onSettled: (facts, isOpen) => {
        this.relay.kick()
        if (isOpen) this.kick()
        if (facts.some((fact) => fact.kind === 'attempted' && fact.dead !== null)) options.onDeadAddress?.()
      },
    })
    const buckets = new TokenBuckets(options.ratePerWorkspace ?? 5_000)
    this.lanes = kinds.map(
      (kind) =>
        new Lane({
          channel,
          kind,
          accounts: this.accounts,
          pool,
          log,
          users: this.users,
          templates: this.templates,
          buckets,
          ratePerProvider: options.ratePerProvider ?? 10_000,
          concurrency,
          timeoutMs,
          leaseMs,
          noAddress,
          prepare: options.prepare,
          unsubscribes: options.unsubscribes,
          settle: (facts) => this.settler.add(facts),
          onAttempt: options.onAttempt ?? (() => {}),
        }),
    )
    this.deadlines = new Deadlines({ pool, log, settler: this.settler })
    // What has to be prepared has to be stored before.
    const { users, lanes, accounts } = this
    const store: HandOverOptions<C>['store'] = (messages, attempting) => storeMessages(messages, attempting, { pool, service, leaseMs })
    this.handOver = options.prepare === undefined ? new HandOver({ users, lanes, store }) : null
    this.intake = { ...settling, pool, users, channel, noAddress, accounts, handOver: this.handOver, leaseMs }
  }

  /** See {@link DispatchOptions}. */
  get unsubscribes(): Unsubscribes | null {
    return this.options.unsubscribes ?? null
  }

  /** Its lanes, for metrics. */
  get standings(): readonly LaneStanding[] {
    return this.lanes.map(({ standing }) => standing)
  }

  /** Its replicas, for metrics. */
  get followed(): readonly Followed[] {
    return [this.users, this.templates, this.workspaces].map(({ followed }) => followed)
  }

  /** Follows the replicas, reports what is owed, attempts what is due, takes commands. */
  async start(): Promise<void> {
    const { channel, connection, service } = this.options
    await Promise.all([this.users.start(), this.templates.start(), this.workspaces.start()])
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
          const problem = commandProblem(record.value!, channel)
          if (problem === null) commands.push({ command: record.value!, traceparent: record.traceparent })
          else await deadLetter(record, problem.reason, problem.detail)
        }
        if (commands.length > 0) await this.take(commands)
      },
    })
  }

  /** Stores commands; what {@link start} does with the topic's. */
  async take(commands: readonly Commanded[]): Promise<void> {
    // failpoint: before-commands-stored
    // Some may be stored although not all are.
    let waits = true
    try {
      waits = await takeCommands(commands, this.intake)
    } finally {
      if (waits) this.kick()
    }
    // failpoint: after-commands-stored
    this.relay.kick()
  }

  /** The open account of a workspace with a provider as far as it is known here; null: it has none, or the channel no such provider. */
  async account(provider: string, workspaceId: string): Promise<Provider<C> | null> {
    return this.accounts.known(provider, workspaceId)
  }

  /**
   * Messages were spoken of by their provider or their person (a signed callback, a click): whatever we thought, they were taken. Who was
   * asked to send one is reported `requested` if that was not said yet. `also` is written in the same transaction. Answers when committed.
   */
  async confirm(
    facts: readonly Omit<Extract<Fact, { kind: 'confirmed' }>, 'kind'>[],
    also: (tx: PoolClient) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    await this.settler.write(
      facts.map((fact) => ({ kind: 'confirmed', ...fact })),
      also,
    )
  }

  /** An operator's word on a target of unknown outcome; see {@link resolveUncertain}. */
  async resolve(word: { workspaceId: string; messageId: string; target: string; as: Resolution }): Promise<Resolved> {
    const resolved = await resolveUncertain(this.options.pool, word, this.intake)
    if (resolved.kind === 'done') this.relay.kick()
    this.kick()
    return resolved
  }

  /** Takes nothing more, lets calls under way end (5 s), writes down what became of them. */
  async stop(): Promise<void> {
    const begin = performance.now()
    const leftMs = (): number => Math.max(0, begin + graceMs - performance.now())
    const grace = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, leftMs()).unref())
    this.handOver?.stop()
    const consumer = this.consumer?.stop()
    // Commands and claims may be waiting for a replica, and that for Kafka: past the grace they are let go, Kafka or their lease frees them.
    await Promise.race([consumer, grace()])
    const lanes = Promise.all(this.lanes.map((lane) => lane.stop(leftMs())))
    await Promise.race([lanes, grace()])
    await Promise.all([this.users.stop(), this.templates.stop(), this.workspaces.stop()])
    await Promise.all([lanes, consumer])
    await this.accounts.close()
    await this.deadlines.stop()
    await this.settler.flush()
    await this.relay.stop()
  }

  /** Drops everything in memory as a killed process would, for specs: calls under way go on, their outcomes are forgotten. */
  async abandon(): Promise<void> {
    this.settler.abandon()
    await this.consumer?.stop()
    this.lanes.forEach((lane) => void lane.stop(0))
    await Promise.all([this.deadlines.stop(), this.relay.stop(), this.users.stop(), this.templates.stop(), this.workspaces.stop()])
  }

  /** The workspaces that want attempts of unknown outcome repeated although each costs money. */
  private async resending(tx: PoolClient, workspaceIds: readonly string[]): Promise<ReadonlySet<string>> {
    const settings = await this.workspaces.load(workspaceIds, tx)
    const channel: ChannelType = this.options.channel
    const says = (workspaceId: string): boolean =>
      (channel === 'sms' || channel === 'kakao') && settings.get(workspaceId)?.resendUnknown?.[channel] === true
    return new Set(workspaceIds.filter(says))
  }

  private kick(): void {
    this.lanes.forEach((lane) => lane.kick())
    this.deadlines.kick()
  }
}
