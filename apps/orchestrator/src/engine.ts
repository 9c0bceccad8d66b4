// The engine of a process: its home partitions, their mailboxes and timers, and the housekeeping they share.
import { topics } from '@stepcast/contracts'
import { Mailboxes, writeDeadLetters, type KafkaConnection } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { TemplatesReplica } from '@stepcast/replica'
import { Intake } from './intake'
import type { EngineMetrics } from './metrics'
import { HomePartition } from './partition'
import { Permits } from './permits'
import { retire } from './retention'
import type { Settings } from './settings'
import { ensureChangePartitions } from './sql/changes'
import { expireEarly } from './sql/early'
import { withHead } from './sql/retention'
import { agenda } from './sql/timers'
import { TimerLoop } from './timerLoop'
import type { TurnOptions } from './turn'

/** What an engine is made of. */
export interface EngineOptions {
  readonly turn: TurnOptions
  readonly templates: TemplatesReplica
  readonly metrics: EngineMetrics
  readonly settings: Settings
}

/** Turns that hold a transaction at a time: more only queue on two cores of PostgreSQL. */
const maxTurns = 3
const housekeepingEveryMs = 10 * 60_000
const tombstonesKeptDays = 30

/** Consumes sends and engagements, fires timers, publishes changes and commands. */
export class Engine {
  private readonly partitions = new Map<number, HomePartition>()
  private mailboxes: Mailboxes | null = null
  private timers: TimerLoop | null = null
  private housekeeping: NodeJS.Timeout | null = null
  private keepingHouse: Promise<void> = Promise.resolve()
  /** The day retention last ran; it has something to do once a day. */
  private retiredOn: string | null = null
  private stopped = false
  private joined = false

  constructor(private readonly options: EngineOptions) {}

  /** Whether this process has joined its group and taken over what it was given. */
  get isReady(): boolean {
    return this.joined
  }

  /** Joins the group; partitions begin as they are assigned. */
  async start(): Promise<void> {
    const { turn, templates, metrics, settings } = this.options
    const { connection, pool } = turn
    await ensureChangePartitions(pool)
    const [clusterId, count] = await Promise.all([connection.clusterId(), samePartitionCount(connection)])
    const timers = new TimerLoop({ pool, connection, catchUpPerSecond: settings.catchUpPerSecond, partitions: () => [...this.partitions.values()] })
    const shared = {
      turn, metrics, clusterId, permits: new Permits(maxTurns), lookAgainAt: timers.lookAgainAt,
      intake: new Intake({ connection, templates, partitions: count }), mailboxes: () => this.mailboxes!,
    }
    const of = (partition: number): HomePartition => {
      let home = this.partitions.get(partition)
      if (!home) this.partitions.set(partition, (home = new HomePartition(partition, shared)))
      return home
    }
    this.timers = timers
    this.mailboxes = new Mailboxes(connection, {
      topics: [topics.sends.name, topics.engagements.name], groupId: 'orchestrator',
      takeOver: async (partition) => {
        const offsets = await of(partition).takeOver()
        metrics.tookOver(partition)
        this.joined = true
        return offsets
      },
      arrived: (partition) => of(partition).kick(),
      lost: (partition) => of(partition).lose(),
    })
    await this.mailboxes.open()
    timers.start()
    metrics.readFrom({
      standings: () => this.owned.map(({ partition, standing }) => ({ ...standing, partition })), overdueSeconds: () => this.overdueSeconds(),
    })
    this.housekeeping = setInterval(() => (this.keepingHouse = this.keepHouse()), housekeepingEveryMs)
  }

  /** A cancel job waits: found at once where this process owns the partition. */
  lookForJobs(): void {
    this.timers?.lookAgainAt(0)
  }

  /** Where the cursors of the owned partitions stand. */
  offsets(of: 'sendsOffset' | 'engagementsOffset'): ReadonlyMap<number, number> {
    return new Map(this.owned.map(({ partition, standing }) => [partition, standing[of]]))
  }

  /** Lets turns and their publishing finish, then leaves the group. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.housekeeping) clearInterval(this.housekeeping)
    await this.timers?.stop()
    await Promise.all([...this.partitions.values()].map((partition) => partition.stop()))
    await this.mailboxes?.close()
    await this.keepingHouse
  }

  // One task's failure is not the others': each is tried again in ten minutes.
  private async keepHouse(): Promise<void> {
    const { pool, connection } = this.options.turn
    await this.keep('partitions of the coming days', () => ensureChangePartitions(pool))
    await this.keep('early engagements', () => this.expireEarly())
    // Longer than sends stay on their topic: no late child can be missed, and no cancel comes a second time.
    await this.keep('tombstones', async () => {
      for (const table of ['tombstones', 'cancels']) {
        await pool.query(`DELETE FROM ${table} WHERE recorded_at < now() - make_interval(days => $1)`, [tombstonesKeptDays])
      }
    })
    const today = new Date().toISOString().slice(0, 10)
    if (this.retiredOn === today) return
    await this.keep('retention', async () => {
      const { changesKeptDays, headsKeptDays } = this.options.settings
      await retire({ pool, log: connection.log, changesKeptDays, headsKeptDays, goOn: () => !this.stopped })
      this.retiredOn = today
    })
  }

  private async keep(task: string, work: () => Promise<unknown>): Promise<void> {
    const { turn: { connection }, metrics } = this.options
    if (this.stopped) return
    const error = await work().then(() => null, (failure: Error) => failure)
    metrics.houseKeptBy(task, error === null)
    if (error) connection.log.warn({ task, error: error.message }, 'housekeeping failed; it is tried again in ten minutes')
  }

  private async expireEarly(): Promise<void> {
    const { pool, connection } = this.options.turn
    await inTransaction(pool, async (tx) => {
      const expired = await expireEarly(tx)
      const known = await withHead(tx, expired.map(({ sequenceId }) => sequenceId))
      await writeDeadLetters(connection, expired.map(({ record, sequenceId }) => known.has(sequenceId)
        ? { record, reason: 'retired_sequence', detail: `the history of sequence ${sequenceId} is over its retention` }
        : { record, reason: 'unknown_sequence', detail: `no send made sequence ${sequenceId} known within 24 hours` }))
    })
  }

  private get owned(): { partition: number; standing: NonNullable<HomePartition['standing']> }[] {
    return [...this.partitions.values()].flatMap(({ partition, standing }) => (standing === null ? [] : [{ partition, standing }]))
  }

  private async overdueSeconds(): Promise<number> {
    const { now, agendas } = await agenda(this.options.turn.pool, this.owned.map(({ partition }) => partition))
    return Math.max(0, ...agendas.map(({ nextDueAt }) => (nextDueAt === null ? 0 : (now - nextDueAt) / 1_000)))
  }
}

/** P: sends, engagements, sequences and every commands topic must have the same number of partitions. */
async function samePartitionCount(connection: KafkaConnection): Promise<number> {
  const names = [topics.sends, topics.engagements, topics.sequences, topics.inAppCommands, topics.pushCommands, topics.smsCommands, topics.kakaoCommands].map(({ name }) => name)
  const counts = await Promise.all(names.map((name) => connection.partitionsOf(name)))
  const different = names.flatMap((name, index) => (counts[index] === counts[0] ? [] : [`${name} has ${counts[index]}`]))
  if (different.length > 0) throw new Error(`all of these topics must have the ${counts[0]} partitions of ${names[0]}: ${different.join(', ')}`)
  return counts[0]!
}
