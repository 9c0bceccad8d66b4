// The variables by which clients sign in to servers of the user's: they go with those servers, and never to ones that we start.

/** Of Kafka, beside KAFKA_BROKERS. */
const ofKafka = /^KAFKA_(SSL|SASL_)/
/** Of the registry, beside SCHEMA_REGISTRY_URL. */
const ofRegistry = /^SCHEMA_REGISTRY_AUTH$/
/** Of the database, beside DATABASE_URL. */
const ofDatabase = /^DATABASE_CA$/

/** Which servers are the user's. */
export interface Foreign {
  readonly kafka: boolean
  readonly registry: boolean
  readonly database: boolean
}

const belongs = (name: string, { kafka, registry, database }: Foreign): boolean =>
  (kafka && ofKafka.test(name)) || (registry && ofRegistry.test(name)) || (database && ofDatabase.test(name))

const all: Foreign = { kafka: true, registry: true, database: true }

/** The environment without sign-ins that belong to none of these servers. */
export function withoutStraySignIns(env: NodeJS.ProcessEnv, foreign: Foreign): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !belongs(name, all) || belongs(name, foreign)))
}

/** The sign-ins of these servers that are set, by name. */
export function signInsOf(env: NodeJS.ProcessEnv, foreign: Foreign): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value && belongs(name, foreign) ? [[name, value]] : [])))
}
