// A dispatcher as a service: what an app declares of its channel becomes database, Kafka, ledger, routes and shutdown.
import {
  Inject,
  Module,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type Provider as NestProvider,
  type Type,
} from '@nestjs/common'
import type { Pool } from 'pg'
import { AccountSeal, requireKeys } from '@stepcast/accounts'
import { commandTopicOf, type ChannelType } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, type Log } from '@stepcast/kafka'
import { createPool, migrate, poolSizeOf, type DatabaseService, type Migration } from '@stepcast/postgres'
import {
  currentTraceparent,
  ENV,
  watchKafka,
  LOG,
  outboxMetrics,
  Readiness,
  Registry,
  startService,
  type Env,
  type RunningService,
  type ServiceOptions,
} from '@stepcast/service'
import { attemptMetrics } from './attemptMetrics'
import { DeadAddresses, type DeadAddressRemover } from './deadAddresses'
import { Dispatch, type DispatchOptions } from './dispatch'
import type { DispatcherConfig } from './dispatcherConfig'
import { CONFIG, POOL } from './dispatcherTokens'
import { dispatchMetrics } from './metrics'
import { dispatcherMigrations } from './migrations'
import { PreviousKey } from './previousKey'
import type { ProviderKind } from './provider'
import { Receipts } from './receipts'
import { unknownController } from './unknownController'

/** What a dispatcher's app declares. */
export interface DispatcherOptions<C extends ChannelType, Config extends DispatcherConfig = DispatcherConfig>
  extends Pick<DispatchOptions<C>, 'channel' | 'service' | 'addressesOf' | 'noAddress' | 'resendUnknown'> {
  /** The service's PostgreSQL schema. */
  readonly schema: string
  /** Of its routes, such as `v1/sms`. */
  readonly prefix: string
  /** @throws ConfigError naming the variable */
  readonly config: (env: Env) => Config
  readonly kinds: (config: Config) => readonly ProviderKind<C>[]
  /** What the channel adds to the way of a message, given what it may use. */
  readonly steps?: (parts: DispatcherParts<Config>) => Pick<DispatchOptions<C>, 'prepare' | 'onErased' | 'unsubscribes'>
  /** Removes addresses that a provider called gone; absent: no provider of this channel does. */
  readonly removeAddress?: (config: Config) => DeadAddressRemover
  /** After those every dispatcher has. */
  readonly migrations?: readonly Migration[]
  readonly controllers?: readonly Type<unknown>[]
  /** May inject {@link CONFIG}, {@link POOL}, {@link KafkaConnection}, {@link Receipts}, {@link Dispatch}, `LOG` and `Registry`. */
  readonly providers?: readonly NestProvider[]
}

/** What the parts of a dispatcher share. */
export interface DispatcherParts<Config extends DispatcherConfig = DispatcherConfig> {
  readonly config: Config
  readonly connection: KafkaConnection
  /** On the dispatcher's schema. */
  readonly pool: Pool
  readonly log: Log
}

/** The dispatch of a channel, not yet started; `changes` are for specs. */
export function dispatchOf<C extends ChannelType, Config extends DispatcherConfig>(
  options: DispatcherOptions<C, Config>,
  parts: DispatcherParts<Config>,
  changes: Pick<DispatchOptions<C>, 'onAttempt' | 'onDeadAddress' | 'leaseMs'> = {},
): Dispatch<C> {
  const { channel, service, addressesOf, noAddress, resendUnknown } = options
  const { config, connection, pool, log } = parts
  const { concurrency, ratePerWorkspace, ratePerProvider, timeoutMs, minuteMs } = config
  return new Dispatch({
    channel,
    service,
    addressesOf,
    noAddress,
    resendUnknown,
    connection,
    pool,
    log,
    concurrency,
    ratePerWorkspace,
    ratePerProvider,
    timeoutMs,
    minuteMs,
    kinds: options.kinds(config),
    seal: new AccountSeal(config.encryptionKeys),
    ...options.steps?.(parts),
    ...changes,
  })
}

/**
 * Settings of every connection. Whatever is asked here is looked up by key. Left to guess, PostgreSQL read the whole ledger at every claim
 * (seen: 6,000 rows to claim 50), the more so the larger it was; see also decision 7.
 */
export const ledgerSettings = {
  plan_cache_mode: 'force_generic_plan',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  enable_seqscan: 'off',
} as const

const OPTIONS = Symbol('dispatcher options')
type AnyOptions = DispatcherOptions<ChannelType>

/** Starts and stops what the module below has put together. */
@Module({})
class DispatcherModule implements OnApplicationBootstrap, OnApplicationShutdown {
  private isStarted = false

  constructor(
    @Inject(OPTIONS) private readonly options: AnyOptions,
    @Inject(POOL) private readonly pool: Pool,
    @Inject(KafkaConnection) private readonly connection: KafkaConnection,
    @Inject(Dispatch) private readonly dispatch: Dispatch<ChannelType>,
    @Inject(DeadAddresses) private readonly dead: DeadAddresses | null,
    @Inject(PreviousKey) private readonly previousKey: PreviousKey,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Registry) private readonly registry: Registry,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { service, channel } = this.options
    this.readiness.add('postgres', async () => (await this.pool.query('SELECT 1')).rowCount === 1)
    this.readiness.add('dispatcher', () => this.isStarted)
    dispatchMetrics(this.registry, this.pool, this.dispatch)
    outboxMetrics(this.registry, this.pool)
    watchKafka(this.registry, this.readiness, {
      connection: this.connection,
      follows: [{ groupId: service, topic: commandTopicOf[channel].name }, ...this.dispatch.followed],
    })
    await this.dispatch.start()
    this.dead?.start()
    this.previousKey.start()
    this.isStarted = true
  }

  /** Comes after the hooks of the app's own providers, so that they still have a database. */
  async onApplicationShutdown(): Promise<void> {
    await this.dispatch.stop()
    await this.dead?.stop()
    await this.previousKey.stop()
    await this.connection.close()
    await this.pool.end()
  }
}

/** The module of a dispatcher. */
export function dispatcherModule<C extends ChannelType, Config extends DispatcherConfig>(
  options: DispatcherOptions<C, Config>,
): DynamicModule {
  const { service, schema } = options
  return {
    module: DispatcherModule,
    controllers: [unknownController(options.prefix), ...(options.controllers ?? [])],
    providers: [
      { provide: OPTIONS, useValue: options },
      { provide: CONFIG, inject: [ENV], useFactory: options.config },
      {
        provide: POOL,
        inject: [CONFIG, ENV, LOG],
        useFactory: async ({ databaseUrl, encryptionKeys }: Config, env: Env, log: Log): Promise<Pool> => {
          const migrations = [...dispatcherMigrations, ...(options.migrations ?? [])]
          await migrate({ databaseUrl, schema, applicationName: service, migrations, onWait: (sentence) => log.info({}, sentence) })
          const pool = createPool({
            databaseUrl,
            schema,
            applicationName: service,
            max: poolSizeOf(env, service as DatabaseService),
            settings: ledgerSettings,
            onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
          })
          await requireKeys(pool, encryptionKeys).catch((error: Error) => pool.end().then(() => Promise.reject(error)))
          return pool
        },
      },
      {
        provide: KafkaConnection,
        inject: [ENV, LOG],
        useFactory: (env: Env, log: Log) =>
          new KafkaConnection({
            kafka: kafkaConfigFromEnv(env as NodeJS.ProcessEnv, service),
            registry: registryConfigFromEnv(env as NodeJS.ProcessEnv),
            log,
            traceparent: () => currentTraceparent() ?? null,
          }),
      },
      { provide: Receipts, inject: [KafkaConnection], useFactory: (connection: KafkaConnection) => new Receipts(connection) },
      {
        provide: DeadAddresses,
        inject: [CONFIG, POOL, LOG],
        useFactory: (config: Config, pool: Pool, log: Log) =>
          options.removeAddress ? new DeadAddresses({ pool, log, remove: options.removeAddress(config) }) : null,
      },
      {
        provide: PreviousKey,
        inject: [CONFIG, POOL, LOG],
        useFactory: ({ encryptionKeys }: Config, pool: Pool, log: Log) => new PreviousKey(pool, encryptionKeys, log),
      },
      {
        provide: Dispatch,
        inject: [CONFIG, KafkaConnection, POOL, LOG, Registry, DeadAddresses],
        useFactory: (config: Config, connection: KafkaConnection, pool: Pool, log: Log, registry: Registry, dead: DeadAddresses | null) => {
          const changes = { onAttempt: attemptMetrics(registry), onDeadAddress: () => dead?.kick() }
          return dispatchOf(options, { config, connection, pool, log }, changes)
        },
      },
      ...(options.providers ?? []),
    ],
  }
}

/** Starts a dispatcher. */
export function startDispatcher<C extends ChannelType, Config extends DispatcherConfig>(
  options: DispatcherOptions<C, Config>,
  more: Pick<ServiceOptions, 'env' | 'ownsProcess'> = {},
): Promise<RunningService> {
  return startService({
    name: options.service,
    module: dispatcherModule(options),
    ...more,
  })
}
