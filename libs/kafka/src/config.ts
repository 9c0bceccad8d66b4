// How to reach Kafka and the schema registry, read once from the environment.
import type { KafkaConfig as ClientOptions, SASLOptions } from 'kafkajs'
import { ConfigError } from './configError'
import { saslFrom } from './sasl'
import { tlsFrom, type KafkaTls } from './tls'

/** Where Kafka is and how to sign in. */
export interface KafkaConfig {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** TLS; true: by the authorities that Node knows, without a certificate of our own. */
  readonly ssl: boolean | KafkaTls
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

/**
 * Reads KAFKA_BROKERS, KAFKA_SSL and KAFKA_SSL_CA/CERT/KEY, KAFKA_SASL_MECHANISM with what it needs, and STEPCAST_TOPIC_PREFIX.
 * @throws ConfigError naming the variable.
 */
export function kafkaConfigFromEnv(env: NodeJS.ProcessEnv, clientId: string): KafkaConfig {
  const brokers = (env.KAFKA_BROKERS ?? '')
    .split(',')
    .map((broker) => broker.trim())
    .filter(Boolean)
  if (brokers.length === 0) throw new ConfigError('KAFKA_BROKERS is missing: give host:port, several separated by commas')
  const wrong = brokers.find((broker) => !/^[^\s/]+:\d{1,5}$/.test(broker))
  if (wrong !== undefined) throw new ConfigError(`KAFKA_BROKERS has "${wrong}": give host:port, several separated by commas`)
  return { brokers, clientId, ssl: tlsFrom(env), sasl: saslFrom(env), topicPrefix: env.STEPCAST_TOPIC_PREFIX ?? '' }
}

/**
 * What the Kafka client is made with, wherever it is made. Outages are outlasted, not counted: consumers and the outbox come back by
 * themselves when the broker does.
 */
export const clientOptions = ({ brokers, clientId, ssl, sasl }: KafkaConfig): ClientOptions => ({
  clientId,
  brokers: [...brokers],
  // Copies: the client writes into them.
  ssl: typeof ssl === 'boolean' ? ssl : { ...ssl },
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
