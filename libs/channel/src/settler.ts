// Writes facts down in small batches: those that come while a batch is being written make the next one.
import type { Pool, PoolClient } from 'pg'
import type { Log } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import { settle, settleAlone, type SettleOptions } from './settle'
import type { Fact } from './transition'
import { sleep } from './wake'

/** What a settler is made of. */
export interface SettlerOptions extends SettleOptions {
  readonly pool: Pool
  readonly log: Log
  /** How long facts that are less than a batch wait for company; 0 where each acceptance costs money and must be written at once. */
  readonly lingerMs: number
  /** Called after every commit; `isOpen`: some target may be attempted again. */
  readonly onSettled: (facts: readonly Fact[], isOpen: boolean) => void
}

// 500 facts are about 10 ms of PostgreSQL.
const maxBatch = 500
const retryAfterMs = 500

/**
 * The queue of facts. It is bounded by who fills it: attempts under way (the lanes' concurrency) and one batch of overdue
 * targets; while the database is away nothing new begins.
 */
export class Settler {
  private queue: Fact[] = []
  private running: Promise<void> | null = null
  private abandoned = false

  constructor(private readonly options: SettlerOptions) {}

  /** Queues facts; they are written soon, and tried until they are. */
  add(facts: readonly Fact[]): void {
    if (this.abandoned) return
    this.queue.push(...facts)
    this.start()
  }

  /** Writes facts at once, with `also` in the same transaction, and resolves when it is committed: for callers who answer somebody. */
  async write(facts: readonly Fact[], also: (tx: PoolClient) => Promise<void> = () => Promise.resolve()): Promise<void> {
    const { pool, onSettled } = this.options
    const isOpen = await inTransaction(pool, async (tx) => {
      const open = facts.length > 0 && (await settle(tx, facts, this.options))
      await also(tx)
      return open
    })
    onSettled(facts, isOpen)
  }

  /** Resolves when everything queued so far is written. */
  async flush(): Promise<void> {
    while (this.running) await this.running
  }

  /** Forgets everything, as a killed process would. For specs. */
  abandon(): void {
    this.abandoned = true
    this.queue = []
  }

  private start(): void {
    this.running ??= this.drain().finally(() => {
      this.running = null
      if (this.queue.length > 0) this.start()
    })
  }

  private async drain(): Promise<void> {
    const { lingerMs, pool, log, onSettled } = this.options
    while (this.queue.length > 0 && !this.abandoned) {
      if (lingerMs > 0 && this.queue.length < maxBatch) await sleep(lingerMs)
      const batch = this.queue.slice(0, maxBatch)
      try {
        // failpoint: before-settled
        const settled = await this.settleAlone(batch)
        const left = batch.filter((fact) => !settled.has(fact))
        const isOpen = left.length > 0 && (await inTransaction(pool, (tx) => settle(tx, left, this.options)))
        // failpoint: after-settled
        this.queue = this.queue.slice(batch.length)
        onSettled(batch, isOpen)
      } catch (error) {
        log.warn({ error: (error as Error).message, facts: batch.length }, 'outcomes could not be written, trying again')
        await sleep(retryAfterMs)
      }
    }
  }

  private async settleAlone(batch: readonly Fact[]): Promise<ReadonlySet<Fact>> {
    const isAlone = (fact: Fact): boolean => fact.kind === 'attempted' && fact.alone !== null
    return batch.some(isAlone) ? inTransaction(this.options.pool, (tx) => settleAlone(tx, batch, this.options)) : new Set()
  }
}
