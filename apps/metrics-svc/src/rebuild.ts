// The command that recounts metrics from the topic and the event store: node apps/metrics-svc/dist/rebuild.js [--accept-trimmed]
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { configFromEnv } from './config'
import { recount } from './recount'
import { storeFromEnv } from './store'

const say = (line: string): void => console.log(line)

async function rebuild(): Promise<void> {
  const connection = new KafkaConnection({
    kafka: kafkaConfigFromEnv(process.env, 'metrics-svc-rebuild'),
    registry: registryConfigFromEnv(process.env),
    log: {
      ...silentLog,
      warn: (fields, message) => console.warn(message, fields),
      error: (fields, message) => console.error(message, fields),
    },
  })
  try {
    await recount({
      connection,
      databaseUrl: configFromEnv(process.env).databaseUrl,
      acceptTrimmed: process.argv.includes('--accept-trimmed'),
      say,
      store: process.env.ORCHESTRATOR_URL ? storeFromEnv(process.env) : null,
    })
    say('metrics are rebuilt')
  } finally {
    await connection.close()
  }
}

rebuild().catch((error: Error) => {
  console.error(`metrics are unchanged: ${error.message}`)
  process.exit(1)
})
