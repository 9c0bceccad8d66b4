// Says how fresh the numbers are: every change recorded up to that moment and published by then is counted.
import type { Pool } from 'pg'
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'

interface Sample {
  readonly at: number
  readonly ends: ReadonlyMap<number, number>
}

// A second old is fresh enough for a person, and keeps a polling dashboard from costing Kafka a request each time.
const sampleMs = 1_000
// Numbers are worth having while Kafka is away: nobody waits longer for its word on their freshness.
const patienceMs = 1_000

/**
 * The moment up to which the numbers are complete: for a partition read to its end when that was looked at last, for one
 * that lags when its newest folded change was recorded; the earliest of these counts. While Kafka is out of reach the last look
 * stands, and before any look the newest folded change.
 */
export class AsOf {
  private last: Sample | null = null
  private looking: Promise<void> | null = null

  constructor(
    private readonly connection: KafkaConnection,
    private readonly pool: Pool,
  ) {}

  /** Call it before reading numbers: they are then at least as new. */
  async now(): Promise<Date> {
    if (this.last === null || Date.now() - this.last.at > sampleMs) {
      this.looking ??= this.look().finally(() => (this.looking = null))
      await Promise.race([this.looking, new Promise((resolve) => setTimeout(resolve, patienceMs).unref())])
    }
    const { rows } = await this.pool.query<{ partition: number; next_offset: number; recorded_at: Date }>(
      'SELECT partition, next_offset, recorded_at FROM positions',
    )
    const sample = this.last
    if (sample === null) return new Date(Math.max(0, ...rows.map((row) => row.recorded_at.getTime())))
    const positions = new Map(rows.map((row) => [row.partition, row]))
    const moments = [...sample.ends].map(([partition, end]) => {
      const position = positions.get(partition)
      return (position?.next_offset ?? 0) >= end ? sample.at : (position?.recorded_at.getTime() ?? 0)
    })
    return new Date(Math.min(sample.at, ...moments))
  }

  private async look(): Promise<void> {
    const at = Date.now()
    try {
      this.last = { at, ends: await this.connection.endOffsets(topics.sequences.name) }
    } catch (error) {
      this.connection.log.warn({ error: (error as Error).message }, 'Kafka does not tell its offsets: asOf stands still')
    }
  }
}
