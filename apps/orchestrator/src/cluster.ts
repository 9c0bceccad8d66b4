// Whether a partition's stored offsets are those of the Kafka cluster at hand.
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import type { Cursor } from './sql/cursor'

/** This database belongs to another Kafka cluster, or the cluster lost data: refuses to go on and names the way out. */
export class WrongCluster extends Error {
  readonly retriable = false
}

const sends = topics.sends.name
const engagements = topics.engagements.name

/** First and next offsets of a partition's topics. */
export interface Bounds {
  readonly sends: { readonly low: number; readonly end: number }
  readonly engagements: { readonly low: number; readonly end: number }
}

/** Asks the brokers. */
export async function boundsOf(connection: KafkaConnection, partition: number): Promise<Bounds> {
  const [ofSends, ofEngagements] = await Promise.all([connection.offsets(sends), connection.offsets(engagements)])
  const nothing = { low: 0, end: 0 }
  return { sends: ofSends.get(partition) ?? nothing, engagements: ofEngagements.get(partition) ?? nothing }
}

/**
 * Whether a stored cursor belongs to this cluster.
 * @param bounds as the brokers told them before the cursor was read: whoever owned the partition then may have read on since
 * @param boundsNow asks the brokers once more
 * @throws WrongCluster
 */
export async function mustBeOurs(
  cursor: Cursor,
  clusterId: string,
  partition: number,
  bounds: Bounds,
  boundsNow: () => Promise<Bounds>,
): Promise<void> {
  const wayOut =
    'Point KAFKA_BROKERS at the cluster this database belongs to, or DATABASE_URL at a database of this cluster (a new one will do); `npm run reset` deletes the local ones.'
  if (cursor.clusterId !== clusterId) {
    throw new WrongCluster(
      `the database was filled from Kafka cluster ${cursor.clusterId}, this is cluster ${clusterId}: offsets mean nothing here. ${wayOut}`,
    )
  }
  if (pastEnd(cursor, bounds) === null) return
  const past = pastEnd(cursor, await boundsNow())
  if (past !== null) {
    throw new WrongCluster(
      `partition ${partition} of ${past.topic} ends at ${past.end}, but was read to ${past.stored}: the cluster has lost records, or is another one. ${wayOut}`,
    )
  }
}

function pastEnd(cursor: Cursor, bounds: Bounds): { readonly topic: string; readonly stored: number; readonly end: number } | null {
  const read = [
    { topic: sends, stored: cursor.sendsOffset, end: bounds.sends.end },
    { topic: engagements, stored: cursor.engagementsOffset, end: bounds.engagements.end },
  ]
  return read.find(({ stored, end }) => stored > end) ?? null
}

/** Where to read from, given the stored offset and the first that the topic still has. */
export function skipTrimmed(connection: KafkaConnection, partition: number, topic: string, stored: number, low: number): number {
  if (stored >= low) return stored
  connection.log.error({ topic, partition, from: stored, to: low }, 'records were deleted by retention before they were read')
  return low
}
