// people-svc put together: database, Kafka, outbox, users.
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, keepUnpublishable, registryConfigFromEnv } from '@stepcast/kafka'
import { createDataSource, databaseUrlFromEnv, migrate, OutboxRelay, poolSizeOf, type DataSourceSettings } from '@stepcast/postgres'
import {
  contextKey,
  currentTraceparent,
  ENV,
  LOG,
  outboxMetrics,
  Readiness,
  Registry,
  watchKafka,
  type Env,
  type Log,
} from '@stepcast/service'
import type { Pool } from 'pg'
import { DataSource } from 'typeorm'
import { cancelUserFromEnv, Erasures } from './erasures'
import { migrations } from './migrations'
import { unsubscribedFromEnv } from './unsubscribed'
import { Device, User } from './user.entity'
import { Users } from './users'
import { DeadTokensController, UsersController } from './users.controller'

const name = 'people-svc'

async function openDatabase(env: Env, log: Log): Promise<DataSource> {
  const settings: DataSourceSettings = {
    databaseUrl: databaseUrlFromEnv(env),
    schema: 'people_svc',
    applicationName: name,
    entities: [User, Device],
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
  controllers: [UsersController, DeadTokensController],
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
          topics: [topics.users, topics.controls],
          onError: (error) => log.warn({ err: error }, 'the outbox waits'),
        }),
    },
    {
      provide: Erasures,
      inject: [DataSource, OutboxRelay, ENV, LOG],
      useFactory: (database: DataSource, relay: OutboxRelay, env: Env, log: Log) =>
        new Erasures({ pool: poolOf(database), relay, log, cancelUser: cancelUserFromEnv(env, contextKey(env.STEPCAST_INTERNAL_SECRET)) }),
    },
    {
      provide: Users,
      inject: [DataSource, OutboxRelay, Erasures, ENV, LOG],
      useFactory: (database: DataSource, relay: OutboxRelay, erasures: Erasures, env: Env, log: Log) => {
        const key = contextKey(env.STEPCAST_INTERNAL_SECRET)
        return new Users(database, poolOf(database), relay, erasures, key, unsubscribedFromEnv(env, key, log))
      },
    },
  ],
})
export class AppModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly database: DataSource,
    private readonly kafka: KafkaConnection,
    private readonly relay: OutboxRelay,
    private readonly erasures: Erasures,
    private readonly readiness: Readiness,
    @Inject(Registry) private readonly registry: Registry,
  ) {}

  onApplicationBootstrap(): void {
    outboxMetrics(this.registry, poolOf(this.database))
    this.relay.start()
    this.erasures.start()
    watchKafka(this.registry, this.readiness, { connection: this.kafka, follows: [], writes: [topics.users.name] })
    this.readiness.add('postgres', async () => (await poolOf(this.database).query('SELECT 1')).rowCount === 1)
  }

  async onApplicationShutdown(): Promise<void> {
    await this.erasures.stop()
    await this.relay.stop()
    await this.kafka.close()
    await this.database.destroy()
  }
}
