// Who reads which topic, and how far each of them is: as its own tables say, or as its group has committed to Kafka.
import type { Client } from 'pg'
import { topics, type Topic } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'

/** A reader of a topic-partition, and how far it is. */
export interface Standing {
  readonly reader: string
  readonly topic: string
  readonly partition: number
  /** The next offset it will read; -1: it has never read any. */
  readonly offset: number
}

type Offsets = ReadonlyMap<number, number>

/** Where readers say how far they are. */
interface Sources {
  readonly connection: KafkaConnection
  /** Of the services' database. */
  readonly client: Client
}

interface Reader {
  readonly reader: string
  readonly topic: Topic
  readonly offsets: (of: Sources) => Promise<Offsets>
}

/** Reads on from what its group has committed. */
const committing = (reader: string, topic: Topic): Reader => ({
  reader,
  topic,
  offsets: ({ connection }) => connection.committed(reader, topic.name),
})

/** Reads on from its own table; `sql` tells partition and offset. */
const storing = (reader: string, topic: Topic, sql: string, values: readonly string[] = []): Reader => ({
  reader,
  topic,
  offsets: async ({ client }) => {
    const { rows } = await client.query<{ partition: number; next: string }>(sql, [...values])
    return new Map(rows.map(({ partition, next }) => [partition, Number(next)]))
  },
})

const replicas = (service: string, of: readonly Topic[]): Reader[] =>
  of.map((topic) =>
    storing(
      `${service}.replica.${topic.name}`,
      topic,
      `SELECT partition, next_offset AS next FROM ${service.replaceAll('-', '_')}.replica_offsets WHERE topic = $1`,
      [topic.name],
    ),
  )

const { users, templates, workspaces } = topics

/** All of the product. Whoever is missing in its table stands at -1, so that nobody passes by never having begun. */
const readers: readonly Reader[] = [
  storing('orchestrator', topics.sends, 'SELECT partition, sends_offset AS next FROM orchestrator.cursors'),
  storing('orchestrator', topics.engagements, 'SELECT partition, engagements_offset AS next FROM orchestrator.cursors'),
  storing('metrics-svc', topics.sequences, 'SELECT partition, next_offset AS next FROM metrics_svc.positions'),
  committing('orchestrator.controls', topics.controls),
  committing('inapp-dispatcher', topics.inAppCommands),
  committing('push-dispatcher', topics.pushCommands),
  committing('sms-dispatcher', topics.smsCommands),
  committing('messenger-dispatcher', topics.kakaoCommands),
  ...replicas('orchestrator', [users, templates, workspaces]),
  ...['push-dispatcher', 'sms-dispatcher', 'messenger-dispatcher'].flatMap((service) => replicas(service, [users, templates, workspaces])),
  ...replicas('inapp-dispatcher', [users, templates]),
  ...replicas('send-svc', [templates]),
  ...replicas('metrics-svc', [templates]),
]

/** How many services read a topic. */
export const readersOf = (topicName: string): number => readers.filter(({ topic }) => topic.name === topicName).length

/** How far everybody is, partition by partition. */
export async function standingsFrom(sources: Sources, partitions: number): Promise<Standing[]> {
  const all: Standing[] = []
  for (const { reader, topic, offsets } of readers) {
    const told = await offsets(sources)
    for (let partition = 0; partition < (topic.partitions === 'single' ? 1 : partitions); partition++)
      all.push({ reader, topic: topic.name, partition, offset: told.get(partition) ?? -1 })
  }
  return all
}
