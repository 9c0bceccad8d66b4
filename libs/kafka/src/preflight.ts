// Looks at a Kafka cluster and a schema registry before anything is made on them: addresses, TLS, sign-in, rights, topics, subjects.
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { subjectOf, topics, type Finding, type Topic } from '@stepcast/contracts'
import { withBrokers, type Brokers } from './brokers'
import { judgeLevel } from './compatibility'
import { clientOptions, type KafkaConfig, type RegistryConfig } from './config'
import { Registry } from './registry'
import { rightsProblems, userOf } from './rights'
import { describeTopics, judgeTopics } from './topicsAsTheyAre'
import { allTopics, topicConfig } from './topicSettings'
import { askListener, type ListenerAnswer } from './wireProbe'

/** What is looked at on a cluster. */
export interface KafkaPreflight {
  readonly kafka: KafkaConfig
  readonly partitions: number
  /** -1: the broker's own default. */
  readonly replicationFactor: number
  /** Whether services will run as the user who looks: what they may not do then is an error, else a warning. */
  readonly servicesRunAsUs: boolean
}

const error = (text: string): Finding => ({ kind: 'error', text })
const warning = (text: string): Finding => ({ kind: 'warning', text })

/** Everything about a cluster that stands in the way, each in a sentence that names its variable; some 12 s at most where a broker does not answer. */
export async function checkKafka(look: KafkaPreflight): Promise<Finding[]> {
  const { kafka } = look
  const listeners = await checkListeners(kafka)
  if (listeners.some(({ kind }) => kind === 'error')) return listeners
  // A look, not a service: what does not answer at once is told.
  const options = {
    ...clientOptions(kafka),
    connectionTimeout: 3_000,
    authenticationTimeout: 5_000,
    requestTimeout: 6_000,
    retry: { initialRetryTime: 100, retries: 1 },
    logLevel: logLevel.NOTHING,
  }
  const client = new Kafka(options)
  const { made: admin, brokers } = withBrokers(client, () => client.admin())
  try {
    await admin.connect()
    return [...listeners, ...(await checkAdvertised(admin, kafka)), ...(await checkTopics(admin, brokers, look))]
  } catch (cause) {
    return [...listeners, error(clientProblem(kafka, cause as Error))]
  } finally {
    // It waits for requests under way, which may never be answered.
    void admin.disconnect().catch(() => {})
  }
}

/** Every address of KAFKA_BROKERS: one that works is enough, and what is wrong with TLS or the sign-in is wrong with all. */
async function checkListeners(kafka: KafkaConfig): Promise<Finding[]> {
  const { ssl = false } = clientOptions(kafka)
  const mechanism = kafka.sasl?.mechanism.toUpperCase() ?? null
  const answers = await Promise.all(
    kafka.brokers.map(async (broker) => {
      const { host, port } = addressOf(broker)
      return { broker, answer: await askListener(host, port, ssl, mechanism) }
    }),
  )
  const findings = answers.flatMap(({ broker, answer }) => {
    const text = listenerProblem(broker, answer, kafka)
    return text === null ? [] : [{ unreachable: answer.kind === 'unreachable', text }]
  })
  const oneWorks = findings.length < answers.length
  return findings.map(({ unreachable, text }) => (unreachable && oneWorks ? warning(text) : error(text)))
}

function addressOf(broker: string): { host: string; port: number } {
  const colon = broker.lastIndexOf(':')
  return { host: broker.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(broker.slice(colon + 1)) }
}

function listenerProblem(broker: string, answer: ListenerAnswer, { sasl, ssl }: KafkaConfig): string | null {
  switch (answer.kind) {
    case 'unreachable':
      return `KAFKA_BROKERS: no Kafka answers at ${broker} (${answer.code}). Is it running, and is this its address?`
    case 'tls':
      return `KAFKA_SSL is not set, but ${broker} speaks TLS: set KAFKA_SSL=true, or give a listener without TLS in KAFKA_BROKERS`
    case 'not tls':
      return `KAFKA_SSL is set, but ${broker} does not speak TLS: unset KAFKA_SSL, or give its TLS listener in KAFKA_BROKERS`
    case 'handshake':
      return `KAFKA_SSL: ${broker} and Stepcast do not agree on TLS (${answer.reason}): KAFKA_SSL_CA names the authority of its certificate, KAFKA_SSL_CERT and KAFKA_SSL_KEY a certificate of ours where it wants one`
    case 'not kafka':
      return `KAFKA_BROKERS: what answers at ${broker} is not Kafka${ssl ? '' : ', or a listener that wants TLS (KAFKA_SSL=true)'}`
    case 'kafka':
      return signInProblem(broker, answer.mechanisms, sasl)
  }
}

function signInProblem(broker: string, offered: readonly string[] | null, sasl: KafkaConfig['sasl']): string | null {
  if (offered === null)
    return sasl === null
      ? null
      : `KAFKA_SASL_MECHANISM is set, but ${broker} wants no sign-in: unset it, or give the listener that does in KAFKA_BROKERS`
  if (sasl === null)
    return `KAFKA_SASL_MECHANISM is not set, but ${broker} wants a sign-in (${offered.join(', ').toLowerCase()}): set KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`
  if (offered.length === 0 || offered.includes(sasl.mechanism.toUpperCase())) return null
  return `KAFKA_SASL_MECHANISM is ${sasl.mechanism}, but ${broker} takes ${offered.join(', ').toLowerCase()}`
}

/** What the client said of a cluster whose listeners answer. */
function clientProblem({ brokers, sasl }: KafkaConfig, cause: Error): string {
  const { name, message, type } = cause as Error & { type?: string }
  const user = sasl !== null && 'username' in sasl ? ` of ${sasl.username}` : ''
  if (name === 'KafkaJSSASLAuthenticationError' || /SASL|authentication/i.test(message))
    return `KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: Kafka refuses the sign-in${user} (${message})`
  if (/AUTHORIZATION/.test(type ?? ''))
    return `KAFKA_SASL_USERNAME: Kafka does not let the user${user} look at the cluster (${message}): docs/topics.md lists the ACLs`
  return `KAFKA_BROKERS: ${brokers.join(',')} answers, and then it does not work: ${message}`
}

/** Clients are sent to the addresses that brokers advertise, and these must lead there too. */
async function checkAdvertised(admin: Admin, kafka: KafkaConfig): Promise<Finding[]> {
  const { brokers } = await admin.describeCluster()
  const answers = await Promise.all(
    brokers.map(async ({ host, port }) => ({
      broker: `${host}:${port}`,
      answer: await askListener(host, port, clientOptions(kafka).ssl ?? false, kafka.sasl?.mechanism.toUpperCase() ?? null),
    })),
  )
  const away = answers.filter(({ answer }) => answer.kind === 'unreachable').map(({ broker }) => broker)
  if (away.length === 0) return []
  const text = `KAFKA_BROKERS: Kafka sends its clients to ${away.join(', ')} (advertised.listeners), where nothing answers from here`
  return [away.length === brokers.length ? error(text) : warning(text)]
}

async function checkTopics(
  admin: Admin,
  brokers: Brokers,
  { kafka, partitions, replicationFactor, servicesRunAsUs }: KafkaPreflight,
): Promise<Finding[]> {
  const physical = (name: string): string => kafka.topicPrefix + name
  const seen = new Set(await admin.listTopics())
  const existing = allTopics.map(({ name }) => physical(name)).filter((name) => seen.has(name))
  const found = existing.length === 0 ? [] : (await admin.fetchTopicMetadata({ topics: existing })).topics
  // Of settings the set-up warns, right after this look.
  const settings = judgeTopics({ physical }, found, await describeTopics(admin, existing), partitions).filter(
    ({ kind }) => kind === 'error',
  )
  const rights = await rightsProblems(brokers, kafka, existing, servicesRunAsUs)
  const missing = allTopics
    .filter(({ name }) => !seen.has(physical(name)))
    .map((topic) => topicConfig(topic, physical(topic.name), partitions, replicationFactor))
  if (missing.length === 0) return [...settings, ...rights]
  try {
    await admin.createTopics({ topics: missing, validateOnly: true, waitForLeaders: false, timeout: 5_000 })
    return [...settings, ...rights]
  } catch (cause) {
    return [...settings, ...creationProblems(cause as Error, kafka), ...rights]
  }
}

interface CreationError {
  readonly topic?: string
  readonly type?: string
  readonly message: string
  readonly errors?: readonly CreationError[]
}

/** Topics that could not be made, by what stands in the way. */
function creationProblems(cause: CreationError, kafka: KafkaConfig): Finding[] {
  const byReason = new Map<string, { message: string; names: string[] }>()
  for (const { type = '', message, topic } of cause.errors ?? [cause]) {
    const reason = byReason.get(type) ?? { message, names: [] }
    if (topic !== undefined) reason.names.push(topic)
    byReason.set(type, reason)
  }
  const user = userOf(kafka)
  return [...byReason].map(([type, { message, names }]) => {
    const which = names.join(', ') || 'the topics'
    if (/AUTHORIZATION/.test(type))
      return error(`KAFKA_SASL_USERNAME: ${user} may not create ${which}: give it Create, or have them made as docs/topics.md says`)
    if (type === 'TOPIC_ALREADY_EXISTS')
      return error(
        `KAFKA_SASL_USERNAME: ${user} may not see ${which}, which exist: give it Describe, Read and Write, as docs/topics.md says`,
      )
    if (type === 'INVALID_REPLICATION_FACTOR')
      return error(`KAFKA_REPLICATION_FACTOR: Kafka cannot make ${which} with that many replicas (${message})`)
    return error(`KAFKA_BROKERS: Kafka refuses to make ${which} (${message})`)
  })
}

const registryApi = '/apis/ccompat/v7'

/** Everything about a registry that stands in the way; 12 s at most where it does not answer. */
export async function checkRegistry(config: RegistryConfig): Promise<Finding[]> {
  const problem = await addressProblem(config)
  if (problem !== null) return [error(problem)]
  const registry = new Registry(config)
  try {
    const present = new Set(await registry.subjects())
    const findings = await Promise.all(
      Object.values<Topic>(topics).map(async (topic): Promise<Finding[]> => {
        const subject = subjectOf(topic.name)
        const weak = judgeLevel(subject, await registry.levelOf(subject))
        if (weak !== null) return [error(`SCHEMA_REGISTRY_URL: ${weak}`)]
        if (!present.has(subject) || (await registry.takes(topic))) return []
        return [
          error(
            `SCHEMA_REGISTRY_URL: under the subject ${subject} is a schema that ${topic.record} of this version may not follow: is it another system's, or a newer version's?`,
          ),
        ]
      }),
    )
    return findings.flat()
  } catch (cause) {
    return [error(`SCHEMA_REGISTRY_URL: ${(cause as Error).message}`)]
  }
}

/** Whether a Confluent API answers at the address, and what is wrong if not. */
async function addressProblem({ url, auth }: RegistryConfig): Promise<string | null> {
  const said = await subjectsAt(url, auth)
  switch (said.kind) {
    case 'subjects':
      return null
    case 'away':
      return `SCHEMA_REGISTRY_URL: no schema registry answers at ${new URL(url).host} (${said.reason}). Is it running, and is this its address?`
    case 'refused':
      return auth === null
        ? `SCHEMA_REGISTRY_AUTH is not set, but the schema registry at ${url} wants a sign-in (${said.status}): SCHEMA_REGISTRY_AUTH=user:password`
        : `SCHEMA_REGISTRY_AUTH: the schema registry at ${url} refuses the sign-in (${said.status})`
    case 'other': {
      const { origin } = new URL(url)
      for (const path of [registryApi, '']) {
        if (origin + path !== url && (await subjectsAt(origin + path, auth)).kind === 'subjects') {
          return `SCHEMA_REGISTRY_URL: ${url} is not the Confluent API of a schema registry, ${origin}${path} is: SCHEMA_REGISTRY_URL=${origin}${path}`
        }
      }
      return `SCHEMA_REGISTRY_URL: ${url} is not the Confluent API of a schema registry (${said.status} for ${url}/subjects); Apicurio's is at ${registryApi}`
    }
  }
}

type SubjectsAnswer =
  | { readonly kind: 'subjects' }
  | { readonly kind: 'away'; readonly reason: string }
  | { readonly kind: 'refused' | 'other'; readonly status: number }

async function subjectsAt(url: string, auth: string | null): Promise<SubjectsAnswer> {
  try {
    const headers: Record<string, string> = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
    const response = await fetch(`${url}/subjects`, { headers, signal: AbortSignal.timeout(4_000) })
    const { status } = response
    const text = await response.text()
    if (status === 401 || status === 403) return { kind: 'refused', status }
    return response.ok && isList(text) ? { kind: 'subjects' } : { kind: 'other', status }
  } catch (cause) {
    const { name, message, cause: inner } = cause as Error & { cause?: { code?: string; message?: string } }
    return { kind: 'away', reason: name === 'TimeoutError' ? 'no answer within 4 s' : (inner?.code ?? inner?.message ?? message) }
  }
}

function isList(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text))
  } catch {
    return false
  }
}
