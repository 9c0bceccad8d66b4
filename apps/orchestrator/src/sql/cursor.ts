// The cursor of a home partition: locking it is the turn, its epoch tells whether the partition is still ours.
import type { Pool, PoolClient } from 'pg'
import { withPatience, type Queryable } from '@stepcast/postgres'

/** What was read, written and published of a partition. */
export interface Cursor {
  readonly clusterId: string
  readonly ownerEpoch: number
  readonly sendsOffset: number
  readonly engagementsOffset: number
  readonly logPosition: number
  readonly publishedPosition: number
}

/** What a turn learns with its lock. */
export interface LockedCursor extends Cursor {
  /** The database's clock, milliseconds: the turn's time. */
  readonly now: number
}

const columns = `cluster_id AS "clusterId", owner_epoch AS "ownerEpoch", sends_offset AS "sendsOffset",
  engagements_offset AS "engagementsOffset", log_position AS "logPosition", published_position AS "publishedPosition",
  (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now`

/** Locks the cursor; null when there is none yet. Waits at most about 3 s for a stuck holder, then ends that holder's session. */
export function lockCursor(pool: Pool, tx: PoolClient, partition: number): Promise<LockedCursor | null> {
  return withPatience(pool, tx, async () => {
    // The clock is read after the lock is had: clock_timestamp() is evaluated as the row is returned.
    const { rows } = await tx.query<LockedCursor>({
      name: 'lock-cursor',
      text: `SELECT ${columns} FROM cursors WHERE partition = $1 FOR UPDATE`,
      values: [partition],
    })
    return rows[0] ?? null
  })
}

/**
 * Makes the cursor of a partition that has none. Looks first: ON CONFLICT alone waits for whoever is changing the row that is there, and a
 * process stopped in its turn would be waited for without the patience of {@link lockCursor}.
 */
export async function insertCursor(
  db: Queryable,
  partition: number,
  clusterId: string,
  offsets: { sends: number; engagements: number },
): Promise<void> {
  await db.query(
    `INSERT INTO cursors (partition, cluster_id, sends_offset, engagements_offset) SELECT $1::int, $2, $3::bigint, $4::bigint
     WHERE NOT EXISTS (SELECT FROM cursors WHERE partition = $1) ON CONFLICT DO NOTHING`,
    [partition, clusterId, offsets.sends, offsets.engagements],
  )
}

/** Makes this process the owner: every turn of an earlier owner finds another epoch and gives the partition up. */
export async function raiseEpoch(tx: PoolClient, partition: number): Promise<number> {
  const { rows } = await tx.query<{ owner_epoch: number }>(
    'UPDATE cursors SET owner_epoch = owner_epoch + 1 WHERE partition = $1 RETURNING owner_epoch',
    [partition],
  )
  return rows[0]!.owner_epoch
}

/** Up to where each partition has read its sends, whoever owns it. */
export async function sendsOffsets(db: Queryable): Promise<ReadonlyMap<number, number>> {
  const { rows } = await db.query<{ partition: number; sendsOffset: number }>({
    name: 'sends-offsets',
    text: 'SELECT partition, sends_offset AS "sendsOffset" FROM cursors',
  })
  return new Map(rows.map(({ partition, sendsOffset }) => [partition, sendsOffset]))
}
