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

/** @throws WrongCluster */
export function mustBeOurs(cursor: Cursor, clusterId: string, partition: number, bounds: Bounds): void {
  const wayOut = 'Point KAFKA_BROKERS at the cluster this database belongs to, or DATABASE_URL at a database of this cluster (a new one will do); `npm run reset` deletes the local ones.'
  if (cursor.clusterId !== clusterId) {
    throw new WrongCluster(`the database was filled from Kafka cluster ${cursor.clusterId}, this is cluster ${clusterId}: offsets mean nothing here. ${wayOut}`)
  }
  for (const [topic, stored, { end }] of [[sends, cursor.sendsOffset, bounds.sends], [engagements, cursor.engagementsOffset, bounds.engagements]] as const) {
    if (stored > end) {
      throw new WrongCluster(`partition ${partition} of ${topic} ends at ${end}, but was read to ${stored}: the cluster has lost records, or is another one. ${wayOut}`)
    }
  }
}

/** Where to read from, given the stored offset and the first that the topic still has. */
export function skipTrimmed(connection: KafkaConnection, partition: number, topic: string, stored: number, low: number): number {
  if (stored >= low) return stored
  connection.log.error({ topic, partition, from: stored, to: low }, 'records were deleted by retention before they were read')
  return low
}
