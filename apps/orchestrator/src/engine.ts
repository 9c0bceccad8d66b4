// The engine of a process: its home partitions, their mailboxes and timers, and the housekeeping they share.
import { topics } from '@stepcast/contracts'
import { Mailboxes, writeDeadLetters, type KafkaConnection } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { TemplatesReplica } from '@stepcast/replica'
import { Intake } from './intake'
import type { EngineMetrics } from './metrics'
import { HomePartition } from './partition'
import { Permits } from './permits'
import { ensureChangePartitions } from './sql/changes'
import { expireEarly } from './sql/early'
import { TimerLoop } from './timerLoop'
import type { TurnOptions } from './turn'

/** What an engine is made of. */
export interface EngineOptions {
  readonly turn: TurnOptions
  readonly templates: TemplatesReplica
  readonly metrics: EngineMetrics
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
  private joined = false

  constructor(private readonly options: EngineOptions) {}

  /** Whether this process has joined its group and taken over what it was given. */
  get isReady(): boolean {
    return this.joined
  }

  /** Joins the group; partitions begin as they are assigned. */
  async start(): Promise<void> {
    const { turn, templates, metrics } = this.options
    const { connection, pool } = turn
    await ensureChangePartitions(pool)
    const [clusterId, count] = await Promise.all([connection.clusterId(), samePartitionCount(connection)])
    const timers = new TimerLoop({ pool, connection, partitions: () => [...this.partitions.values()] })
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
        this.joined = true
        return offsets
      },
      arrived: (partition) => of(partition).kick(),
      lost: (partition) => of(partition).lose(),
    })
    await this.mailboxes.open()
    timers.start()
    this.housekeeping = setInterval(() => void this.keepHouse(), housekeepingEveryMs)
  }

  /** Lets turns and their publishing finish, then leaves the group. */
  async stop(): Promise<void> {
    if (this.housekeeping) clearInterval(this.housekeeping)
    await this.timers?.stop()
    await Promise.all([...this.partitions.values()].map((partition) => partition.stop()))
    await this.mailboxes?.close()
  }

  private async keepHouse(): Promise<void> {
    const { pool, connection } = this.options.turn
    try {
      await ensureChangePartitions(pool)
      await inTransaction(pool, async (tx) => {
        const expired = await expireEarly(tx)
        await writeDeadLetters(connection, expired.map(({ record, sequenceId }) => (
          { record, reason: 'unknown_sequence', detail: `no send made sequence ${sequenceId} known within 24 hours` })))
      })
      // Longer than sends stay on their topic: no late child can be missed.
      await pool.query('DELETE FROM tombstones WHERE recorded_at < now() - make_interval(days => $1)', [tombstonesKeptDays])
    } catch (error) {
      connection.log.warn({ error: (error as Error).message }, 'housekeeping failed; it is tried again in ten minutes')
    }
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
