// Follows stepcast.sequences.v1 into the tables, from the offsets stored beside the numbers.
import type { Pool } from 'pg'
import { Counter, type Registry } from 'prom-client'
import { topics, type SequenceChanged } from '@stepcast/contracts'
import { consumeRecords, type BatchContext, type IncomingRecord, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { foldBatch } from './fold'

/** What the projector needs. */
export interface ProjectorOptions {
  readonly connection: KafkaConnection
  readonly pool: Pool
  readonly groupId: string
  /** Where its counters are shown; absent: nowhere. */
  readonly registry?: Registry
  /** Called after each batch is committed and before Kafka's offset moves. */
  readonly onFolded?: () => Promise<void>
}

// About 2 MB of records a transaction. Folding by 4,000 and four partitions at a time made 12,000 changes/s on two busy cores.
const maxRecords = 4_000

/** Keeps the tables up to date until it is stopped. */
export async function startProjector(options: ProjectorOptions): Promise<RunningConsumer> {
  const { connection, pool, groupId, registry, onFolded } = options
  const changes = countChanges(registry)

  const take = async (records: readonly IncomingRecord<'SequenceChanged'>[], batch: BatchContext<'SequenceChanged'>): Promise<void> => {
    const own: SequenceChanged[] = []
    for (const record of records) {
      const change = record.value!
      if (change.logPartition === batch.partition) own.push(change)
      else await batch.deadLetter(record, 'wrong_partition', `logPartition is ${change.logPartition}; only the orchestrator writes this topic`)
    }
    const { folded, unknown, gap } = await foldBatch(pool, batch.partition, own, batch.nextOffset)
    // failpoint: after-fold-commit
    changes.inc({ result: 'folded' }, folded)
    changes.inc({ result: 'repeated' }, own.length - folded - unknown)
    changes.inc({ result: 'unknown' }, unknown)
    if (gap) {
      const [first, last] = gap
      connection.log.warn({ partition: batch.partition, first, last }, 'changes are missing from the topic; they count nowhere')
    }
    await onFolded?.()
  }

  return consumeRecords(connection, {
    topic: topics.sequences, groupId, keyRequired: true, maxRecords, fromBeginning: true,
    startAt: (partition) => startAt(connection, pool, partition), handle: take,
  })
}

/** The offset to read on from, of each partition of which something was read. */
export async function foldedTo(pool: Pool): Promise<ReadonlyMap<number, number>> {
  const { rows } = await pool.query<{ partition: number; next_offset: number }>('SELECT partition, next_offset FROM positions')
  return new Map(rows.map((row) => [row.partition, row.next_offset]))
}

async function startAt(connection: KafkaConnection, pool: Pool, partition: number): Promise<number> {
  const { rows } = await pool.query<{ next_offset: number }>('SELECT next_offset FROM positions WHERE partition = $1', [partition])
  const stored = rows[0]?.next_offset ?? 0
  const { low, end } = (await connection.offsets(topics.sequences.name)).get(partition) ?? { low: 0, end: 0 }
  if (stored > end) {
    throw new Error(`partition ${partition} of ${topics.sequences.name} ends at ${end}, but ${stored} records were folded: another `
      + 'cluster, or one that lost data. Restore it, or count anew what it holds: node apps/metrics-svc/dist/rebuild.js --accept-trimmed')
  }
  return Math.max(stored, low)
}

function countChanges(registry: Registry | undefined): Counter<'result'> {
  return new Counter({
    name: 'stepcast_metrics_changes_total', help: 'Changes read: folded, repeated (counted before), unknown (their start was trimmed).',
    labelNames: ['result'], registers: registry ? [registry] : [],
  })
}
