// send-svc put together: database, Kafka, the replica of templates, fan-out, sends.
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, keepUnpublishable, registryConfigFromEnv } from '@stepcast/kafka'
import { createPool, databaseUrlFromEnv, migrate, poolSizeOf } from '@stepcast/postgres'
import { TemplatesReplica } from '@stepcast/replica'
import { currentTraceparent, ENV, gaugeAtScrape, LOG, Readiness, Registry, watchKafka, type Env, type Log } from '@stepcast/service'
import type { Pool } from 'pg'
import { FanOut } from './fanOut'
import { migrations } from './migrations'
import { Sends } from './sends'
import { SendsController } from './sends.controller'
import { servicesFromEnv } from './services'
import { purgeSends, receiversWaiting } from './store'

/** The service's name, and that of its consumer group. */
export const name = 'send-svc'

const POOL = Symbol('pool')
const purgeEveryMs = 3_600_000

async function openDatabase(env: Env, log: Log): Promise<Pool> {
  const settings = { databaseUrl: databaseUrlFromEnv(env), schema: 'send_svc', applicationName: name }
  await migrate({ ...settings, migrations, onWait: (sentence) => log.info(sentence) })
  return createPool({
    ...settings,
    max: poolSizeOf(env, name),
    onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
  })
}

@Module({
  controllers: [SendsController],
  providers: [
    { provide: POOL, inject: [ENV, LOG], useFactory: openDatabase },
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
      provide: TemplatesReplica,
      inject: [KafkaConnection, POOL],
      useFactory: (connection: KafkaConnection, pool: Pool) => new TemplatesReplica({ connection, pool, service: name }),
    },
    {
      provide: FanOut,
      inject: [POOL, KafkaConnection, LOG],
      useFactory: (pool: Pool, kafka: KafkaConnection, log: Log) =>
        new FanOut({ pool, producer: () => kafka.producer(), setAside: keepUnpublishable(kafka), log }),
    },
    {
      provide: Sends,
      inject: [POOL, TemplatesReplica, FanOut, ENV],
      useFactory: (pool: Pool, templates: TemplatesReplica, fanOut: FanOut, env: Env) =>
        new Sends(pool, templates, fanOut, servicesFromEnv(env)),
    },
  ],
})
export class AppModule implements OnApplicationBootstrap, OnApplicationShutdown {
  private purging: NodeJS.Timeout | null = null

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    private readonly kafka: KafkaConnection,
    private readonly templates: TemplatesReplica,
    private readonly fanOut: FanOut,
    private readonly readiness: Readiness,
    @Inject(Registry) private readonly registry: Registry,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    watchKafka(this.registry, this.readiness, { connection: this.kafka, follows: [this.templates.followed], writes: [topics.sends.name] })
    gaugeAtScrape(
      this.registry,
      { name: 'stepcast_fan_out_receivers', help: 'Receivers of stored sends that are not on Kafka yet.' },
      async () => [{ value: await receiversWaiting(this.pool) }],
    )
    await this.templates.start()
    this.fanOut.start()
    this.readiness.add('postgres', async () => (await this.pool.query('SELECT 1')).rowCount === 1)
    const purge = (): void =>
      void purgeSends(this.pool).catch((error: unknown) => this.log.warn({ err: error }, 'old sends are not purged'))
    this.purging = setInterval(purge, purgeEveryMs)
    purge()
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.purging) clearInterval(this.purging)
    await Promise.all([this.fanOut.stop(), this.templates.stop()])
    await this.kafka.close()
    await this.pool.end()
  }
}
