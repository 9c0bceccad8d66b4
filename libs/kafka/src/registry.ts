// The schema registry as services use it at run time: schemas by id for readers, ids of our own schemas for writers.
import { SchemaRegistry, SchemaType, COMPATIBILITY } from '@kafkajs/confluent-schema-registry'
import { avroSchemas, subjectOf, type Topic } from '@stepcast/contracts'
import type { RegistryConfig } from './config'

/** The registry cannot be reached or answers with a server error; try again. */
export class RegistryUnavailable extends Error {
  readonly retriable = true
}

const requestTimeoutMs = 10_000
const registerAttempts = 5
const registerAgainMs = 200

/** Talks to a registry with Confluent's API; every answer is remembered, ids never change their meaning. */
export class Registry {
  private readonly client: SchemaRegistry
  private readonly writerIds = new Map<string, Promise<number>>()

  constructor(private readonly config: RegistryConfig) {
    const [username, ...rest] = (config.auth ?? '').split(':')
    this.client = new SchemaRegistry({ host: config.url, ...(config.auth ? { auth: { username: username!, password: rest.join(':') } } : {}) })
  }

  /**
   * The schema with this id as JSON; null when the registry answers that there is none.
   * Not by the client library: it hands out compiled types of its own options and hides the 404.
   * @throws RegistryUnavailable
   */
  readonly schemaById = async (schemaId: number): Promise<unknown> => {
    if (schemaId < 1) return null
    const headers: Record<string, string> = this.config.auth ? { authorization: `Basic ${Buffer.from(this.config.auth).toString('base64')}` } : {}
    let response: Response
    try {
      response = await fetch(`${this.config.url}/schemas/ids/${schemaId}`, { headers, signal: AbortSignal.timeout(requestTimeoutMs) })
    } catch (cause) {
      throw new RegistryUnavailable(`schema registry out of reach: ${(cause as Error).message}`)
    }
    if (response.status === 404) return null
    if (!response.ok) throw new RegistryUnavailable(`schema registry answered ${response.status} for schema ${schemaId}`)
    const { schema } = (await response.json()) as { schema: string }
    return JSON.parse(schema)
  }

  /**
   * The id of our own schema of a topic. Schemas are registered at set-up, never at run time.
   * @throws RegistryUnavailable when the registry is out of reach or does not hold the schema yet.
   */
  writerIdOf(topic: Topic): Promise<number> {
    const subject = subjectOf(topic.name)
    let id = this.writerIds.get(subject)
    if (id === undefined) {
      id = this.client
        .getRegistryIdBySchema(subject, { type: SchemaType.AVRO, schema: JSON.stringify(avroSchemas[topic.record]) })
        .catch((cause: Error) => {
          this.writerIds.delete(subject)
          throw new RegistryUnavailable(`no id for ${topic.record} under ${subject}: ${cause.message}. Are the schemas registered?`)
        })
      this.writerIds.set(subject, id)
    }
    return id
  }

  /**
   * Registers our schema of a topic under BACKWARD compatibility.
   * @throws Error with the registry's words when the schema is incompatible with the ones before.
   */
  async register(topic: Topic): Promise<number> {
    const subject = subjectOf(topic.name)
    // Registering is safe to repeat, and has to be: of two processes that set up at once the registry turns one down.
    for (let attempt = 1; ; attempt++) {
      try {
        const { id } = await this.client.register(
          { type: SchemaType.AVRO, schema: JSON.stringify(avroSchemas[topic.record]) },
          { subject, compatibility: COMPATIBILITY.BACKWARD },
        )
        return id
      } catch (error) {
        if (attempt === registerAttempts) throw error
        await new Promise((resolve) => setTimeout(resolve, registerAgainMs * attempt))
      }
    }
  }
}
