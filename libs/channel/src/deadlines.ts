// Deadlines: what waited past its `expiresAt` or was being attempted past its lease ends here.
import type { Pool } from 'pg'
import type { Log } from '@stepcast/kafka'
import { nextDeadlineInMs, overdue, purge } from './ledger'
import type { Settler } from './settler'
import { sleep, Wake } from './wake'

// New commands wake it; this finds what another process left behind.
const maxSleepMs = 5_000
const batchSize = 500
const purgeEveryMs = 3_600_000
// 2,000 rows an hour a statement, repeated while there are more: never a long lock.
const purgeBatch = 2_000
const retryAfterMs = 500

/** Runs until stopped. */
export class Deadlines {
  private readonly wake = new Wake()
  private loop: Promise<void> = Promise.resolve()
  private stopping = false
  private purgedAt = performance.now()

  constructor(private readonly options: { pool: Pool; log: Log; settler: Settler }) {}

  start(): void {
    this.loop = this.run()
  }

  /** There may be an earlier deadline than before. */
  kick(): void {
    this.wake.now()
  }

  async stop(): Promise<void> {
    this.stopping = true
    this.wake.now()
    await this.loop
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        await this.wake.sleep(await this.pass())
      } catch (error) {
        this.options.log.warn({ error: (error as Error).message }, 'deadlines could not be read, trying again')
        await sleep(retryAfterMs)
      }
    }
  }

  private async pass(): Promise<number> {
    const { pool, settler } = this.options
    const facts = await overdue(pool, batchSize)
    if (facts.length > 0) {
      settler.add(facts)
      // The same rows would be found again until they are written.
      await settler.flush()
      return 0
    }
    if (performance.now() - this.purgedAt > purgeEveryMs && (await purge(pool, purgeBatch)) < purgeBatch) this.purgedAt = performance.now()
    return Math.min(maxSleepMs, Math.max(0, Math.ceil((await nextDeadlineInMs(pool)) ?? maxSleepMs)))
  }
}
