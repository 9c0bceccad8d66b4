// Whose a partition is: the epoch of its cursor. Raised by whoever takes it over, held against by every turn of whoever had it.
import type { Pool } from 'pg'
import type { KafkaConnection } from '@stepcast/kafka'
import { topics } from '@stepcast/contracts'
import { inTransaction } from '@stepcast/postgres'
import { boundsOf, mustBeOurs, skipTrimmed } from './cluster'
import { insertCursor, lockCursor, raiseEpoch, type Cursor } from './sql/cursor'
import { PartitionLost } from './turn'

/** What an owner begins with. */
export interface Ownership {
  readonly cursor: Cursor
  /** Where to read on: the stored offsets, or the first that the topics still have. */
  readonly sendsOffset: number
  readonly engagementsOffset: number
}

/**
 * Makes this process the owner of a partition (`epoch` null: it is raised), or finds that it still is.
 * @throws PartitionLost when another process has raised the epoch; WrongCluster when the cursor is of another Kafka
 */
export async function ownPartition(
  { pool, connection }: { readonly pool: Pool; readonly connection: KafkaConnection },
  partition: number,
  clusterId: string,
  epoch: number | null,
): Promise<Ownership> {
  const bounds = await boundsOf(connection, partition)
  // A statement of its own: uncommitted, the row of a process that stands still would hold up its successor, who has no patience here.
  await insertCursor(pool, partition, clusterId, { sends: bounds.sends.low, engagements: bounds.engagements.low })
  const cursor = await inTransaction(pool, async (tx): Promise<Cursor> => {
    const locked = (await lockCursor(pool, tx, partition))!
    if (epoch === null) return { ...locked, ownerEpoch: await raiseEpoch(tx, partition) }
    if (locked.ownerEpoch !== epoch) throw new PartitionLost(`partition ${partition} has another owner`)
    return locked
  })
  await mustBeOurs(cursor, clusterId, partition, bounds, () => boundsOf(connection, partition))
  return {
    cursor,
    sendsOffset: skipTrimmed(connection, partition, topics.sends.name, cursor.sendsOffset, bounds.sends.low),
    engagementsOffset: skipTrimmed(connection, partition, topics.engagements.name, cursor.engagementsOffset, bounds.engagements.low),
  }
}
