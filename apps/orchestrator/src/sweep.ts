// Variables that a crash, an error or a restart left behind: found among those that are kept, and forgotten by their partitions' turns.
import type { Pool } from 'pg'
import type { Log } from '@stepcast/kafka'
import type { HomePartition } from './partition'
import { deleteHeadless, leftovers } from './sql/variables'

// Some 30 ms a statement, so that 2 million running sequences are looked through within half a minute and nobody waits for it.
const atOnce = 5_000
const betweenMs = 20
// Partitions are taken over together, and a partition that keeps failing begins again and again.
const soonMs = 500
const notAgainForMs = 5_000

const beginning = '00000000-0000-0000-0000-000000000000'
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** What a sweep needs. */
export interface SweepOptions {
  readonly pool: Pool
  readonly log: Log
  readonly partitions: () => Iterable<HomePartition>
}

/** Sweeps the partitions of this process: soon after it took one over, and with the housekeeping. */
export class VariablesSweep {
  private timer: NodeJS.Timeout | null = null
  private running: Promise<void> = Promise.resolve()
  private endedAt = 0
  private stopped = false

  constructor(private readonly options: SweepOptions) {}

  /** A partition has begun or begun again: what was to be forgotten is known to nobody. */
  readonly soon = (): void => this.in(Math.max(soonMs, this.endedAt + notAgainForMs - Date.now()))

  private in(ms: number): void {
    if (this.timer !== null || this.stopped) return
    this.timer = setTimeout(() => {
      this.running = this.running
        .then(() => this.run())
        .catch((error: Error) => {
          this.options.log.warn({ error: error.message }, 'variables left over could not be looked for, trying again')
          this.timer = null
          this.in(notAgainForMs)
        })
    }, ms).unref()
  }

  /** Looks through all that is kept, once. */
  async run(): Promise<void> {
    const { pool, partitions } = this.options
    // From here on a partition that begins is for the next sweep.
    this.timer = null
    for (let after: string | null = beginning; after !== null && !this.stopped; ) {
      const owned = new Map([...partitions()].filter(({ isOwned }) => isOwned).map((home) => [home.partition, home]))
      if (owned.size === 0) return
      const { ended, headless, next } = await leftovers(pool, [...owned.keys()], after, atOnce)
      await deleteHeadless(pool, headless)
      for (const [partition, home] of owned)
        home.forgetAlso(ended.filter((one) => one.partition === partition).map(({ sequenceId }) => sequenceId))
      after = next
      if (after !== null) await sleep(betweenMs)
    }
    this.endedAt = Date.now()
  }

  /** No more sweeps; waits for the statement at hand. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.timer) clearTimeout(this.timer)
    await this.running
  }
}
