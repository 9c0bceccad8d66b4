// What a service tells Prometheus of Kafka: records it put aside, and how far its consumer groups are behind.
import { Counter, type Registry } from 'prom-client'
import type { KafkaConnection } from '@stepcast/kafka'
import { gaugeAtScrape, type Reading } from './metrics'

/** A consumer group and the topic it reads, both without prefix. */
export interface FollowedTopic {
  readonly groupId: string
  readonly topic: string
  /** Where it keeps its offsets itself, as replicas do; else Kafka is asked for the group's. */
  offsets?(): Promise<ReadonlyMap<number, number>>
}

/**
 * Registers the numbers of a connection. `followed`: consumer groups and replicas; `ownLag`: the lag of what keeps its
 * offsets elsewhere, with the labels group, topic and partition.
 */
export function kafkaMetrics(
  registry: Registry,
  connection: KafkaConnection,
  followed: readonly FollowedTopic[],
  ownLag?: () => Promise<readonly Reading[]>,
): void {
  const letters = new Counter({
    name: 'stepcast_dead_letters_total',
    help: 'Records put aside as dead letters, by the topic they came from and the reason.',
    labelNames: ['topic', 'reason'],
    registers: [registry],
  })
  connection.onDeadLetter = (topic, reason) => letters.inc({ topic, reason })
  if (followed.length === 0) return
  gaugeAtScrape(
    registry,
    {
      name: 'stepcast_consumer_lag_records',
      help: 'Records that a consumer group has not worked off, control records included.',
      labelNames: ['group', 'topic', 'partition'],
    },
    async () => (await Promise.all([...followed.map((one) => lagOf(connection, one)), ownLag?.() ?? []])).flat(),
  )
}

/** How far a group's committed offsets are behind the ends; from the first record kept where it has committed nothing. */
async function lagOf(connection: KafkaConnection, followed: FollowedTopic): Promise<Reading[]> {
  const { groupId, topic } = followed
  const [bounds, offsets] = await Promise.all([connection.offsets(topic), followed.offsets?.() ?? committedOffsets(connection, followed)])
  return [...bounds].map(([partition, { low, end }]) => ({
    labels: { group: groupId, topic, partition },
    value: Math.max(0, end - Math.max(low, offsets.get(partition) ?? -1)),
  }))
}

async function committedOffsets(connection: KafkaConnection, { groupId, topic }: FollowedTopic): Promise<ReadonlyMap<number, number>> {
  const committed = await (await connection.admin()).fetchOffsets({ groupId: connection.topicPrefix + groupId, topics: [connection.physical(topic)] })
  return new Map(committed.flatMap(({ partitions }) => partitions).map(({ partition, offset }) => [partition, Number(offset)]))
}
