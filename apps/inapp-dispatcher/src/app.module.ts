// Puts inapp-dispatcher together: database, Kafka, replicas, the dispatch of commands, the feed's API and streams.
import { Inject, Module, type BeforeApplicationShutdown, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import type { Pool } from 'pg'
import { topics } from '@stepcast/contracts'
import { ConfigError, KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, type RunningConsumer } from '@stepcast/kafka'
import { createPool, databaseUrlFromEnv, migrate, poolSizeOf } from '@stepcast/postgres'
import { TemplatesReplica, UsersReplica } from '@stepcast/replica'
import { currentTraceparent, ENV, watchKafka, LOG, Readiness, Registry, type Env, type Log } from '@stepcast/service'
import type { OptOut } from './answer'
import { serviceName, startDispatch } from './dispatch'
import { eraseUsers } from './erasure'
import { FeedController } from './feed.controller'
import { purge } from './purge'
import { FeedStreams } from './stream'
import { migrations, schema } from './tables'
import { POOL } from './tokens'

const purgeEveryMs = 3_600_000

const minuteMsOf = ({ STEPCAST_MINUTE_MS }: Env): number => {
  const minuteMs = Number(STEPCAST_MINUTE_MS || 60_000)
  if (Number.isSafeInteger(minuteMs) && minuteMs >= 1) return minuteMs
  throw new ConfigError(`STEPCAST_MINUTE_MS is "${STEPCAST_MINUTE_MS}"; it must be a whole number of milliseconds, 1 or more`)
}

@Module({
  controllers: [FeedController],
  providers: [
    {
      provide: POOL,
      inject: [ENV, LOG],
      useFactory: async (env: Env, log: Log): Promise<Pool> => {
        const databaseUrl = databaseUrlFromEnv(env)
        await migrate({ databaseUrl, schema, applicationName: serviceName, migrations, onWait: (sentence) => log.info(sentence) })
        return createPool({
          databaseUrl,
          schema,
          applicationName: serviceName,
          max: poolSizeOf(env, 'inapp-dispatcher'),
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
    {
      provide: TemplatesReplica,
      inject: [KafkaConnection, POOL],
      useFactory: (connection: KafkaConnection, pool: Pool) => new TemplatesReplica({ connection, pool, service: serviceName }),
    },
    {
      provide: UsersReplica,
      inject: [KafkaConnection, POOL],
      useFactory: (connection: KafkaConnection, pool: Pool) =>
        new UsersReplica<OptOut>({
          connection,
          pool,
          service: serviceName,
          onErased: eraseUsers,
          keep: ({ optOutChannels: channels, optOutCategories: categories }) => ({ channels, categories }),
        }),
    },
    {
      provide: FeedStreams,
      inject: [ENV, POOL, LOG],
      useFactory: (env: Env, pool: Pool, log: Log) => new FeedStreams({ pool, databaseUrl: databaseUrlFromEnv(env), log }),
    },
  ],
})
export class AppModule implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  private dispatch: RunningConsumer | null = null
  private purging: NodeJS.Timeout | null = null

  constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(POOL) private readonly pool: Pool,
    @Inject(KafkaConnection) private readonly connection: KafkaConnection,
    @Inject(TemplatesReplica) private readonly templates: TemplatesReplica,
    @Inject(UsersReplica) private readonly users: UsersReplica<OptOut>,
    @Inject(FeedStreams) private readonly streams: FeedStreams,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Registry) private readonly registry: Registry,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { pool, connection, templates, users } = this
    this.readiness.add('postgres', async () => (await pool.query('SELECT 1')).rowCount === 1)
    this.readiness.add('commands', () => this.dispatch !== null)
    watchKafka(this.registry, this.readiness, {
      connection,
      follows: [{ groupId: serviceName, topic: topics.inAppCommands.name }, users.followed, templates.followed],
    })
    await templates.start()
    await users.start()
    this.dispatch = await startDispatch({ connection, pool, templates, users, minuteMs: minuteMsOf(this.env) })
    this.purging = setInterval(() => {
      purge(pool).catch((error: unknown) => this.log.warn({ err: error }, 'purging failed; the next hour tries again'))
    }, purgeEveryMs)
  }

  // Streams never end by themselves; the server waits for them otherwise.
  async beforeApplicationShutdown(): Promise<void> {
    await this.streams.stop()
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.purging) clearInterval(this.purging)
    // A batch under way may wait for a replica: those stop after it has ended, unless they are why it waits.
    await Promise.all([this.dispatch?.stop(), this.templates.stop(), this.users.stop()])
    await this.connection.close()
    await this.pool.end()
  }
}
