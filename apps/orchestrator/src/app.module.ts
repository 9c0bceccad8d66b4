// The composition root of the orchestrator: plain functions and classes wired once.
import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common'
import type { Pool } from 'pg'
import { topics, type UserChanged } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, type RunningConsumer } from '@stepcast/kafka'
import { connections, createPool, databaseUrlFromEnv, migrate, poolSizeOf } from '@stepcast/postgres'
import { TemplatesReplica, UsersReplica, WorkspacesReplica } from '@stepcast/replica'
import { ENV, watchKafka, LOG, Readiness, Registry, type Env, type Log } from '@stepcast/service'
import type { CancelOptions } from './cancel'
import { consumeControls } from './controls'
import { Engine } from './engine'
import { HistoriesController } from './histories.controller'
import { EngineMetrics } from './metrics'
import { migrations } from './migrations'
import type { QuietHours } from './quietHours'
import { SequencesController } from './sequences.controller'
import { readSession, settingsFromEnv, turnSession } from './settings'
import { reconsider } from './sql/reconsiderations'
import { BACKGROUND, CANCELS, POOL, READS } from './tokens'

const schema = 'orchestrator'

/** Of a person the orchestrator keeps quiet hours, and nothing where there are none. */
const quietHoursOf = ({ quietHoursStart: start, quietHoursEnd: end, timezone }: UserChanged): QuietHours | null =>
  start === null || end === null ? null : { timezone, start, end }

interface Background {
  stop(): Promise<void>
}

async function makePool(env: Env, log: Log): Promise<Pool> {
  const databaseUrl = databaseUrlFromEnv(env)
  await migrate({ databaseUrl, schema, applicationName: 'orchestrator', migrations, onWait: (sentence) => log.info(sentence) })
  return createPool({
    databaseUrl,
    schema,
    applicationName: 'orchestrator',
    max: poolSizeOf(env, 'orchestrator'),
    settings: turnSession,
    onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
  })
}

/** Stories and lists have connections of their own, few and with a time limit: whoever reads takes none from turns and timers. */
function makeReads(env: Env, log: Log): Pool {
  return createPool({
    databaseUrl: databaseUrlFromEnv(env),
    schema,
    applicationName: 'orchestrator reads',
    max: connections.orchestrator.beside,
    settings: readSession,
    onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
  })
}

const makeConnection = (env: Env, log: Log): KafkaConnection =>
  new KafkaConnection({
    kafka: kafkaConfigFromEnv(env as NodeJS.ProcessEnv, 'orchestrator'),
    registry: registryConfigFromEnv(env as NodeJS.ProcessEnv),
    log,
  })

async function startBackground(
  env: Env,
  pool: Pool,
  reads: Pool,
  connection: KafkaConnection,
  cancels: CancelOptions,
  readiness: Readiness,
  registry: Registry,
): Promise<Background> {
  const options = { connection, pool, service: 'orchestrator' }
  const templates = new TemplatesReplica(options)
  const { partitions } = cancels
  const users = new UsersReplica<QuietHours>({
    ...options,
    keep: quietHoursOf,
    onReplaced: (tx, changed) => reconsider(tx, changed, partitions),
  })
  const workspaces = new WorkspacesReplica({
    ...options,
    onTimezoneChanged: (tx, changed) =>
      reconsider(
        tx,
        changed.map((workspaceId) => ({ workspaceId, userId: null })),
        partitions,
      ),
  })
  const settings = settingsFromEnv(env)
  const engine = new Engine({
    templates,
    settings,
    metrics: new EngineMetrics(registry),
    turn: { pool, connection, users, workspaces, minuteMs: settings.minuteMs },
  })
  watchKafka(registry, readiness, {
    connection,
    follows: [
      { groupId: 'orchestrator', topic: topics.sends.name, onlyNamed: true, offsets: () => engine.offsets('sendsOffset') },
      { groupId: 'orchestrator', topic: topics.engagements.name, onlyNamed: true, offsets: () => engine.offsets('engagementsOffset') },
      { groupId: 'orchestrator.controls', topic: topics.controls.name },
      templates.followed,
      users.followed,
      workspaces.followed,
    ],
  })
  await Promise.all([templates.start(), users.start(), workspaces.start()])
  cancels.jobsWait = () => engine.lookForJobs()
  // Before the engine: partitions begin when cancels that waited are taken up.
  const controls: RunningConsumer = await consumeControls(connection, cancels)
  await engine.start()
  readiness.add('database', async () => (await pool.query('SELECT 1')).rowCount === 1)
  readiness.add('partitions', () => engine.isReady)
  return {
    async stop() {
      await controls.stop()
      await engine.stop()
      await Promise.all([templates.stop(), users.stop(), workspaces.stop()])
      await connection.close()
      await Promise.all([pool.end(), reads.end()])
    },
  }
}

/** The orchestrator. */
@Module({
  controllers: [SequencesController, HistoriesController],
  providers: [
    { provide: POOL, inject: [ENV, LOG], useFactory: makePool },
    // After the other: that one migrates.
    { provide: READS, inject: [ENV, LOG, POOL], useFactory: makeReads },
    { provide: KafkaConnection, inject: [ENV, LOG], useFactory: makeConnection },
    {
      provide: CANCELS,
      inject: [POOL, KafkaConnection],
      useFactory: async (pool: Pool, connection: KafkaConnection): Promise<CancelOptions> => ({
        pool,
        connection,
        partitions: await connection.partitionsOf(topics.sends.name),
        jobsWait: () => {},
      }),
    },
    { provide: BACKGROUND, inject: [ENV, POOL, READS, KafkaConnection, CANCELS, Readiness, Registry], useFactory: startBackground },
  ],
})
export class AppModule implements OnApplicationShutdown {
  constructor(@Inject(BACKGROUND) private readonly background: Background) {}

  async onApplicationShutdown(): Promise<void> {
    await this.background.stop()
  }
}
