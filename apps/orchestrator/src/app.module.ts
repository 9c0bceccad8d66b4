// The composition root of the orchestrator: plain functions and classes wired once.
import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common'
import type { Pool } from 'pg'
import { topics, type UserChanged } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, type RunningConsumer } from '@stepcast/kafka'
import { createPool, migrate } from '@stepcast/postgres'
import { replicaOffsets, TemplatesReplica, UsersReplica, WorkspacesReplica } from '@stepcast/replica'
import { ENV, watchKafka, LOG, Readiness, Registry, replicaGroup, type Env, type Log } from '@stepcast/service'
import type { CancelOptions } from './cancel'
import { consumeControls } from './controls'
import { Engine } from './engine'
import { EngineMetrics } from './metrics'
import { migrations } from './migrations'
import type { QuietHours } from './quietHours'
import { SequencesController } from './sequences.controller'
import { settingsFromEnv } from './settings'
import { BACKGROUND, CANCELS, POOL } from './tokens'

const schema = 'orchestrator'

/** Of a person the orchestrator keeps quiet hours, and nothing where there are none. */
const quietHoursOf = ({ quietHoursStart: start, quietHoursEnd: end, timezone }: UserChanged): QuietHours | null =>
  start === null || end === null ? null : { timezone, start, end }

interface Background {
  stop(): Promise<void>
}

async function makePool(env: Env, log: Log): Promise<Pool> {
  const databaseUrl = env.DATABASE_URL
  if (!databaseUrl) throw new Error('DATABASE_URL is missing: give the address of a PostgreSQL database')
  await migrate({ databaseUrl, schema, applicationName: 'orchestrator', migrations })
  return createPool({
    databaseUrl, schema, applicationName: 'orchestrator', max: 12,
    // Plans for arrays of any length are index lookups, and are made once; one made for 2,000 ids may read a young table from end to end.
    settings: { plan_cache_mode: 'force_generic_plan' },
    onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
  })
}

const makeConnection = (env: Env, log: Log): KafkaConnection =>
  new KafkaConnection({ kafka: kafkaConfigFromEnv(env as NodeJS.ProcessEnv, 'orchestrator'), registry: registryConfigFromEnv(env as NodeJS.ProcessEnv), log })

async function startBackground(env: Env, pool: Pool, connection: KafkaConnection, cancels: CancelOptions, readiness: Readiness, registry: Registry): Promise<Background> {
  const options = { connection, pool, service: 'orchestrator' }
  const templates = new TemplatesReplica(options)
  const users = new UsersReplica<QuietHours>({ ...options, keep: quietHoursOf })
  const workspaces = new WorkspacesReplica(options)
  const settings = settingsFromEnv(env)
  const engine = new Engine({
    templates, settings, metrics: new EngineMetrics(registry),
    turn: { pool, connection, users, workspaces, minuteMs: settings.minuteMs },
  })
  watchKafka(registry, readiness, {
    connection,
    follows: [
      { groupId: 'orchestrator', topic: topics.sends.name, onlyNamed: true, offsets: () => engine.offsets('sendsOffset') },
      { groupId: 'orchestrator', topic: topics.engagements.name, onlyNamed: true, offsets: () => engine.offsets('engagementsOffset') },
      { groupId: 'orchestrator.controls', topic: topics.controls.name },
      ...[topics.templates, topics.users, topics.workspaces].map(({ name }) => replicaGroup('orchestrator', name, () => replicaOffsets(pool, name))),
    ],
  })
  await Promise.all([templates.start(), users.start(), workspaces.start()])
  await engine.start()
  cancels.jobsWait = () => engine.lookForJobs()
  const controls: RunningConsumer = await consumeControls(connection, cancels)
  readiness.add('database', async () => (await pool.query('SELECT 1')).rowCount === 1)
  readiness.add('partitions', () => engine.isReady)
  return {
    async stop() {
      await controls.stop()
      await engine.stop()
      await Promise.all([templates.stop(), users.stop(), workspaces.stop()])
      await connection.close()
      await pool.end()
    },
  }
}

/** The orchestrator. */
@Module({
  controllers: [SequencesController],
  providers: [
    { provide: POOL, inject: [ENV, LOG], useFactory: makePool },
    { provide: KafkaConnection, inject: [ENV, LOG], useFactory: makeConnection },
    {
      provide: CANCELS, inject: [POOL, KafkaConnection],
      useFactory: async (pool: Pool, connection: KafkaConnection): Promise<CancelOptions> => ({ pool, partitions: await connection.partitionsOf(topics.sends.name), jobsWait: () => {} }),
    },
    { provide: BACKGROUND, inject: [ENV, POOL, KafkaConnection, CANCELS, Readiness, Registry], useFactory: startBackground },
  ],
})
export class AppModule implements OnApplicationShutdown {
  constructor(@Inject(BACKGROUND) private readonly background: Background) {}

  async onApplicationShutdown(): Promise<void> {
    await this.background.stop()
  }
}
