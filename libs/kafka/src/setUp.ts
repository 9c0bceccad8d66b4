// Set-up of a cluster: topics with their retention, schemas with their compatibility. Safe to repeat.
import type { Admin, ITopicConfig, ITopicMetadata } from 'kafkajs'
import { deadLetterTopic, maxMessageBytes, subjectOf, topics, type Topic } from '@stepcast/contracts'
import { KafkaConnection } from './connection'
import type { KafkaConfig, RegistryConfig } from './config'
import { ConfigError } from './configError'
import { silentLog } from './log'
import { RegistryUnavailable } from './registry'

/** What to set up. */
export interface SetUpOptions {
  readonly kafka: KafkaConfig
  readonly registry: RegistryConfig
  /** P, fixed at install: partitions of every topic but the single ones. */
  readonly partitions: number
  readonly replicationFactor: number
  readonly onProgress?: (line: string) => void
}

const dayMs = 24 * 60 * 60 * 1000
/** Days in which a compacted topic forgets what was overwritten or erased, and for which it keeps the tombstone. */
const compactedWithinDays = 7

/**
 * What makes the published retention true. Kafka deletes whole segments: those of a topic kept for 7 days last a day, so that a record
 * lives 8 days at most and not 14. Compaction has no deadline of its own: where little else is written, a person's number would stay for
 * good (rule 22). Tombstones stay a week, so that a reader that was away as long still hears of an erasure.
 */
const retentionConfig = (retentionDays: number | null): Record<string, number> =>
  retentionDays === null
    ? { 'max.compaction.lag.ms': compactedWithinDays * dayMs, 'delete.retention.ms': compactedWithinDays * dayMs }
    : { 'retention.ms': retentionDays * dayMs, 'segment.ms': Math.min(7, retentionDays / 7) * dayMs }

const topicConfig = (
  name: string, partitions: number, { cleanup, retentionDays }: Pick<Topic, 'cleanup' | 'retentionDays'>, replicationFactor: number,
): ITopicConfig => ({
  topic: name, numPartitions: partitions, replicationFactor,
  configEntries: [
    { name: 'cleanup.policy', value: cleanup },
    ...Object.entries(retentionConfig(retentionDays)).map(([name, value]) => ({ name, value: String(value) })),
    { name: 'max.message.bytes', value: String(maxMessageBytes) },
    // As the producer wrote it, whatever the broker's own setting: a broker that compresses anew pays for it with each batch.
    { name: 'compression.type', value: 'producer' },
    ...(replicationFactor >= 3 ? [{ name: 'min.insync.replicas', value: '2' }] : []),
  ],
})

const leadersWithinMs = 30_000

// By hand: the client's own `waitForLeaders` gives up when the broker it asks has not heard of the topic yet.
async function metadataWithLeaders(admin: Admin, names: string[]): Promise<ITopicMetadata[]> {
  const deadline = Date.now() + leadersWithinMs
  for (;;) {
    const problem = await admin.fetchTopicMetadata({ topics: names }).then(
      ({ topics: found }) => (found.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0)) ? found : new Error('some partitions have no leader')),
      (error: Error) => error,
    )
    if (!(problem instanceof Error)) return problem
    if (Date.now() > deadline) throw problem
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/**
 * The registry's subjects.
 * @throws RegistryUnavailable
 */
async function subjectsOf({ url, auth }: RegistryConfig): Promise<ReadonlySet<string>> {
  const headers: Record<string, string> = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  const response = await fetch(`${url}/subjects`, { headers, signal: AbortSignal.timeout(10_000) }).catch((cause: Error) => {
    throw new RegistryUnavailable(`schema registry out of reach: ${cause.message}`)
  })
  if (!response.ok) throw new RegistryUnavailable(`schema registry answered ${response.status} for its subjects`)
  return new Set((await response.json()) as string[])
}

/** Warns of a registry that has lost its schemas: records refer to them by ids, and ids given anew may mean something else. */
async function warnOfLostSchemas(connection: KafkaConnection, registry: RegistryConfig, existing: ReadonlySet<string>, say: (line: string) => void): Promise<void> {
  const subjects = await subjectsOf(registry)
  const all = Object.values(topics)
  if (all.some(({ name }) => subjects.has(subjectOf(name)))) return
  const written: string[] = []
  for (const { name } of all) {
    if (!existing.has(connection.physical(name))) continue
    if ([...(await connection.offsets(name)).values()].some(({ low, end }) => end > low)) written.push(name)
  }
  if (written.length === 0) return
  say(
    `WARNING: the schema registry holds none of our schemas, but these topics hold records: ${written.join(', ')}. Records name their schema by its id. ` +
    'If the registry has lost its store, give that back and run the set-up again. Without it: the ids are the same as before only if this registry ' +
    'was new at the first set-up too and holds nothing else. Restart every service now, and look for the dead letters `unknown_schema` and `undecodable`.',
  )
}

/**
 * Creates the topics that are missing, checks that all `home` topics have the same number of partitions, registers the
 * schemas with BACKWARD compatibility.
 * @throws ConfigError when an existing topic has another number of partitions; Error with the registry's words when a schema is incompatible.
 */
export async function setUpCluster(options: SetUpOptions): Promise<void> {
  const { kafka, registry, partitions, replicationFactor, onProgress = () => {} } = options
  const connection = new KafkaConnection({ kafka, registry, log: silentLog })
  try {
    const admin = await connection.admin()
    const existing = new Set(await admin.listTopics())
    const wanted = [...Object.values(topics), deadLetterTopic].map((topic) =>
      topicConfig(connection.physical(topic.name), topic.partitions === 'home' ? partitions : 1, topic, replicationFactor))
    const missing = wanted.filter(({ topic }) => !existing.has(topic))
    if (missing.length > 0) {
      await admin.createTopics({ topics: missing, waitForLeaders: false, timeout: 30_000 })
      onProgress(`created ${missing.length} topics`)
    }
    const found = await metadataWithLeaders(admin, wanted.map(({ topic }) => topic))
    for (const { name, partitions: has } of found) {
      const expected = wanted.find(({ topic }) => topic === name)?.numPartitions
      if (has.length !== expected) {
        throw new ConfigError(
          `topic ${name} has ${has.length} partitions, this installation ${expected}: the number is fixed at install. ` +
          `Set STEPCAST_PARTITIONS to what the topics have, or use another cluster`,
        )
      }
    }
    await warnOfLostSchemas(connection, registry, existing, onProgress)
    // One after another in the order of the list: a new registry gives the same ids each time. (It stores a schema that topics share once.)
    for (const topic of Object.values<Topic>(topics)) await connection.registry.register(topic)
    onProgress('registered the schemas')
  } finally {
    await connection.close()
  }
}
