// `npm run set-up`: creates the topics and registers the schemas on the servers that the environment names, and nothing else.
import { kafkaConfigFromEnv, registryConfigFromEnv, setUpCluster } from '@stepcast/kafka'

setUpCluster({
  kafka: kafkaConfigFromEnv(process.env, 'stepcast-set-up'),
  registry: registryConfigFromEnv(process.env),
  partitions: Number(process.env.STEPCAST_PARTITIONS ?? 12),
  // -1: what the broker does by default.
  replicationFactor: Number(process.env.KAFKA_REPLICATION_FACTOR ?? -1),
  onProgress: (line) => console.log(line),
}).then(
  () => process.exit(0),
  (error: Error) => {
    console.error(error.message)
    process.exit(1)
  },
)
