// What one spec file gets of the running stack: a database and topics of its own.
import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import { Client } from 'pg'
import { loadProtocol } from './loadProtocol'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, setUpCluster, silentLog } from '@stepcast/kafka'

/** A spec file's own part of the stack. */
export interface SpecStack {
  readonly databaseUrl: string
  /** As a service's process.env. */
  readonly env: Record<string, string>
  /** A connection of its own, closed by {@link SpecStack.stop}. */
  connection(clientId?: string): KafkaConnection
  /** Closes connections and drops the database. */
  stop(): Promise<void>
}

/** Partitions of each topic in specs. */
export const specPartitions = 3

/** Makes a database and the topics of a spec file. Call it in `beforeAll` with `__filename`, and `stop` in `afterAll`. */
export async function specStack(file: string): Promise<SpecStack> {
  // Jest refuses a first `require` while no test runs, and the Kafka client loads its request formats one by one in the background.
  loadProtocol()
  const { SPEC_KAFKA_BROKERS, SPEC_SCHEMA_REGISTRY_URL, SPEC_DATABASE_URL } = process.env
  if (!SPEC_KAFKA_BROKERS || !SPEC_SCHEMA_REGISTRY_URL || !SPEC_DATABASE_URL) {
    throw new Error('no stack: run integration specs by `npx jest --selectProjects integration`')
  }
  const name = `${basename(file)
    .replace(/\W+/g, '_')
    .replace(/_int_spec_ts$/, '')
    .toLowerCase()}_${randomBytes(4).toString('hex')}`
  await sql(SPEC_DATABASE_URL, `CREATE DATABASE ${name}`)
  const databaseUrl = withDatabase(SPEC_DATABASE_URL, name)
  const env = {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'silent',
    KAFKA_BROKERS: SPEC_KAFKA_BROKERS,
    SCHEMA_REGISTRY_URL: SPEC_SCHEMA_REGISTRY_URL,
    DATABASE_URL: databaseUrl,
    STEPCAST_TOPIC_PREFIX: `${name}.`,
    STEPCAST_MINUTE_MS: '1000',
    STEPCAST_INTERNAL_SECRET: 'a'.repeat(64),
    STEPCAST_ROOT_KEY: 'rk_spec',
    STEPCAST_PUBLIC_URL: 'http://127.0.0.1:1',
  }
  const registry = registryConfigFromEnv(env)
  await setUpCluster({ kafka: kafkaConfigFromEnv(env, 'specs'), registry, partitions: specPartitions, replicationFactor: 1 })
  const connections: KafkaConnection[] = []
  return {
    databaseUrl,
    env,
    connection(clientId = 'specs') {
      const connection = new KafkaConnection({
        kafka: kafkaConfigFromEnv(env, clientId),
        registry,
        log: silentLog,
        onFatal: (error) => {
          throw error
        },
      })
      connections.push(connection)
      return connection
    },
    async stop() {
      await Promise.all(connections.map((connection) => connection.close()))
      await sql(SPEC_DATABASE_URL, `DROP DATABASE ${name} WITH (FORCE)`)
    },
  }
}

async function sql(databaseUrl: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

function withDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl)
  url.pathname = `/${name}`
  return url.toString()
}
