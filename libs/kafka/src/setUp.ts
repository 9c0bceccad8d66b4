// Set-up of a cluster: topics with their retention, schemas with their compatibility. Safe to repeat.
import type { Admin, ITopicMetadata } from 'kafkajs'
import { subjectOf, topics, type Finding, type Topic } from '@stepcast/contracts'
import { KafkaConnection } from './connection'
import type { KafkaConfig, RegistryConfig } from './config'
import { ConfigError } from './configError'
import { silentLog } from './log'
import { RegistryUnavailable } from './registry'
import { rightsProblems } from './rights'
import { describeTopics, judgeTopics } from './topicsAsTheyAre'
import { allTopics, topicConfig } from './topicSettings'

/** What to set up. */
export interface SetUpOptions {
  readonly kafka: KafkaConfig
  readonly registry: RegistryConfig
  /** P, fixed at install: partitions of every topic but the single ones. */
  readonly partitions: number
  readonly replicationFactor: number
  readonly onProgress?: (line: string) => void
}

const leadersWithinMs = 30_000

// By hand: the client's own `waitForLeaders` gives up when the broker it asks has not heard of the topic yet.
async function metadataWithLeaders(admin: Admin, names: string[]): Promise<ITopicMetadata[]> {
  const deadline = Date.now() + leadersWithinMs
  for (;;) {
    const problem = await admin.fetchTopicMetadata({ topics: names }).then(
      ({ topics: found }) =>
        found.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))
          ? found
          : new Error('some partitions have no leader'),
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
async function warnOfLostSchemas(
  connection: KafkaConnection,
  registry: RegistryConfig,
  existing: ReadonlySet<string>,
  say: (line: string) => void,
): Promise<void> {
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

/** @throws ConfigError with all errors among findings */
export function throwErrors(findings: readonly Finding[]): void {
  const errors = findings.filter(({ kind }) => kind === 'error')
  if (errors.length > 0) throw new ConfigError(errors.map(({ text }) => text).join('\n'))
}

/**
 * Creates the topics that are missing, checks partitions and settings of those that were there, registers the schemas with BACKWARD
 * compatibility, or the stricter one that a subject has.
 * @throws ConfigError naming every topic with another number of partitions, or settings that would lose records; Error with the registry's words when a schema is incompatible.
 */
export async function setUpCluster(options: SetUpOptions): Promise<void> {
  const { kafka, registry, partitions, replicationFactor, onProgress = () => {} } = options
  const connection = new KafkaConnection({ kafka, registry, log: silentLog })
  try {
    const admin = await connection.admin()
    const existing = new Set(await admin.listTopics())
    const wanted = allTopics.map((topic) => topicConfig(topic, connection.physical(topic.name), partitions, replicationFactor))
    const missing = wanted.filter(({ topic }) => !existing.has(topic))
    if (missing.length > 0) {
      await admin.createTopics({ topics: missing, waitForLeaders: false, timeout: 30_000 })
      onProgress(`created ${missing.length} topics`)
    }
    const found = await metadataWithLeaders(
      admin,
      wanted.map(({ topic }) => topic),
    )
    const findings = judgeTopics(
      connection,
      found,
      await describeTopics(
        admin,
        wanted.map(({ topic }) => topic),
      ),
      partitions,
    )
    // Of topics that were there the pre-flight has told.
    if (missing.length > 0)
      findings.push(
        ...(await rightsProblems(
          connection,
          kafka,
          missing.map(({ topic }) => topic),
          false,
        )),
      )
    for (const { text } of findings.filter(({ kind }) => kind === 'warning')) onProgress(`WARNING: ${text}`)
    throwErrors(findings)
    await warnOfLostSchemas(connection, registry, existing, onProgress)
    // One after another in the order of the list: a new registry gives the same ids each time. (It stores a schema that topics share once.)
    for (const topic of Object.values<Topic>(topics)) await connection.registry.register(topic)
    onProgress('registered the schemas')
  } finally {
    await connection.close()
  }
}
