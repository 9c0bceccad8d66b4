// The engine of a process: its home partitions, their mailboxes and timers, and the housekeeping they share.
import { topics } from '@stepcast/contracts'
import { Mailboxes, type KafkaConnection } from '@stepcast/kafka'
import type { TemplatesReplica } from '@stepcast/replica'
import { CancelsFirst } from './controls'
import { Housekeeping } from './housekeeping'
import { Intake } from './intake'
import type { EngineMetrics } from './metrics'
import { HomePartition } from './partition'
import { Permits } from './permits'
import { SequenceCache } from './sequenceCache'
import type { Settings } from './settings'
import { daysMissing } from './sql/changes'
import { VariablesSweep } from './sweep'
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

/** Consumes sends and engagements, fires timers, publishes changes and commands. */
export class Engine {
  private readonly partitions = new Map<number, HomePartition>()
  private mailboxes: Mailboxes | null = null
  private timers: TimerLoop | null = null
  private readonly sweep: VariablesSweep
  private readonly housekeeping: Housekeeping
  private isAtWork = false

  constructor(private readonly options: EngineOptions) {
    const { pool, connection } = options.turn
    this.sweep = new VariablesSweep({ pool, log: connection.log, partitions: () => this.partitions.values() })
    this.housekeeping = new Housekeeping({ ...options, sweep: () => this.sweep.run() })
  }

  /** Whether this process has joined its group and has taken over a partition, or was given none because others have them all. */
  get isReady(): boolean {
    return this.isAtWork
  }

  /** Joins the group; partitions begin as they are assigned. */
  async start(): Promise<void> {
    const { turn, templates, metrics, settings } = this.options
    const { connection, pool } = turn
    await this.daysAreMade()
    const [clusterId, count] = await Promise.all([connection.clusterId(), samePartitionCount(connection)])
    const timers = new TimerLoop({
      pool,
      connection,
      catchUpPerSecond: settings.catchUpPerSecond,
      partitions: () => [...this.partitions.values()],
    })
    const cancels = new CancelsFirst(connection)
    const shared = {
      cancelsFirst: () => cancels.takenUp(),
      turn,
      metrics,
      clusterId,
      permits: new Permits(maxTurns),
      lookAgainAt: timers.lookAgainAt,
      timerSet: timers.timerSet,
      sweepSoon: this.sweep.soon,
      intake: new Intake({ connection, templates, partitions: count }),
      mailboxes: () => this.mailboxes!,
    }
    const cache = new SequenceCache()
    const of = (partition: number): HomePartition => {
      let home = this.partitions.get(partition)
      if (!home) this.partitions.set(partition, (home = new HomePartition(partition, shared, cache.ofPartition())))
      return home
    }
    this.timers = timers
    this.mailboxes = new Mailboxes(connection, {
      topics: [topics.sends.name, topics.engagements.name],
      groupId: 'orchestrator',
      takeOver: async (partition) => {
        const offsets = await of(partition).takeOver()
        metrics.tookOver(partition)
        this.isAtWork = true
        return offsets
      },
      arrived: (partition) => of(partition).kick(),
      lost: (partition) => of(partition).lose(),
      joined: (partitions) => {
        if (partitions === 0) this.isAtWork = true
      },
    })
    await this.mailboxes.open()
    timers.start()
    metrics.readFrom({
      standings: () => this.owned.map(({ partition, standing }) => ({ ...standing, partition })),
      overdueSeconds: () => this.overdueSeconds(),
    })
    this.housekeeping.start()
  }

  // Those of the coming days may wait for a lock that somebody holds, and housekeeping makes them later; without today's nothing can be written.
  private async daysAreMade(): Promise<void> {
    const {
      turn: { pool, connection },
    } = this.options
    const error = await this.housekeeping.makeDays()
    if (error === null) return
    const [first] = await daysMissing(pool)
    const today = new Date().toISOString().slice(0, 10)
    if (first !== undefined && first <= today)
      throw new Error(`the table for the changes of ${first} cannot be made: ${error.message}`, { cause: error })
    connection.log.warn({ first, error: error.message }, 'the tables of the coming days are not all made yet')
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
    const keepingHouse = this.housekeeping.stop()
    await this.timers?.stop()
    await this.sweep.stop()
    await Promise.all([...this.partitions.values()].map((partition) => partition.stop()))
    await this.mailboxes?.close()
    await keepingHouse
  }

  private get owned(): { partition: number; standing: NonNullable<HomePartition['standing']> }[] {
    return [...this.partitions.values()].flatMap(({ partition, standing }) => (standing === null ? [] : [{ partition, standing }]))
  }

  private async overdueSeconds(): Promise<number> {
    if (this.timers === null) return 0
    const { now, agendas } = await this.timers.agendaOf(this.owned.map(({ partition }) => partition))
    return Math.max(0, ...agendas.map(({ nextDueAt }) => (nextDueAt === null ? 0 : (now - nextDueAt) / 1_000)))
  }
}

/** P: sends, engagements, sequences and every commands topic must have the same number of partitions. */
async function samePartitionCount(connection: KafkaConnection): Promise<number> {
  const names = [
    topics.sends,
    topics.engagements,
    topics.sequences,
    topics.inAppCommands,
    topics.pushCommands,
    topics.smsCommands,
    topics.kakaoCommands,
  ].map(({ name }) => name)
  const counts = await Promise.all(names.map((name) => connection.partitionsOf(name)))
  const different = names.flatMap((name, index) => (counts[index] === counts[0] ? [] : [`${name} has ${counts[index]}`]))
  if (different.length > 0)
    throw new Error(`all of these topics must have the ${counts[0]} partitions of ${names[0]}: ${different.join(', ')}`)
  return counts[0]!
}
