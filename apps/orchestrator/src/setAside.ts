// The last resort's doing: what no turn can work off is put out of the way of all others, by the owner of the partition alone.
import type { Pool, PoolClient } from 'pg'
import { errorClass } from '@stepcast/contracts'
import { writeDeadLetters } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { EngineMetrics } from './metrics'
import { takeJobs } from './sql/cancels'
import { lockCursor, type Cursor } from './sql/cursor'
import { takeReconsiderations } from './sql/reconsiderations'
import { putOffTimer } from './sql/timers'
import type { Kind } from './suspicion'
import type { Taking } from './taking'
import { PartitionLost, type TurnOptions } from './turn'

// A new version may mend what this one cannot do; until then one try in ten minutes costs nobody anything.
const putOffMs = 10 * 60_000

/** Whose input it is, and who has to know. */
export interface Aside {
  readonly partition: number
  readonly ownerEpoch: number
  readonly turn: Pick<TurnOptions, 'pool' | 'connection'>
  readonly metrics: Pick<EngineMetrics, 'setAside'>
  readonly taking: Pick<Taking, 'firstRecord' | 'pass'>
  /** Timers due at this instant were to fire. */
  readonly firedUpTo: number
}

/**
 * Puts the first input of a kind where it stops nobody.
 * @throws PartitionLost, and whatever PostgreSQL and Kafka throw: then it is where it was
 */
export async function setAside(
  kind: Kind,
  error: Error,
  { partition, ownerEpoch, turn, metrics, taking, firedUpTo }: Aside,
): Promise<void> {
  const { pool, connection } = turn
  let sequenceId: string | null = null
  switch (kind) {
    case 'sends':
    case 'reports': {
      const record = taking.firstRecord(kind)
      if (record === null) break
      await writeDeadLetters(connection, [{ record, reason: 'unprocessable', detail: `no turn can work it off: ${errorClass(error)}` }])
      taking.pass(kind)
      break
    }
    case 'timers':
      sequenceId = await timerAside(pool, partition, { ownerEpoch }, firedUpTo)
      break
    case 'jobs':
      sequenceId = await jobAside(pool, partition, { ownerEpoch })
      break
  }
  metrics.setAside(kind)
  connection.log.error(
    { partition, kind, sequenceId, errorClass: errorClass(error), at: framesOf(error) },
    'an input that no turn can work off was set aside',
  )
}

/** Where in the code an error arose, without its message, which may quote what people wrote. */
export const framesOf = ({ stack = '' }: Error): readonly string[] => stack.split(/\n\s+at /).slice(1, 6)

/** The first timer due at `upTo` waits ten minutes; answers its sequence. */
function timerAside(pool: Pool, partition: number, owner: Pick<Cursor, 'ownerEpoch'>, upTo: number): Promise<string | null> {
  return asOwner(pool, partition, owner, (tx, now) => putOffTimer(tx, partition, upTo, now + putOffMs))
}

/**
 * The first sequence that a cancel job reaches, or else a change of quiet hours, is passed by; answers it. The cancel's tombstone still
 * forbids it any further step, once a turn can read it; and what is deferred is asked again at its time.
 */
function jobAside(pool: Pool, partition: number, owner: Pick<Cursor, 'ownerEpoch'>): Promise<string | null> {
  return asOwner(
    pool,
    partition,
    owner,
    async (tx) => (await takeJobs(tx, partition, 1)).reached[0] ?? (await takeReconsiderations(tx, partition, 1)).reached[0] ?? null,
  )
}

function asOwner<T>(
  pool: Pool,
  partition: number,
  { ownerEpoch }: Pick<Cursor, 'ownerEpoch'>,
  work: (tx: PoolClient, now: number) => Promise<T>,
): Promise<T> {
  return inTransaction(pool, async (tx) => {
    const cursor = await lockCursor(pool, tx, partition)
    if (cursor === null || cursor.ownerEpoch !== ownerEpoch) throw new PartitionLost(`partition ${partition} has another owner`)
    return work(tx, cursor.now)
  })
}
