// One loop per process: asks once for all owned partitions what is due, and sleeps until the next due time.
import type { Pool } from 'pg'
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import type { HomePartition } from './partition'
import { agenda } from './sql/timers'

/** At most this long between looks: finds cancel jobs and what another process set before it died. */
const maxSleepMs = 1_000

/** Judges timers by the database's clock and gives what is due to the partitions' next turns. */
export class TimerLoop {
  private stopped = false
  private wakeUp: (() => void) | null = null
  /** When to look again at the latest: local clock, milliseconds. */
  private wakeAt = Infinity
  /** Database clock minus ours, as last seen; only for sleeping, never for judging. */
  private skewMs = 0
  private running: Promise<void> = Promise.resolve()

  constructor(private readonly options: { pool: Pool; connection: KafkaConnection; partitions: () => readonly HomePartition[] }) {}

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
    const { pool, connection, partitions } = this.options
    // A partition whose due timers wait for receipts is looked at again when they have fired; it counts its own patience.
    for (const partition of partitions()) if (partition.awaitsReceipts) partition.kick()
    const owned = partitions().filter(({ isOwned, awaitsReceipts }) => isOwned && !awaitsReceipts)
    if (owned.length === 0) return
    const { now, agendas } = await agenda(pool, owned.map(({ partition }) => partition))
    this.skewMs = now - Date.now()
    const byNumber = new Map(owned.map((partition) => [partition.partition, partition]))
    const due = agendas.filter(({ nextDueAt }) => nextDueAt !== null && nextDueAt <= now)
    for (const { partition, hasJobs } of agendas) if (hasJobs) byNumber.get(partition)!.jobsWait()
    for (const { nextDueAt } of agendas) if (nextDueAt !== null && nextDueAt > now) this.wakeAt = Math.min(this.wakeAt, nextDueAt - this.skewMs)
    if (due.length === 0) return
    // Sampled after `now`: whatever was reported before a timer was due lies before these ends.
    const ends = await connection.endOffsets(topics.engagements.name)
    for (const { partition } of due) byNumber.get(partition)!.timersDue({ upTo: now, endOffset: ends.get(partition) ?? 0 })
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
