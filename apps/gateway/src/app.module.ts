// The gateway put together: database, outbox, keys, connections to the services, and the routes.
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { AccountSeal, requireKeys, Seal } from '@stepcast/accounts'
import { topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, keepUnpublishable, registryConfigFromEnv } from '@stepcast/kafka'
import { createPool, migrate, OutboxRelay, poolSizeOf } from '@stepcast/postgres'
import {
  contextKey,
  currentTraceparent,
  ENV,
  type Env,
  LOG,
  type Log,
  OpenApi,
  outboxMetrics,
  Readiness,
  Registry,
  watchKafka,
} from '@stepcast/service'
import { Pool } from 'pg'
import { ApiDocument } from './apiDocument'
import { Authentication } from './authentication'
import { configOf, type GatewayConfig } from './config'
import { ContextKey } from './contextKey'
import { Forward, ForwardPublic } from './forward'
import { type GrpcServer, startGrpc } from './grpc'
import { migrations } from './migrations'
import { Passage } from './passage'
import { ProbeRoutes } from './probeRoutes'
import { ProviderRoutes } from './providerRoutes'
import { Resealing } from './reseal'
import { Upstreams } from './upstreams'
import { WholeReadiness } from './wholeReadiness'
import { WorkspaceRoutes } from './workspaceRoutes'

const Config = Symbol('config')
const schema = 'gateway'
const applicationName = 'gateway'

@Module({
  controllers: [ProbeRoutes, WorkspaceRoutes, ProviderRoutes, ForwardPublic, Forward],
  providers: [
    { provide: Config, inject: [ENV], useFactory: configOf },
    { provide: ContextKey, inject: [ENV], useFactory: (env: Env) => contextKey(env.STEPCAST_INTERNAL_SECRET) },
    {
      provide: Pool,
      inject: [Config, ENV, LOG, Readiness],
      useFactory: async ({ databaseUrl, encryptionKeys }: GatewayConfig, env: Env, log: Log, readiness: Readiness) => {
        await migrate({ databaseUrl, schema, applicationName, migrations, onWait: (sentence) => log.info(sentence) })
        const pool = createPool({
          databaseUrl,
          schema,
          applicationName,
          max: poolSizeOf(env, 'gateway'),
          onError: (err) => log.warn({ err }, 'idle database connection broke'),
        })
        await requireKeys(pool, encryptionKeys).catch((error: Error) => pool.end().then(() => Promise.reject(error)))
        readiness.add('database', async () => (await pool.query('SELECT 1')).rowCount === 1)
        return pool
      },
    },
    {
      provide: KafkaConnection,
      inject: [ENV, LOG],
      useFactory: (env: Env, log: Log) =>
        new KafkaConnection({
          kafka: kafkaConfigFromEnv(env, 'gateway'),
          registry: registryConfigFromEnv(env),
          log,
          traceparent: () => currentTraceparent() ?? null,
        }),
    },
    {
      provide: OutboxRelay,
      inject: [Pool, KafkaConnection, LOG],
      useFactory: (pool: Pool, connection: KafkaConnection, log: Log) =>
        new OutboxRelay({
          pool,
          producer: () => connection.producer(),
          setAside: keepUnpublishable(connection),
          topics: [topics.workspaces],
          onError: (err) => log.warn({ err }, 'outbox waits'),
        }),
    },
    { provide: Seal, inject: [Config], useFactory: ({ encryptionKeys }: GatewayConfig) => new Seal(encryptionKeys) },
    {
      provide: AccountSeal,
      inject: [Config],
      useFactory: ({ encryptionKeys }: GatewayConfig) => new AccountSeal(encryptionKeys),
    },
    {
      provide: Resealing,
      inject: [Pool, Config, LOG],
      useFactory: (pool: Pool, { encryptionKeys }: GatewayConfig, log: Log) => new Resealing(pool, encryptionKeys, log),
    },
    {
      provide: Authentication,
      inject: [Pool, Seal, Config],
      useFactory: (pool: Pool, seal: Seal, { rootKey }: GatewayConfig) => new Authentication(pool, seal, rootKey),
    },
    { provide: Upstreams, inject: [Config], useFactory: ({ serviceUrls }: GatewayConfig) => new Upstreams(serviceUrls) },
    { provide: Passage, inject: [Upstreams, LOG], useFactory: (upstreams: Upstreams, log: Log) => new Passage(upstreams, log) },
    {
      provide: WholeReadiness,
      inject: [Readiness, Upstreams],
      useFactory: (own: Readiness, upstreams: Upstreams) => new WholeReadiness(own, upstreams),
    },
    {
      provide: ApiDocument,
      inject: [OpenApi, Upstreams],
      useFactory: (own: OpenApi, upstreams: Upstreams) => new ApiDocument(own, upstreams),
    },
  ],
})
export class GatewayModule implements OnApplicationBootstrap, OnApplicationShutdown {
  /** Listens from the application's bootstrap on. */
  grpc: GrpcServer | null = null

  constructor(
    @Inject(Config) private readonly config: GatewayConfig,
    @Inject(Pool) private readonly pool: Pool,
    @Inject(KafkaConnection) private readonly kafka: KafkaConnection,
    @Inject(OutboxRelay) private readonly relay: OutboxRelay,
    @Inject(Resealing) private readonly resealing: Resealing,
    @Inject(Upstreams) private readonly upstreams: Upstreams,
    @Inject(WholeReadiness) private readonly readiness: WholeReadiness,
    @Inject(Readiness) private readonly own: Readiness,
    @Inject(Registry) private readonly registry: Registry,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    outboxMetrics(this.registry, this.pool)
    watchKafka(this.registry, this.own, { connection: this.kafka, follows: [], writes: [topics.workspaces.name] })
    this.relay.start()
    this.resealing.start()
    this.grpc = await startGrpc(this.config.host, this.config.grpcPort, () => this.readiness.notReady())
    this.log.info({ port: this.grpc.port }, 'listening for gRPC')
    this.readiness.onAnswer = (ready) => this.grpc?.setReady(ready)
  }

  async onApplicationShutdown(): Promise<void> {
    await this.grpc?.stop()
    await this.upstreams.close()
    await this.resealing.stop()
    await this.relay.stop()
    await this.kafka.close()
    await this.pool.end()
  }
}
