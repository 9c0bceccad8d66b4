// The transactional outbox: records enter with the rows they tell of, a relay takes them to Kafka in order, and a writer can wait for that.
import type { Pool } from 'pg'
import type { AvroRecords, RecordName, Topic } from '@stepcast/contracts'
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
      records.map(({ topic }) => topic.name), records.map(({ key }) => key),
      records.map(({ value }) => (value === null ? null : JSON.stringify(value))), records.map(({ traceparent }) => traceparent ?? null),
    ],
  )
  return (rows as { id: number }[]).map(({ id }) => Number(id))
}

/**
 * Stores records of one topic as one row, for writers of many that never ask for a single one again; see {@link enqueue}.
 * A row for each of them took a third of the database's time of a dispatcher.
 */
export async function enqueueTogether<R extends RecordName>(
  tx: Executor, topic: Topic<R>, records: readonly Omit<OutboxRecord<R>, 'topic'>[],
): Promise<void> {
  if (records.length === 0) return
  const value: readonly RowRecord[] = records.map(({ key, value, traceparent = null }) => ({ key, value, traceparent }))
  await tx.query(`INSERT INTO outbox (topic, key, value) VALUES ($1, '', $2)`, [topic.name, JSON.stringify(value)])
}

/** What the relay needs of a producer; `RecordProducer` of @stepcast/kafka fits. */
export interface OutboxProducer {
  send<R extends RecordName>(
    topic: Topic<R>, records: readonly { key: string; value: AvroRecords[R] | null; headers?: Readonly<Record<string, string>> }[],
  ): Promise<void>
}

/** What a relay is made of. */
export interface OutboxRelayOptions {
  readonly pool: Pool
  /** Connected at first use, so that a service starts while Kafka is away. */
  readonly producer: () => Promise<OutboxProducer>
  /** The topics whose records this service writes, to find them again by name. */
  readonly topics: readonly Topic[]
  readonly onError: (error: Error) => void
  /** How long rows wait for company before a run, milliseconds; 0 unless told. For writers who do not wait for Kafka. */
  readonly gatherMs?: number
  /** Rows read at once; 500 unless told, which of single records is about half a megabyte. */
  readonly rowsAtOnce?: number
}

interface RowRecord { readonly key: string; readonly value: AvroRecords[RecordName] | null; readonly traceparent: string | null }

/** A record, or several of one topic in an array; a value of a record is never an array. */
interface OutboxRow extends Omit<RowRecord, 'value'> { readonly id: number; readonly topic: string; readonly value: RowRecord['value'] | readonly RowRecord[] }

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
  private readonly waiting = new Map<number, Set<() => void>>()
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
   * Waits until Kafka has acknowledged these rows; false when it has not within `timeoutMs` (they are published later).
   * Call it after the commit.
   */
  async published(ids: readonly number[], { timeoutMs = 5_000 }: { timeoutMs?: number } = {}): Promise<boolean> {
    const mine: (readonly [number, () => void])[] = []
    const arrivals = ids.map((id) => new Promise<void>((resolve) => {
      mine.push([id, resolve])
      this.waiting.set(id, (this.waiting.get(id) ?? new Set()).add(resolve))
    }))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), timeoutMs)))
    this.kick()
    // Another process of this service may be the one that relays: then only the table tells.
    const elsewhere = setInterval(() => void this.settleThoseGone().catch(this.options.onError), 50)
    try {
      return (await Promise.race([Promise.all(arrivals), late])) !== 'late'
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
      try {
        if ((await this.relayBatch(rowsAtOnce)) < rowsAtOnce) return
      } catch (error) {
        this.options.onError(error as Error)
        await new Promise((resolve) => setTimeout(resolve, retryAfterMs))
        this.again = this.waiting.size > 0
        return
      }
    }
  }

  private async relayBatch(limit: number): Promise<number> {
    const { pool, topics } = this.options
    const rows = await inTransaction(pool, async (tx) => {
      const { rows: lock } = await tx.query<{ locked: boolean }>(`SELECT pg_try_advisory_xact_lock(${advisoryLock}) AS locked`)
      if (!lock[0]!.locked) {
        // Another process relays, and may have read before our rows were committed.
        setTimeout(() => this.kick(), busyRetryMs).unref()
        return []
      }
      const { rows: found } = await tx.query<OutboxRow>('SELECT id, topic, key, value, traceparent FROM outbox ORDER BY id LIMIT $1', [limit])
      if (found.length === 0) return found
      const producer = await this.options.producer()
      // Rows of one topic that stand together go together: the order across topics holds as well.
      for (const run of runsByTopic(found)) {
        const topic = topics.find(({ name }) => name === run[0]!.topic)
        if (topic === undefined) throw new Error(`the outbox holds a record for ${run[0]!.topic}, which this service does not write`)
        await producer.send(topic, run.flatMap(recordsOf).map(({ key, value, traceparent }) => ({ key, value, ...(traceparent ? { headers: { traceparent } } : {}) })))
      }
      // failpoint: after-relay
      await tx.query('DELETE FROM outbox WHERE id = ANY($1::bigint[])', [found.map(({ id }) => id)])
      return found
    })
    rows.forEach(({ id }) => this.arrived(id))
    return rows.length
  }

  private arrived(id: number): void {
    this.waiting.get(id)?.forEach((resolve) => resolve())
  }

  private async settleThoseGone(): Promise<void> {
    const ids = [...this.waiting.keys()]
    if (ids.length === 0 || this.running) return
    const { rows } = await this.options.pool.query<{ id: number }>('SELECT id FROM outbox WHERE id = ANY($1::bigint[])', [ids])
    const still = new Set(rows.map(({ id }) => id))
    ids.filter((id) => !still.has(id)).forEach((id) => this.arrived(id))
    if (still.size > 0) this.kick()
  }
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
