// Follows stepcast.sequences.v1 into the tables, from the offsets stored beside the numbers.
import type { Pool } from 'pg'
import { Counter, type Registry } from 'prom-client'
import { topics, type SequenceChanged } from '@stepcast/contracts'
import { consumeRecords, type BatchContext, type IncomingRecord, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { changeProblem } from './asItStands'
import { foldBatch } from './fold'

/** What the projector needs. */
export interface ProjectorOptions {
  readonly connection: KafkaConnection
  readonly pool: Pool
  readonly groupId: string
  /** Sequences that started before this moment (ms) were taken over with their numbers; a rebuild's. */
  readonly takenOverBefore?: number
  /** Called before a batch is folded that begins behind what was folded; a rebuild's, which has what is missing from elsewhere. */
  readonly onMissing?: (partition: number, before: number) => Promise<void>
  /** Where its counters are shown; absent: nowhere. */
  readonly registry?: Registry
  /** Called after each batch is committed and before Kafka's offset moves. */
  readonly onFolded?: () => Promise<void>
}

// About 2 MB of records a transaction, four partitions at a time.
const maxRecords = 4_000

/** Keeps the tables up to date until it is stopped. */
export async function startProjector(options: ProjectorOptions): Promise<RunningConsumer> {
  const { connection, pool, groupId, registry, takenOverBefore = null, onMissing, onFolded } = options
  const counted = countChanges(registry)

  const take = async (records: readonly IncomingRecord<'SequenceChanged'>[], batch: BatchContext<'SequenceChanged'>): Promise<void> => {
    const own = await countable(records, batch)
    if (own.length > 0) await onMissing?.(batch.partition, own[0]!.logPosition)
    const { folded, unknown, gap } = await foldBatch(pool, batch.partition, own, batch.nextOffset, takenOverBefore)
    // failpoint: after-fold-commit
    counted.inc({ result: 'folded' }, folded)
    counted.inc({ result: 'repeated' }, own.length - folded - unknown)
    counted.inc({ result: 'unknown' }, unknown)
    if (gap) {
      const [first, last] = gap
      connection.log.warn({ partition: batch.partition, first, last }, 'changes are missing from the topic; they count nowhere')
    }
    await onFolded?.()
  }

  return consumeRecords(connection, {
    topic: topics.sequences,
    groupId,
    keyRequired: true,
    maxRecords,
    fromBeginning: true,
    startAt: (partition) => startAt(connection, pool, partition),
    handle: take,
  })
}

/** The changes that can be counted here; the others are put aside. */
async function countable(
  records: readonly IncomingRecord<'SequenceChanged'>[],
  batch: BatchContext<'SequenceChanged'>,
): Promise<SequenceChanged[]> {
  const own: SequenceChanged[] = []
  const aside: Promise<void>[] = []
  for (const record of records) {
    const change = record.value!
    const problem = change.logPartition === batch.partition ? changeProblem(change) : null
    if (change.logPartition !== batch.partition) {
      aside.push(
        batch.deadLetter(record, 'wrong_partition', `logPartition is ${change.logPartition}; only the orchestrator writes this topic`),
      )
    } else if (problem !== null) aside.push(batch.deadLetter(record, 'invalid_change', problem))
    else own.push(change)
  }
  await Promise.all(aside)
  return own
}

/** The offset to read on from, of each partition of which something was read. */
export async function foldedTo(pool: Pool): Promise<ReadonlyMap<number, number>> {
  const { rows } = await pool.query<{ partition: number; next_offset: number }>('SELECT partition, next_offset FROM positions')
  return new Map(rows.map((row) => [row.partition, row.next_offset]))
}

async function startAt(connection: KafkaConnection, pool: Pool, partition: number): Promise<number> {
  const { rows } = await pool.query<{ next_offset: number; now: number }>(
    `SELECT coalesce((SELECT next_offset FROM positions WHERE partition = $1), 0) AS next_offset, (extract(epoch FROM now()) * 1000)::bigint AS now`,
    [partition],
  )
  const { next_offset: stored, now } = rows[0]!
  const { low, end } = (await connection.offsets(topics.sequences.name)).get(partition) ?? { low: 0, end: 0 }
  if (stored > end) {
    throw new Error(
      `partition ${partition} of ${topics.sequences.name} ends at ${end}, but ${stored} records were folded: another ` +
        'cluster, or one that lost data. Restore it, or count anew what it and the event store hold: node apps/metrics-svc/dist/rebuild.js',
    )
  }
  const next = Math.max(stored, low)
  if (next >= end) await sayComplete(pool, partition, next, now)
  return next
}

// Nothing waits: the numbers are complete up to now, also while nothing comes or what comes next is not folded. Whoever folds at this moment
// knows better, so a row that is locked is left alone.
async function sayComplete(pool: Pool, partition: number, next: number, now: number): Promise<void> {
  await pool.query(
    `WITH known AS (SELECT FROM positions WHERE partition = $1), free AS (SELECT partition FROM positions WHERE partition = $1 FOR UPDATE SKIP LOCKED),
       moved AS (UPDATE positions SET recorded_at = greatest(recorded_at, to_timestamp($3::bigint / 1000.0)), next_offset = greatest(next_offset, $2)
                 WHERE partition IN (SELECT partition FROM free))
     INSERT INTO positions (partition, log_position, next_offset, recorded_at)
     SELECT $1::int, 0, $2, to_timestamp($3::bigint / 1000.0) WHERE NOT EXISTS (SELECT FROM known) ON CONFLICT DO NOTHING`,
    [partition, next, now],
  )
}

function countChanges(registry: Registry | undefined): Counter<'result'> {
  return new Counter({
    name: 'stepcast_metrics_changes_total',
    help: 'Changes read: folded, repeated (counted before), unknown (their start was trimmed).',
    labelNames: ['result'],
    registers: registry ? [registry] : [],
  })
}
