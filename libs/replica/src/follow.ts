// Follows a compacted topic into a service's own table, the offset stored with the rows, and tells when it has read far enough.
import { randomUUID } from 'node:crypto'
import type { Pool, PoolClient } from 'pg'
import type { AvroRecords, RecordName, Refusal, Topic } from '@stepcast/contracts'
import {
  asRetriable,
  consumeRecords,
  type BatchContext,
  type IncomingRecord,
  type KafkaConnection,
  type RunningConsumer,
} from '@stepcast/kafka'
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
  /** The service's name: its processes share the table, and each follows the topic by itself. */
  readonly service: string
}

/** How far a replica is, as metrics ask: what stands for its consumer group, and the offsets stored with its rows. */
export interface Followed {
  readonly groupId: string
  readonly topic: string
  offsets(): Promise<Offsets>
}

/** An offset for each partition. */
export type Offsets = ReadonlyMap<number, number>

/** Whether they are the same in every partition. */
export const sameOffsets = (a: Offsets, b: Offsets): boolean =>
  a.size === b.size && [...a].every(([partition, offset]) => b.get(partition) === offset)

interface FollowOptions<R extends RecordName> extends ReplicaOptions {
  readonly topic: Topic<R>
  /** Why a value cannot be kept; null: it can. */
  readonly problem: (value: AvroRecords[R]) => Refusal | null
  /** Of several records of a key the one that counts: the last, unless told. */
  readonly newer?: (record: IncomingRecord<R>, than: IncomingRecord<R>) => boolean
  /**
   * Writes the records, one of each key, in the transaction that stores the offset. `gone`: every key that had a tombstone among what was read,
   * whatever came behind it.
   */
  readonly apply: (tx: PoolClient, records: readonly IncomingRecord<R>[], gone: ReadonlySet<string>) => Promise<void>
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

  /** How far it is, for metrics. */
  get followed(): Followed {
    const { service, topic } = this.options
    return { groupId: `${service}.replica.${topic.name}`, topic: topic.name, offsets: () => this.storedOffsets() }
  }

  /**
   * Begins to follow, from the stored offset or the beginning. A group of its own, without offsets: in one group with the other processes of the
   * service, a process that dies would keep all of them waiting until the group notices.
   */
  async start(): Promise<void> {
    const { connection, topic } = this.options
    this.consumer = await consumeRecords(connection, {
      topic,
      groupId: `${this.followed.groupId}.${randomUUID().slice(0, 8)}`,
      commits: false,
      keyRequired: true,
      tombstones: true,
      startAt: (partition) => this.startAt(partition),
      handle: (records, batch) => this.take(records, batch),
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
        connection.log.warn(
          { topic: topic.name, behind: behind.map(([partition, end]) => ({ partition, end, at: stored.get(partition) ?? 0 })) },
          'a replica has been behind for 10 s; its readers wait',
        )
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
    this.nextSample ??= this.sample
      .catch(() => {})
      .then(() => {
        this.nextSample = null
        return (this.sample = take())
      })
    return this.nextSample
  }

  private async storedOffsets(): Promise<Offsets> {
    const { rows } = await this.options.pool.query<{ partition: number; next_offset: number }>(
      'SELECT partition, next_offset FROM replica_offsets WHERE topic = $1',
      [this.options.topic.name],
    )
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
    connection.log.warn(
      { topic: topic.name, partition, stored, end },
      'the stored offset lies beyond the end of the topic: reading it anew',
    )
    await pool.query('DELETE FROM replica_offsets WHERE topic = $1 AND partition = $2', [topic.name, partition])
    this.applied.delete(partition)
    return low
  }

  private async take(records: readonly IncomingRecord<R>[], batch: BatchContext<R>): Promise<void> {
    const { pool, topic } = this.options
    const { partition, nextOffset } = batch
    // Another process of this service was first: nothing to lock.
    if (nextOffset > ((await this.storedOffsets()).get(partition) ?? 0)) await this.write(pool, topic.name, records, batch)
    this.applied.set(partition, Math.max(nextOffset, this.applied.get(partition) ?? 0))
  }

  private async write(pool: Pool, topic: string, records: readonly IncomingRecord<R>[], batch: BatchContext<R>): Promise<void> {
    const { apply, newer = () => true } = this.options
    const { partition, nextOffset } = batch
    // Outside the transaction: whoever is stopped in that must not keep a row that nobody else can see from being made. And not ON CONFLICT
    // alone, which waits for whoever is changing the row that is there.
    await pool.query(
      `INSERT INTO replica_offsets (topic, partition, next_offset) SELECT $1, $2::int, 0
       WHERE NOT EXISTS (SELECT FROM replica_offsets WHERE topic = $1 AND partition = $2) ON CONFLICT DO NOTHING`,
      [topic, partition],
    )
    await inTransaction(pool, async (tx) => {
      const { rows } = await withPatience(pool, tx, () =>
        tx.query<{ next_offset: number }>('SELECT next_offset FROM replica_offsets WHERE topic = $1 AND partition = $2 FOR UPDATE', [
          topic,
          partition,
        ]),
      )
      const stored = rows[0]!.next_offset
      // The other processes follow too: what is stored already is not written again over newer rows.
      const fresh = await this.keepable(
        records.filter(({ offset }) => offset >= stored),
        batch,
      )
      if (fresh.length > 0)
        await apply(tx, oneOfEachKey(fresh, newer), new Set(fresh.flatMap(({ key, value }) => (value === null ? [key!] : []))))
      await tx.query('UPDATE replica_offsets SET next_offset = greatest(next_offset, $3) WHERE topic = $1 AND partition = $2', [
        topic,
        partition,
        nextOffset,
      ])
    })
  }

  private async keepable(records: readonly IncomingRecord<R>[], batch: BatchContext<R>): Promise<readonly IncomingRecord<R>[]> {
    const kept: IncomingRecord<R>[] = []
    for (const record of records) {
      const problem = record.value === null ? null : this.options.problem(record.value)
      if (problem === null) kept.push(record)
      else await batch.deadLetter(record, problem.reason, problem.detail)
    }
    return kept
  }
}

function oneOfEachKey<R extends RecordName>(
  records: readonly IncomingRecord<R>[],
  newer: NonNullable<FollowOptions<R>['newer']>,
): IncomingRecord<R>[] {
  const found = new Map<string, IncomingRecord<R>>()
  for (const record of records) {
    const before = found.get(record.key!)
    if (before === undefined || newer(record, before)) found.set(record.key!, record)
  }
  return [...found.values()]
}
