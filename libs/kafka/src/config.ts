// How to reach Kafka and the schema registry, read once from the environment.
import { InstallationError } from '@stepcast/contracts'
import type { KafkaConfig as ClientOptions, SASLOptions } from 'kafkajs'

/** Where Kafka is and how to sign in. */
export interface KafkaConfig {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl: boolean
  readonly sasl: SASLOptions | null
  /** Put before every topic and group name; empty but in specs, where each file has its own. */
  readonly topicPrefix: string
}

/** Where the schema registry is: a Confluent API, e.g. `http://localhost:8085/apis/ccompat/v7`. */
export interface RegistryConfig {
  readonly url: string
  /** `user:password` of basic authentication. */
  readonly auth: string | null
}

/** A variable of the environment is missing or wrong; the message names it and what it may be. */
export class ConfigError extends InstallationError {}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

function saslFrom(env: NodeJS.ProcessEnv): SASLOptions | null {
  const mechanism = env.KAFKA_SASL_MECHANISM?.toLowerCase()
  if (mechanism === undefined || mechanism === '') return null
  if (!mechanisms.some((known) => known === mechanism)) {
    throw new ConfigError(`KAFKA_SASL_MECHANISM is "${env.KAFKA_SASL_MECHANISM}"; it may be ${mechanisms.join(', ')}`)
  }
  const { KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = env
  if (!username || !password) throw new ConfigError('KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD')
  return { mechanism, username, password } as SASLOptions
}

/**
 * Reads KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_MECHANISM/USERNAME/PASSWORD and STEPCAST_TOPIC_PREFIX.
 * @throws ConfigError naming the variable.
 */
export function kafkaConfigFromEnv(env: NodeJS.ProcessEnv, clientId: string): KafkaConfig {
  const brokers = (env.KAFKA_BROKERS ?? '').split(',').map((broker) => broker.trim()).filter(Boolean)
  if (brokers.length === 0) throw new ConfigError('KAFKA_BROKERS is missing: give host:port, several separated by commas')
  return { brokers, clientId, ssl: env.KAFKA_SSL === 'true', sasl: saslFrom(env), topicPrefix: env.STEPCAST_TOPIC_PREFIX ?? '' }
}

/**
 * What the Kafka client is made with, wherever it is made. Outages are outlasted, not counted: consumers and the outbox come back by
 * themselves when the broker does.
 */
export const clientOptions = ({ brokers, clientId, ssl, sasl }: KafkaConfig): ClientOptions => ({
  clientId, brokers: [...brokers], ssl,
  ...(sasl && { sasl: { ...sasl } }),
  connectionTimeout: 5_000,
  retry: { initialRetryTime: 100, maxRetryTime: 5_000, retries: 20 },
})

/**
 * Reads SCHEMA_REGISTRY_URL and SCHEMA_REGISTRY_AUTH.
 * @throws ConfigError naming the variable.
 */
export function registryConfigFromEnv(env: NodeJS.ProcessEnv): RegistryConfig {
  const url = env.SCHEMA_REGISTRY_URL
  if (!url) throw new ConfigError("SCHEMA_REGISTRY_URL is missing: give the address of the registry's Confluent API")
  return { url: url.replace(/\/+$/, ''), auth: env.SCHEMA_REGISTRY_AUTH || null }
}
