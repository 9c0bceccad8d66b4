// `npm run set-up`: creates the topics and registers the schemas on the servers that the environment names, and nothing else. Looks at them first,
// and at the database where one is named.
import { kafkaConfigFromEnv, registryConfigFromEnv, setUpCluster } from '@stepcast/kafka'
import { databaseUrlFromEnv } from '@stepcast/postgres'
import { preflight } from './preflight'
import { ProgressPrinter } from './progress'
import { count } from './settings'

async function setUp(env: NodeJS.ProcessEnv): Promise<void> {
  const printer = new ProgressPrinter(process.stdout)
  const onProgress = (line: string): void => printer.print(line)
  const partitions = count(env, 'STEPCAST_PARTITIONS', 12)
  // -1: what the broker does by default.
  const replicationFactor = env['KAFKA_REPLICATION_FACTOR'] ? count(env, 'KAFKA_REPLICATION_FACTOR', 1) : -1
  const kafka = kafkaConfigFromEnv(env, 'stepcast-set-up')
  const registry = registryConfigFromEnv(env)
  await preflight({
    env,
    kafka: { partitions, replicationFactor, servicesRunAsUs: false },
    registry: true,
    onProgress,
    ...(env['DATABASE_URL'] && { database: { url: databaseUrlFromEnv(env) } }),
  })
  await setUpCluster({ kafka, registry, partitions, replicationFactor, onProgress })
}

setUp(process.env).then(
  () => process.exit(0),
  (error: Error) => {
    console.error(error.message)
    process.exit(1)
  },
)
