// The transactional outbox: records enter with the rows they tell of, a relay takes them to Kafka in order, and a writer can wait for that.
import type { Pool, PoolClient } from 'pg'
import { isOutage, LastResort, type AvroRecords, type RecordName, type Topic } from '@stepcast/contracts'
import { inTransaction } from './pool'

/** The outbox's table; put it into a migration of the service. */
export const outboxTableSql = `
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  key text NOT NULL,
  value jsonb,
  traceparent text
)`

/** A record to be told to Kafka with this transaction. */
export interface OutboxRecord<R extends RecordName = RecordName> {
  readonly topic: Topic<R>
  readonly key: string
  /** null: a tombstone. */
  readonly value: AvroRecords[R] | null
  readonly traceparent?: string | null
}

/** Anything that runs SQL with parameters in the transaction at hand: pg's client, or TypeORM's query runner adapted. */
export interface Executor {
  query(sql: string, parameters: unknown[]): Promise<{ rows: unknown[] }>
}

/**
 * Stores records in the transaction of the rows they tell of; answers their ids for {@link OutboxRelay.published}.
 * The caller holds a lock on the row that the key names, so that ids of one key are in commit order.
 */
export async function enqueue(tx: Executor, records: readonly OutboxRecord[]): Promise<number[]> {
  if (records.length === 0) return []
  const { rows } = await tx.query(
    `INSERT INTO outbox (topic, key, value, traceparent)
     SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::text[]) RETURNING id`,
    [
      records.map(({ topic }) => topic.name),
      records.map(({ key }) => key),
      records.map(({ value }) => (value === null ? null : JSON.stringify(value))),
      records.map(({ traceparent }) => traceparent ?? null),
    ],
  )
  return (rows as { id: number }[]).map(({ id }) => Number(id))
}

/**
 * Stores records of one topic as one row, for writers of many that never ask for a single one again; see {@link enqueue}.
 * A row for each of them took a third of the database's time of a dispatcher.
 */
export async function enqueueTogether<R extends RecordName>(
  tx: Executor,
  topic: Topic<R>,
  records: readonly Omit<OutboxRecord<R>, 'topic'>[],
): Promise<void> {
  if (records.length === 0) return
  const value: readonly RowRecord[] = records.map(({ key, value, traceparent = null }) => ({ key, value, traceparent }))
  await tx.query(`INSERT INTO outbox (topic, key, value) VALUES ($1, '', $2)`, [topic.name, JSON.stringify(value)])
}

/** What the relay needs of a producer; `RecordProducer` of @stepcast/kafka fits. */
export interface OutboxProducer {
  send<R extends RecordName>(
    topic: Topic<R>,
    records: readonly { key: string; value: AvroRecords[R] | null; headers?: Readonly<Record<string, string>> }[],
  ): Promise<void>
}

/** A record that Kafka will never take: it does not fit its schema, or is too large. */
export interface Unpublishable {
  readonly topic: string
  readonly key: string
  readonly value: unknown
  readonly traceparent: string | null
  readonly error: unknown
}

/** What a relay is made of. */
export interface OutboxRelayOptions {
  readonly pool: Pool
  /** Connected at first use, so that a service starts while Kafka is away. */
  readonly producer: () => Promise<OutboxProducer>
  /** The topics whose records this service writes, to find them again by name. */
  readonly topics: readonly Topic[]
  readonly onError: (error: Error) => void
  /** Keeps a record that cannot be published, so that those behind it are; `keepUnpublishable` of @stepcast/kafka fits. */
  readonly setAside: (record: Unpublishable) => Promise<void>
  /** How long rows wait for company before a run, milliseconds; 0 unless told. For writers who do not wait for Kafka. */
  readonly gatherMs?: number
  /** Rows read at once; 500 unless told, which of single records is about half a megabyte. */
  readonly rowsAtOnce?: number
}

interface RowRecord {
  readonly key: string
  readonly value: AvroRecords[RecordName] | null
  readonly traceparent: string | null
}

/** A record, or several of one topic in an array; a value of a record is never an array. */
interface OutboxRow extends Omit<RowRecord, 'value'> {
  readonly id: number
  readonly topic: string
  readonly value: RowRecord['value'] | readonly RowRecord[]
}

const recordsOf = (row: OutboxRow): readonly RowRecord[] => (Array.isArray(row.value) ? row.value : [row as RowRecord])

// Writers kick the relay; this only finds what a process that died left behind.
const sweepEveryMs = 5_000
const retryAfterMs = 500
const busyRetryMs = 100
const stopPatienceMs = 2_000
const advisoryLock = `('x' || substr(md5(current_schema() || '.outbox'), 1, 16))::bit(64)::bigint`

/**
 * Takes the outbox to Kafka. One relay of a service at a time holds the lock, and rows go in order of their ids, so the
 * order per key holds; a row is deleted in the transaction that saw it acknowledged, so a crash only repeats records.
 */
export class OutboxRelay {
  /** Whoever waits for a row, by its id; the same row may be waited for twice (a repeated request). */
  private readonly waiting = new Map<number, Set<(isPublished: boolean) => void>>()
  private readonly resort = new LastResort()
  /** The rows of the try at hand: how many, and the first one's id. */
  private tried = { rows: 0, first: 0 }
  private sweep: NodeJS.Timeout | null = null
  private running: Promise<void> | null = null
  private again = false
  private stopped = false

  constructor(private readonly options: OutboxRelayOptions) {}

  /** Begins to look for rows left behind. */
  start(): void {
    this.sweep = setInterval(() => this.kick(), sweepEveryMs)
    this.kick()
  }

  /** Lets the batch at hand finish, 2 s at most, and stops. What is not acknowledged by then is published after the next start. */
  async stop(): Promise<void> {
    this.stopped = true
    if (this.sweep) clearInterval(this.sweep)
    await Promise.race([this.running, new Promise((resolve) => setTimeout(resolve, stopPatienceMs).unref())])
  }

  /**
   * Waits until Kafka has acknowledged these rows; false when it has not within `timeoutMs` (they are published later), or at once when one of
   * them was set aside by this process. Call it after the commit.
   */
  async published(ids: readonly number[], { timeoutMs = 5_000 }: { timeoutMs?: number } = {}): Promise<boolean> {
    const mine: (readonly [number, (isPublished: boolean) => void])[] = []
    const arrivals = ids.map(
      (id) =>
        new Promise<boolean>((resolve) => {
          mine.push([id, resolve])
          this.waiting.set(id, (this.waiting.get(id) ?? new Set()).add(resolve))
        }),
    )
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), timeoutMs)))
    this.kick()
    // Another process of this service may be the one that relays: then only the table tells.
    const elsewhere = setInterval(() => void this.settleThoseGone().catch(this.options.onError), 50)
    try {
      const answer = await Promise.race([Promise.all(arrivals), late])
      return answer !== 'late' && answer.every(Boolean)
    } finally {
      clearTimeout(timer)
      clearInterval(elsewhere)
      for (const [id, resolve] of mine) {
        const others = this.waiting.get(id)
        others?.delete(resolve)
        if (others?.size === 0) this.waiting.delete(id)
      }
    }
  }

  /** Relays now, or once more after the run at hand. */
  kick(): void {
    if (this.stopped) return
    if (this.running) {
      this.again = true
      return
    }
    this.running = this.drain().finally(() => {
      this.running = null
      if (this.again) {
        this.again = false
        this.kick()
      }
    })
  }

  private async drain(): Promise<void> {
    const { gatherMs = 0, rowsAtOnce = 500 } = this.options
    if (gatherMs > 0 && !this.stopped) await new Promise((resolve) => setTimeout(resolve, gatherMs))
    while (!this.stopped) {
      const limit = Math.min(rowsAtOnce, this.resort.most())
      try {
        const taken = await this.relayBatch(limit)
        if (taken > 0) this.resort.succeeded(taken)
        if (taken < limit) return
      } catch (error) {
        this.options.onError(error as Error)
        if (!(await this.goOnAfter(error))) return
      }
    }
  }

  /** After a failure: whether to try again at once. A row's own fault is searched for and set aside; an outage is left to the next run. */
  private async goOnAfter(error: unknown): Promise<boolean> {
    const answer = this.resort.failed(error, this.tried.rows, Date.now())
    if (answer.next === 'setAside') {
      try {
        await this.setAsideFirst(this.tried.first)
        this.resort.wentAside()
        return true
      } catch (failure) {
        this.options.onError(failure as Error)
      }
    } else if (answer.next === 'again') {
      await new Promise((resolve) => setTimeout(resolve, answer.delayMs))
      return true
    }
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs))
    this.again = this.waiting.size > 0
    return false
  }

  /** Takes the first row record by record: those that Kafka takes are published, the others set aside. */
  private async setAsideFirst(id: number): Promise<void> {
    const aside = await inTransaction(this.options.pool, async (tx) => {
      if (!(await isRelay(tx))) return null
      const {
        rows: [row],
      } = await tx.query<OutboxRow>('SELECT id, topic, key, value, traceparent FROM outbox ORDER BY id LIMIT 1')
      if (row === undefined || row.id !== id) return null
      const producer = await this.options.producer()
      let count = 0
      for (const record of recordsOf(row)) {
        try {
          await this.send(producer, row.topic, [record])
        } catch (error) {
          if (isOutage(error)) throw error
          await this.options.setAside({ topic: row.topic, ...record, error })
          count++
        }
      }
      await tx.query('DELETE FROM outbox WHERE id = $1', [id])
      return count
    })
    if (aside !== null) this.settle(id, aside === 0)
  }

  private async relayBatch(limit: number): Promise<number> {
    this.tried = { rows: limit, first: 0 }
    const rows = await inTransaction(this.options.pool, async (tx) => {
      if (!(await isRelay(tx))) {
        // Another process relays, and may have read before our rows were committed.
        setTimeout(() => this.kick(), busyRetryMs).unref()
        return []
      }
      const { rows: found } = await tx.query<OutboxRow>('SELECT id, topic, key, value, traceparent FROM outbox ORDER BY id LIMIT $1', [
        limit,
      ])
      if (found.length === 0) return found
      this.tried = { rows: found.length, first: found[0]!.id }
      const producer = await this.options.producer()
      // Rows of one topic that stand together go together: the order across topics holds as well.
      for (const run of runsByTopic(found)) await this.send(producer, run[0]!.topic, run.flatMap(recordsOf))
      // failpoint: after-relay
      await tx.query('DELETE FROM outbox WHERE id = ANY($1::bigint[])', [found.map(({ id }) => id)])
      return found
    })
    rows.forEach(({ id }) => this.settle(id, true))
    return rows.length
  }

  private async send(producer: OutboxProducer, topicName: string, records: readonly RowRecord[]): Promise<void> {
    const topic = this.options.topics.find(({ name }) => name === topicName)
    // Written by a process of a newer version, which will relay it: not the record's fault.
    if (topic === undefined)
      throw Object.assign(new Error(`the outbox holds a record for ${topicName}, which this process does not know`), { retriable: true })
    await producer.send(
      topic,
      records.map(({ key, value, traceparent }) => ({ key, value, ...(traceparent ? { headers: { traceparent } } : {}) })),
    )
  }

  private settle(id: number, isPublished: boolean): void {
    this.waiting.get(id)?.forEach((resolve) => resolve(isPublished))
  }

  private async settleThoseGone(): Promise<void> {
    const ids = [...this.waiting.keys()]
    if (ids.length === 0 || this.running) return
    const { rows } = await this.options.pool.query<{ id: number }>('SELECT id FROM outbox WHERE id = ANY($1::bigint[])', [ids])
    const still = new Set(rows.map(({ id }) => id))
    ids.filter((id) => !still.has(id)).forEach((id) => this.settle(id, true))
    if (still.size > 0) this.kick()
  }
}

/** Whether this process relays during this transaction. */
async function isRelay(tx: PoolClient): Promise<boolean> {
  const { rows } = await tx.query<{ locked: boolean }>(`SELECT pg_try_advisory_xact_lock(${advisoryLock}) AS locked`)
  return rows[0]!.locked
}

function* runsByTopic(rows: readonly OutboxRow[]): Generator<readonly OutboxRow[]> {
  let from = 0
  for (let i = 1; i <= rows.length; i++) {
    if (i === rows.length || rows[i]!.topic !== rows[from]!.topic) {
      yield rows.slice(from, i)
      from = i
    }
  }
}
