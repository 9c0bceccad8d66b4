// One loop per process: asks once for all owned partitions what is due, and sleeps until the next due time.
import type { Pool } from 'pg'
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { Pace } from './catchUp'
import type { HomePartition } from './partition'
import { nextPortions } from './sql/lateTimers'
import { agenda, type PartitionAgenda } from './sql/timers'

/** At most this long between looks: finds cancel jobs and what another process set before it died. */
const maxSleepMs = 1_000
/** Later than this, timers are catching up: an outage lies behind them, or more came due together than can be fired at once. */
const lateMs = 1_000
/** What one turn fires at most. */
const turnTimers = 2_000

/** Per partition the instant before which it has no timer, so that what has fired is not read again. */
export class Horizons {
  private readonly from = new Map<number, number>()
  /** Timers set since the question at hand was asked: its answer may not know them. */
  private readonly setSince = new Map<number, number>()

  /** Before this instant the partition has no timer; 0: nothing is known. */
  of(partition: number): number {
    return this.from.get(partition) ?? 0
  }

  /** A turn has set a timer, or (0) the partition was taken over: another process may have set any. */
  lower(partition: number, dueAt: number): void {
    this.from.set(partition, Math.min(this.of(partition), dueAt))
    this.setSince.set(partition, Math.min(this.setSince.get(partition) ?? Infinity, dueAt))
  }

  /** A question is asked now. */
  asking(): void {
    this.setSince.clear()
  }

  /** Its answer: the partition's earliest timer. */
  answered(partition: number, nextDueAt: number): void {
    this.from.set(partition, Math.min(nextDueAt, this.setSince.get(partition) ?? Infinity))
  }
}

/** Judges timers by the database's clock and gives what is due to the partitions' next turns. */
export class TimerLoop {
  private stopped = false
  private wakeUp: (() => void) | null = null
  /** When to look again at the latest: local clock, milliseconds. */
  private wakeAt = Infinity
  /** Database clock minus ours, as last seen; only for sleeping, never for judging. */
  private skewMs = 0
  private running: Promise<void> = Promise.resolve()
  private readonly pace: Pace
  private readonly horizons = new Horizons()

  /** `catchUpPerSecond`: timers over a second late that are fired a second, all partitions of this process together. */
  constructor(
    private readonly options: {
      pool: Pool
      connection: KafkaConnection
      catchUpPerSecond: number
      partitions: () => readonly HomePartition[]
    },
  ) {
    this.pace = new Pace(options.catchUpPerSecond)
  }

  start(): void {
    this.running = this.loop()
  }

  async stop(): Promise<void> {
    this.stopped = true
    this.wakeUp?.()
    await this.running
  }

  /** Something will be due at this instant of the database's clock (0: may be due now). */
  readonly lookAgainAt = (dueAt: number): void => {
    const at = dueAt - this.skewMs
    if (at >= this.wakeAt) return
    this.wakeAt = at
    this.wakeUp?.()
  }

  /** A turn of a partition has set a timer for this instant of the database's clock, or (0) the partition was taken over. */
  readonly timerSet = (partition: number, dueAt: number): void => this.horizons.lower(partition, dueAt)

  /** The partitions with their earliest timers and jobs now. */
  async agendaOf(partitions: readonly number[]): Promise<{ now: number; agendas: PartitionAgenda[] }> {
    return agenda(
      this.options.pool,
      partitions.map((partition) => ({ partition, from: this.horizons.of(partition) })),
    )
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      this.wakeAt = Date.now() + maxSleepMs
      try {
        await this.look()
      } catch (error) {
        this.options.connection.log.warn({ error: (error as Error).message }, 'timers could not be read, trying again')
        this.wakeAt = Date.now() + maxSleepMs
      }
      await this.sleepUntilWake()
    }
  }

  private async look(): Promise<void> {
    const { connection, partitions } = this.options
    // A partition whose due timers wait for receipts is looked at again when they have fired; it counts its own patience.
    for (const partition of partitions()) if (partition.awaitsReceipts) partition.kick()
    const owned = partitions().filter(({ isOwned }) => isOwned)
    if (owned.length === 0) return
    this.horizons.asking()
    const { now, agendas } = await this.agendaOf(owned.map(({ partition }) => partition))
    for (const { partition, nextDueAt } of agendas) if (nextDueAt !== null) this.horizons.answered(partition, nextDueAt)
    this.skewMs = now - Date.now()
    const byNumber = new Map(owned.map((partition) => [partition.partition, partition]))
    // Cancels do not wait for receipts.
    for (const { partition, hasJobs } of agendas) if (hasJobs) byNumber.get(partition)!.jobsWait()
    for (const { partition, reconsiders } of agendas) if (reconsiders) byNumber.get(partition)!.peopleWait()
    const due = agendas.filter(
      ({ partition, nextDueAt }) => nextDueAt !== null && nextDueAt <= now && !byNumber.get(partition)!.awaitsReceipts,
    )
    for (const { nextDueAt } of agendas)
      if (nextDueAt !== null && nextDueAt > now) this.wakeAt = Math.min(this.wakeAt, nextDueAt - this.skewMs)
    const upTo = await this.firingNow(due, now)
    if (upTo.size === 0) return
    // Sampled after `now`: whatever was reported before a timer was due lies before these ends. Where no leader answers, timers wait for one.
    const ends = await connection.endOffsetsInTime(topics.engagements.name)
    for (const [partition, instant] of upTo) {
      const endOffset = ends.get(partition)
      if (endOffset !== undefined) byNumber.get(partition)!.timersDue({ upTo: instant, endOffset, from: this.horizons.of(partition) })
    }
  }

  /** Up to which instant the timers of each partition may fire now: of those on time all, those long due at the pace of catching up. */
  private async firingNow(due: readonly PartitionAgenda[], now: number): Promise<ReadonlyMap<number, number>> {
    const { pool } = this.options
    const upTo = new Map<number, number>()
    const late: number[] = []
    for (const { partition, nextDueAt } of due) {
      if (now - nextDueAt! > lateMs) late.push(partition)
      else upTo.set(partition, now)
    }
    if (late.length === 0) return upTo
    const share = Math.ceil(this.pace.available() / late.length)
    for (const portion of share === 0
      ? []
      : await nextPortions(
          pool,
          late.map((partition) => ({ partition, from: this.horizons.of(partition) })),
          now,
          share,
          turnTimers,
        )) {
      if (this.pace.available() === 0) break
      this.pace.take(portion.count)
      upTo.set(portion.partition, portion.upTo)
    }
    // Those that fire wake this loop when they have.
    if (upTo.size < due.length) this.wakeAt = Math.min(this.wakeAt, Date.now() + this.pace.waitMs())
    return upTo
  }

  private async sleepUntilWake(): Promise<void> {
    while (!this.stopped) {
      const ms = this.wakeAt - Date.now()
      if (ms <= 0) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(ms, maxSleepMs))
        this.wakeUp = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.wakeUp = null
    }
  }
}
