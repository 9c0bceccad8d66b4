// Follows a compacted topic into a service's own table, the offset stored with the rows, and tells when it has read far enough.
import type { Pool, PoolClient } from 'pg'
import type { RecordName, Topic } from '@stepcast/contracts'
import { asRetriable, consumeRecords, type IncomingRecord, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { inTransaction, withPatience } from '@stepcast/postgres'

/** The table of offsets, one for all replicas of a service; put it into a migration of the service. */
export const replicaOffsetsSql = `
CREATE TABLE replica_offsets (
  topic text NOT NULL,
  partition int NOT NULL,
  next_offset bigint NOT NULL,
  PRIMARY KEY (topic, partition)
)`

/** What every replica needs of its service. */
export interface ReplicaOptions {
  readonly connection: KafkaConnection
  readonly pool: Pool
  /** The service's name: processes of one service share the work and the table. */
  readonly service: string
}

/** An offset for each partition. */
export type Offsets = ReadonlyMap<number, number>

/** Whether they are the same in every partition. */
export const sameOffsets = (a: Offsets, b: Offsets): boolean => a.size === b.size && [...a].every(([partition, offset]) => b.get(partition) === offset)

interface FollowOptions<R extends RecordName> extends ReplicaOptions {
  readonly topic: Topic<R>
  /** Writes the records, the last of each key winning, in the transaction that stores the offset. */
  readonly apply: (tx: PoolClient, records: readonly IncomingRecord<R>[]) => Promise<void>
}

const pollMs = 20
/** How long a reader waits before the log says so; it never guesses. */
const sayAfterMs = 10_000

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** One topic followed into one table. */
export class Follower<R extends RecordName> {
  private consumer: RunningConsumer | null = null
  private stopped = false
  /** What this process has applied itself: saves asking the database. */
  private readonly applied = new Map<number, number>()
  private sample: Promise<Offsets> | null = null
  private nextSample: Promise<Offsets> | null = null

  constructor(private readonly options: FollowOptions<R>) {}

  /** Begins to follow, from the stored offset or the beginning. */
  async start(): Promise<void> {
    const { connection, topic, service } = this.options
    this.consumer = await consumeRecords(connection, {
      topic, groupId: `${service}.replica.${topic.name}`, keyRequired: true, tombstones: true,
      startAt: (partition) => this.startAt(partition),
      handle: (records, { partition, nextOffset }) => this.take(records, partition, nextOffset),
    })
  }

  /** Stops following. */
  async stop(): Promise<void> {
    this.stopped = true
    await this.consumer?.stop()
  }

  /**
   * Waits until the table has read to the end offsets sampled after this call. Whoever was answered "written" before asking
   * is seen then. No time limit: a guess would be worse; after 10 s the log says so.
   * @returns those end offsets: while they stay the same ({@link sameOffsets}), nothing has been written since
   */
  async caughtUp(): Promise<Offsets> {
    const { connection, topic } = this.options
    const ends = await this.endsFromNow()
    const startedAt = Date.now()
    let said = false
    while (!this.stopped) {
      const behind = [...ends].filter(([partition, end]) => end > (this.applied.get(partition) ?? 0))
      if (behind.length === 0) return ends
      const stored = await this.storedOffsets()
      if (behind.every(([partition, end]) => end <= (stored.get(partition) ?? 0))) return ends
      if (!said && Date.now() - startedAt > sayAfterMs) {
        said = true
        connection.log.warn({ topic: topic.name, behind: behind.map(([partition, end]) => ({ partition, end, at: stored.get(partition) ?? 0 })) },
          'a replica has been behind for 10 s; its readers wait')
      }
      await sleep(pollMs)
    }
    throw Object.assign(new Error(`the replica of ${topic.name} has stopped`), { retriable: true })
  }

  // A sample serves everyone who asked before it was taken, so that many askers cost one request.
  private endsFromNow(): Promise<Offsets> {
    const { connection, topic } = this.options
    const take = (): Promise<Offsets> =>
      connection
        .endOffsets(topic.name)
        .catch(asRetriable(`Kafka did not tell how far ${topic.name} reaches`))
        .finally(() => {
          this.sample = null
        })
    if (this.sample === null) return (this.sample = take())
    this.nextSample ??= this.sample.catch(() => {}).then(() => {
      this.nextSample = null
      return (this.sample = take())
    })
    return this.nextSample
  }

  private async storedOffsets(): Promise<Offsets> {
    const { rows } = await this.options.pool.query<{ partition: number; next_offset: number }>(
      'SELECT partition, next_offset FROM replica_offsets WHERE topic = $1', [this.options.topic.name])
    return new Map(rows.map((row) => [row.partition, row.next_offset]))
  }

  private async startAt(partition: number): Promise<number> {
    const { connection, topic, pool } = this.options
    const stored = (await this.storedOffsets()).get(partition) ?? 0
    const { low, end } = (await connection.offsets(topic.name)).get(partition) ?? { low: 0, end: 0 }
    if (stored <= end) {
      this.applied.set(partition, stored)
      return Math.max(stored, low)
    }
    // Another cluster, or one that lost its data: what it tells now is read from the beginning.
    connection.log.warn({ topic: topic.name, partition, stored, end }, 'the stored offset lies beyond the end of the topic: reading it anew')
    await pool.query('DELETE FROM replica_offsets WHERE topic = $1 AND partition = $2', [topic.name, partition])
    this.applied.delete(partition)
    return low
  }

  private async take(records: readonly IncomingRecord<R>[], partition: number, nextOffset: number): Promise<void> {
    const { pool, topic, apply } = this.options
    // Outside the transaction: whoever is stopped in that must not keep a row that nobody else can see from being made. And not ON CONFLICT
    // alone, which waits for whoever is changing the row that is there.
    await pool.query(
      `INSERT INTO replica_offsets (topic, partition, next_offset) SELECT $1, $2::int, 0
       WHERE NOT EXISTS (SELECT FROM replica_offsets WHERE topic = $1 AND partition = $2) ON CONFLICT DO NOTHING`, [topic.name, partition])
    await inTransaction(pool, async (tx) => {
      const { rows } = await withPatience(pool, tx, () => tx.query<{ next_offset: number }>(
        'SELECT next_offset FROM replica_offsets WHERE topic = $1 AND partition = $2 FOR UPDATE', [topic.name, partition]))
      const stored = rows[0]!.next_offset
      // A former owner of the partition may still be at work: what is stored already is not written again over newer rows.
      const fresh = records.filter(({ offset }) => offset >= stored)
      if (fresh.length > 0) await apply(tx, lastOfEachKey(fresh))
      await tx.query('UPDATE replica_offsets SET next_offset = greatest(next_offset, $3) WHERE topic = $1 AND partition = $2', [topic.name, partition, nextOffset])
    })
    this.applied.set(partition, Math.max(nextOffset, this.applied.get(partition) ?? 0))
  }
}

const lastOfEachKey = <R extends RecordName>(records: readonly IncomingRecord<R>[]): IncomingRecord<R>[] => [
  ...new Map(records.map((record) => [record.key!, record])).values(),
]
