// The last resort's doing: what no turn can work off is put out of the way of all others, by the owner of the partition alone.
import type { Pool, PoolClient } from 'pg'
import { inTransaction } from '@stepcast/postgres'
import { takeJobs } from './sql/cancels'
import { lockCursor, type Cursor } from './sql/cursor'
import { takeReconsiderations } from './sql/reconsiderations'
import { putOffTimer } from './sql/timers'
import { PartitionLost } from './turn'

// A new version may mend what this one cannot do; until then one try in ten minutes costs nobody anything.
const putOffMs = 10 * 60_000

/** The first timer due at `upTo` waits ten minutes; answers its sequence. */
export function timerAside(pool: Pool, partition: number, owner: Pick<Cursor, 'ownerEpoch'>, upTo: number): Promise<string | null> {
  return asOwner(pool, partition, owner, (tx, now) => putOffTimer(tx, partition, upTo, now + putOffMs))
}

/**
 * The first sequence that a cancel job reaches, or else a change of quiet hours, is passed by; answers it. The cancel's tombstone still
 * forbids it any further step, once a turn can read it; and what is deferred is asked again at its time.
 */
export function jobAside(pool: Pool, partition: number, owner: Pick<Cursor, 'ownerEpoch'>): Promise<string | null> {
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
