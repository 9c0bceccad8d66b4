// The schema registry as services use it at run time: schemas by id for readers, ids of our own schemas for writers.
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { avroSchemas, lookAgainMs, subjectOf, topics, type RecordName, type Topic } from '@stepcast/contracts'
import { atMost } from './atMost'
import type { RegistryConfig } from './config'
import { ConfigError } from './configError'
import { judgeLevel } from './compatibility'

/** The registry cannot be reached or answers with a server error; try again. */
export class RegistryUnavailable extends Error {
  readonly retriable = true
}

const requestTimeoutMs = 10_000
const lookPatienceMs = 1_000
const outOfReachMs = 5_000
const wayOut = 'Are the schemas registered? npm run set-up registers them'

const registerAttempts = 5
const registerAgainMs = 200

/** An id that we write with, as of the last look. */
interface WriterId {
  readonly id: number
  readonly at: number
}

/** Talks to a registry with Confluent's API. Answers are believed for half a minute: a registry whose store was lost gives ids out anew. */
export class Registry {
  private readonly client: SchemaRegistry
  private readonly writerIds = new Map<string, WriterId>()
  private readonly looking = new Map<string, Promise<number>>()

  constructor(private readonly config: RegistryConfig) {
    const [username, ...rest] = (config.auth ?? '').split(':')
    this.client = new SchemaRegistry({
      host: config.url,
      ...(config.auth ? { auth: { username: username!, password: rest.join(':') } } : {}),
    })
  }

  /**
   * The schema with this id as JSON; null when the registry answers that there is none. With a record named, null means more: the registry
   * holds our own schema of that record, so the id is its writer's mistake.
   * Not by the client library: it hands out compiled types of its own options and hides the 404.
   * @throws RegistryUnavailable when it is out of reach, or holds our own schema no more.
   */
  readonly schemaById = async (schemaId: number, record?: RecordName): Promise<unknown> => {
    if (schemaId < 1) return null
    const response = await this.ask(`/schemas/ids/${schemaId}`)
    if (response !== null) return JSON.parse((response as { schema: string }).schema)
    const topic = record === undefined ? undefined : Object.values<Topic>(topics).find((one) => one.record === record)
    if (topic !== undefined && (await this.idOf(topic)) === null) {
      throw new RegistryUnavailable(
        `the schema registry knows neither schema ${schemaId} nor our own of ${topic.record}: it has lost its schemas, or none were registered yet. ${wayOut}`,
      )
    }
    return null
  }

  /**
   * The id of our own schema of a topic. Schemas are registered at set-up, never at run time. Looked up again every half minute beside the work,
   * and before it only after a longer rest.
   * @throws RegistryUnavailable when the registry is out of reach and never answered, or does not hold the schema (any more).
   */
  async writerIdOf(topic: Topic): Promise<number> {
    const subject = subjectOf(topic.name)
    const known = this.writerIds.get(subject)
    if (known === undefined) return this.look(topic, subject)
    const age = Date.now() - known.at
    if (age < lookAgainMs) return known.id
    // An error is kept for the next call, which then finds nothing known.
    const looking = this.look(topic, subject).catch(() => {})
    if (age >= 2 * lookAgainMs) await atMost(looking, lookPatienceMs)
    return this.writerIds.get(subject)?.id ?? this.look(topic, subject)
  }

  /** One look at a time for each subject. */
  private look(topic: Topic, subject: string): Promise<number> {
    let looking = this.looking.get(subject)
    if (looking === undefined) {
      looking = this.lookNow(topic, subject).finally(() => this.looking.delete(subject))
      this.looking.set(subject, looking)
    }
    return looking
  }

  private async lookNow(topic: Topic, subject: string): Promise<number> {
    let id: number | null
    try {
      id = await this.idOf(topic)
    } catch (error) {
      const known = this.writerIds.get(subject)
      // Out of reach: what is known goes on to be used, and the next look is a few seconds away.
      if (known) this.writerIds.set(subject, { id: known.id, at: Date.now() - lookAgainMs + outOfReachMs })
      throw error
    }
    if (id === null) {
      this.writerIds.delete(subject)
      throw new RegistryUnavailable(`the schema registry does not hold our schema of ${topic.record} under ${subject}. ${wayOut}`)
    }
    this.writerIds.set(subject, { id, at: Date.now() })
    return id
  }

  /** The id of our schema under a topic's subject, asked now; null: the registry does not hold it. */
  private async idOf(topic: Topic): Promise<number | null> {
    const answer = await this.ask(`/subjects/${subjectOf(topic.name)}`, {
      schemaType: 'AVRO',
      schema: JSON.stringify(avroSchemas[topic.record]),
    })
    return answer === null ? null : (answer as { id: number }).id
  }

  /** The compatibility level set on a subject itself; null: none is. */
  async levelOf(subject: string): Promise<string | null> {
    const answer = (await this.ask(`/config/${subject}`)) as { compatibilityLevel?: string; compatibility?: string } | null
    return answer?.compatibilityLevel ?? answer?.compatibility ?? null
  }

  /** The names of all subjects. */
  async subjects(): Promise<readonly string[]> {
    return ((await this.ask('/subjects')) ?? []) as string[]
  }

  /** Whether our schema of a topic may follow the newest one under its subject. A registry that cannot tell is taken for a yes. */
  async takes(topic: Topic): Promise<boolean> {
    const path = `/compatibility/subjects/${subjectOf(topic.name)}/versions/latest`
    const answer = (await this.ask(path, { schemaType: 'AVRO', schema: JSON.stringify(avroSchemas[topic.record]) })) as {
      is_compatible?: boolean
    } | null
    return answer?.is_compatible !== false
  }

  /** The answer's body; null: 404. */
  private async ask(path: string, body?: object): Promise<unknown> {
    const headers: Record<string, string> = this.config.auth
      ? { authorization: `Basic ${Buffer.from(this.config.auth).toString('base64')}` }
      : {}
    const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    if (body !== undefined) headers['content-type'] = 'application/vnd.schemaregistry.v1+json'
    let response: Response
    try {
      response = await fetch(this.config.url + path, { ...post, headers, signal: AbortSignal.timeout(requestTimeoutMs) })
      if (response.status === 404) return (await response.text(), null)
      if (response.ok) return await response.json()
    } catch (cause) {
      throw new RegistryUnavailable(`schema registry out of reach: ${(cause as Error).message}`)
    }
    throw new RegistryUnavailable(`schema registry answered ${response.status} to ${path}`)
  }

  /**
   * Registers our schema of a topic under BACKWARD compatibility, or a stricter one that its subject has.
   * @throws ConfigError naming a subject whose level is weaker; Error with the registry's words when the schema is incompatible with the ones before.
   */
  async register(topic: Topic): Promise<number> {
    const subject = subjectOf(topic.name)
    // Registering is safe to repeat, and has to be: of two processes that set up at once the registry turns one down.
    for (let attempt = 1; ; attempt++) {
      try {
        const level = await this.levelOf(subject)
        const problem = judgeLevel(subject, level)
        if (problem !== null) throw new ConfigError(problem)
        const { id } = await this.client.register(
          { type: SchemaType.AVRO, schema: JSON.stringify(avroSchemas[topic.record]) },
          // The client refuses a subject with another level than the one it is told.
          { subject, compatibility: (level ?? COMPATIBILITY.BACKWARD) as COMPATIBILITY },
        )
        return id
      } catch (error) {
        if (attempt === registerAttempts || error instanceof ConfigError) throw error
        await new Promise((resolve) => setTimeout(resolve, registerAgainMs * attempt))
      }
    }
  }
}
