// Puts metrics-svc together: database, Kafka, the templates replica, the projector, the API.
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import type { Pool } from 'pg'
import { topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, type RunningConsumer } from '@stepcast/kafka'
import { connections, createPool, migrate, poolSizeOf } from '@stepcast/postgres'
import { TemplatesReplica } from '@stepcast/replica'
import { currentTraceparent, ENV, watchKafka, LOG, Readiness, Registry, type Env, type Log } from '@stepcast/service'
import { AsOf } from './asOf'
import { configFromEnv } from './config'
import { foldSettings } from './fold'
import { gather } from './gather'
import { keepHouse, type Housekeeping } from './housekeeping'
import { Metrics } from './metrics'
import { MetricsController } from './metrics.controller'
import { foldedTo, startProjector } from './projector'
import { SendsController } from './sends.controller'
import { migrations, schema } from './tables'

const POOL = Symbol('pool')
/** The projector's own: slow reads never keep it waiting. */
const FOLD_POOL = Symbol('fold pool')

/** The service's name, and that of its consumer group. */
export const serviceName = 'metrics-svc'

@Module({
  controllers: [MetricsController, SendsController],
  providers: [
    {
      provide: POOL,
      inject: [ENV, LOG],
      useFactory: async (env: Env, log: Log): Promise<Pool> => {
        const { databaseUrl } = configFromEnv(env)
        await migrate({ databaseUrl, schema, applicationName: serviceName, migrations, onWait: (sentence) => log.info(sentence) })
        return createPool({
          databaseUrl,
          schema,
          applicationName: serviceName,
          max: poolSizeOf(env, serviceName),
          onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
        })
      },
    },
    {
      // After POOL, which migrates. Four partitions fold at a time.
      provide: FOLD_POOL,
      inject: [ENV, LOG, POOL],
      useFactory: (env: Env, log: Log): Pool =>
        createPool({
          databaseUrl: configFromEnv(env).databaseUrl,
          schema,
          applicationName: serviceName,
          max: connections[serviceName].beside,
          settings: foldSettings,
          onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
        }),
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
    {
      provide: TemplatesReplica,
      inject: [KafkaConnection, POOL],
      useFactory: (connection: KafkaConnection, pool: Pool) => new TemplatesReplica({ connection, pool, service: serviceName }),
    },
    {
      provide: Metrics,
      inject: [ENV, POOL, TemplatesReplica, KafkaConnection],
      useFactory: (env: Env, pool: Pool, templates: TemplatesReplica, connection: KafkaConnection) =>
        new Metrics(pool, templates, new AsOf(connection, pool), configFromEnv(env).minuteMs),
    },
  ],
})
export class AppModule implements OnApplicationBootstrap, OnApplicationShutdown {
  private projector: RunningConsumer | null = null
  private housekeeping: Housekeeping | null = null

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @Inject(FOLD_POOL) private readonly foldPool: Pool,
    @Inject(KafkaConnection) private readonly connection: KafkaConnection,
    @Inject(TemplatesReplica) private readonly templates: TemplatesReplica,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Registry) private readonly registry: Registry,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { pool, connection, registry } = this
    this.readiness.add('postgres', async () => (await pool.query('SELECT 1')).rowCount === 1)
    this.readiness.add('projector', () => this.projector !== null)
    watchKafka(registry, this.readiness, {
      connection,
      follows: [{ groupId: serviceName, topic: topics.sequences.name, offsets: () => foldedTo(pool) }, this.templates.followed],
    })
    await this.templates.start()
    this.projector = await startProjector({ connection, pool: this.foldPool, groupId: serviceName, registry })
    this.housekeeping = keepHouse(pool, this.log)
  }

  async onApplicationShutdown(): Promise<void> {
    await this.housekeeping?.stop()
    await this.projector?.stop()
    // Whatever version comes next finds all numbers in one table, also the one before this.
    await gather(this.pool, 'infinity').catch((error: unknown) =>
      this.log.warn({ err: error }, 'counters were not put together; the next start does it'),
    )
    await this.templates.stop()
    await this.connection.close()
    await Promise.all([this.pool.end(), this.foldPool.end()])
  }
}
