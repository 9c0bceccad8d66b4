// Puts push-dispatcher together: database, Kafka, the dispatcher, the removal of dead tokens, receipts.
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import type { Pool } from 'pg'
import { DeadAddresses, Dispatch, dispatchMetrics } from '@stepcast/channel'
import { topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv } from '@stepcast/kafka'
import { createPool, migrate } from '@stepcast/postgres'
import {
  currentTraceparent, ENV, kafkaMetrics, LOG, outboxMetrics, Readiness, Registry, replicaGroup, type Env, type Log,
} from '@stepcast/service'
import { configFromEnv, type Config } from './config'
import { attemptMetrics, pushDispatch, serviceName } from './dispatch'
import { Ledger1700000000000, schema } from './migrations'
import { PushController } from './push.controller'
import { Receipts } from './receipts'
import { tokenRemover } from './removeToken'
import { POOL } from './tokens'

const CONFIG = Symbol('config')

@Module({
  controllers: [PushController],
  providers: [
    { provide: CONFIG, inject: [ENV], useFactory: configFromEnv },
    {
      provide: POOL,
      inject: [CONFIG, LOG],
      useFactory: async ({ databaseUrl }: Config, log: Log): Promise<Pool> => {
        await migrate({ databaseUrl, schema, applicationName: serviceName, migrations: [Ledger1700000000000] })
        return createPool({
          databaseUrl,
          schema,
          applicationName: serviceName,
          onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
        })
      },
    },
    {
      provide: KafkaConnection,
      inject: [ENV, LOG],
      useFactory: (env: Env, log: Log) =>
        new KafkaConnection({
          kafka: kafkaConfigFromEnv(env as NodeJS.ProcessEnv, serviceName),
          registry: registryConfigFromEnv(env as NodeJS.ProcessEnv),
          log,
          traceparent: () => currentTraceparent() ?? null,
        }),
    },
    { provide: Receipts, inject: [KafkaConnection], useFactory: (connection: KafkaConnection) => new Receipts(connection) },
    {
      provide: DeadAddresses,
      inject: [CONFIG, POOL, LOG],
      useFactory: ({ peopleSvcUrl, internalSecret }: Config, pool: Pool, log: Log) =>
        new DeadAddresses({ pool, log, remove: tokenRemover(peopleSvcUrl, internalSecret) }),
    },
    {
      provide: Dispatch,
      inject: [CONFIG, KafkaConnection, POOL, LOG, Registry, DeadAddresses],
      useFactory: (config: Config, connection: KafkaConnection, pool: Pool, log: Log, registry: Registry, dead: DeadAddresses) =>
        pushDispatch({ config, connection, pool, log, onAttempt: attemptMetrics(registry), onDeadAddress: () => dead.kick() }),
    },
  ],
})
export class AppModule implements OnApplicationBootstrap, OnApplicationShutdown {
  private isStarted = false

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(POOL) private readonly pool: Pool,
    @Inject(KafkaConnection) private readonly connection: KafkaConnection,
    @Inject(Dispatch) private readonly dispatch: Dispatch<'push'>,
    @Inject(DeadAddresses) private readonly dead: DeadAddresses,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Registry) private readonly registry: Registry,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.readiness.add('postgres', async () => (await this.pool.query('SELECT 1')).rowCount === 1)
    this.readiness.add('dispatcher', () => this.isStarted)
    dispatchMetrics(this.registry, this.pool, this.dispatch)
    outboxMetrics(this.registry, this.pool)
    kafkaMetrics(this.registry, this.connection, [
      { groupId: serviceName, topic: topics.pushCommands.name },
      replicaGroup(serviceName, topics.users.name),
      replicaGroup(serviceName, topics.templates.name),
    ])
    if (this.config.fcm === null) this.log.warn({}, 'FCM_SERVICE_ACCOUNT_FILE is not set: every push is skipped (channel_disabled)')
    await this.dispatch.start()
    this.dead.start()
    this.isStarted = true
  }

  async onApplicationShutdown(): Promise<void> {
    await this.dispatch.stop()
    await this.dead.stop()
    await this.connection.close()
    await this.pool.end()
  }
}
