// template-svc put together: database, Kafka, outbox, templates.
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { address } from '@stepcast/channel'
import { topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, keepUnpublishable, registryConfigFromEnv } from '@stepcast/kafka'
import { createDataSource, databaseUrlFromEnv, migrate, OutboxRelay, poolSizeOf, type DataSourceSettings } from '@stepcast/postgres'
import { currentTraceparent, ENV, LOG, outboxMetrics, Readiness, Registry, watchKafka, type Env, type Log } from '@stepcast/service'
import type { Pool } from 'pg'
import { DataSource } from 'typeorm'
import { migrations } from './migrations'
import { ApprovedVersion, Template } from './template.entity'
import { Templates } from './templates'
import { TemplatesController } from './templates.controller'

const name = 'template-svc'

async function openDatabase(env: Env, log: Log): Promise<DataSource> {
  const settings: DataSourceSettings = {
    databaseUrl: databaseUrlFromEnv(env),
    schema: 'template_svc',
    applicationName: name,
    entities: [Template, ApprovedVersion],
    migrations,
    poolSize: poolSizeOf(env, name),
    onWait: (sentence) => log.info(sentence),
  }
  await migrate(settings)
  return createDataSource(settings).initialize()
}

/** TypeORM's own pool, so that a service has one: writes in SQL, reads by entity. */
const poolOf = (database: DataSource): Pool => (database.driver as unknown as { master: Pool }).master

@Module({
  controllers: [TemplatesController],
  providers: [
    { provide: DataSource, inject: [ENV, LOG], useFactory: openDatabase },
    {
      provide: KafkaConnection,
      inject: [ENV, LOG],
      useFactory: (env: Env, log: Log) =>
        new KafkaConnection({
          kafka: kafkaConfigFromEnv(env, name),
          registry: registryConfigFromEnv(env),
          log,
          traceparent: () => currentTraceparent() ?? null,
        }),
    },
    {
      provide: OutboxRelay,
      inject: [DataSource, KafkaConnection, LOG],
      useFactory: (database: DataSource, kafka: KafkaConnection, log: Log) =>
        new OutboxRelay({
          pool: poolOf(database),
          producer: () => kafka.producer(),
          setAside: keepUnpublishable(kafka),
          topics: [topics.templates],
          onError: (error) => log.warn({ err: error }, 'the outbox waits'),
        }),
    },
    {
      provide: Templates,
      inject: [ENV, DataSource, OutboxRelay],
      useFactory: (env: Env, database: DataSource, relay: OutboxRelay) =>
        new Templates(database, poolOf(database), relay, address(env, 'STEPCAST_PUBLIC_URL', 'http://localhost:8080')),
    },
  ],
})
export class AppModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly database: DataSource,
    private readonly kafka: KafkaConnection,
    private readonly relay: OutboxRelay,
    private readonly readiness: Readiness,
    @Inject(Registry) private readonly registry: Registry,
  ) {}

  onApplicationBootstrap(): void {
    outboxMetrics(this.registry, poolOf(this.database))
    this.relay.start()
    watchKafka(this.registry, this.readiness, { connection: this.kafka, follows: [], writes: [topics.templates.name] })
    this.readiness.add('postgres', async () => (await poolOf(this.database).query('SELECT 1')).rowCount === 1)
  }

  async onApplicationShutdown(): Promise<void> {
    await this.relay.stop()
    await this.kafka.close()
    await this.database.destroy()
  }
}
