// Migrations by TypeORM, one service's schema at a time, never two processes at once.
import { Client } from 'pg'
import { connectionProblem, refusePooler } from './reach'
import type { DataSource, DataSourceOptions, MigrationInterface } from 'typeorm'

/** A migration class, named with its timestamp at the end as TypeORM wants it, e.g. `Templates1700000000000`. */
export type Migration = new () => MigrationInterface

/** What a service's database is made of. */
export interface DataSourceSettings {
  readonly databaseUrl: string
  readonly schema: string
  readonly applicationName: string
  readonly migrations: readonly Migration[]
  readonly entities?: readonly (new (...args: never[]) => object)[]
  /** Connections at most, for a service that lives on TypeORM's own pool; TypeORM's 10 unless told. */
  readonly poolSize?: number
  /** Told in a sentence when another process migrates and this one waits for it, and again every 10 s; written to standard output unless given. */
  readonly onWait?: (sentence: string) => void
}

/** TypeORM's data source of a service, not yet initialized. */
export function createDataSource({
  databaseUrl,
  schema,
  applicationName,
  migrations,
  entities = [],
  poolSize,
}: DataSourceSettings): DataSource {
  // Loaded when it is needed: a quarter of a second of CPU that most services, already migrated, do without at each start.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const typeorm = require('typeorm') as typeof import('typeorm')
  return new typeorm.DataSource({
    type: 'postgres',
    url: databaseUrl,
    schema,
    applicationName,
    entities: [...entities],
    migrations: [...migrations],
    migrationsTableName: 'migrations',
    synchronize: false,
    logging: false,
    ...(poolSize !== undefined && { poolSize }),
    extra: { options: `-c search_path=${schema} -c lock_timeout=${lockTimeoutMs}` },
  } as DataSourceOptions)
}

// Any fixed number will do, as long as nobody else uses it: "stepcast" in ASCII, cut to 63 bits.
const migrationLock = '8319104482583798644'

// Whoever waits for a table's lock, behind a backup for instance, has everybody else wait behind it: better a start that fails.
const lockTimeoutMs = 5_000
const askAgainMs = 100
const sayAgainMs = 10_000

/**
 * Creates the service's schema and runs its migrations. TypeORM has no lock of its own (typeorm#4588), so an advisory one is held meanwhile: two
 * processes of one service may start together. It belongs to a transaction, so it ends with its holder also where a pooler keeps the session.
 * It is asked for again and again, not waited for: CREATE INDEX CONCURRENTLY waits for every statement under way, and that would be one.
 * @throws DatabaseOutOfReach in a sentence that names DATABASE_URL, also for a pooler that shares sessions
 * @throws when a table is locked for 5 s; nothing of that migration is done then, and processes that run go on.
 */
export async function migrate(settings: DataSourceSettings): Promise<void> {
  const { databaseUrl, schema, applicationName } = settings
  await refusePooler(databaseUrl)
  const lock = new Client({ connectionString: databaseUrl, application_name: `${applicationName} migrations` })
  // A server that goes away meanwhile is told by the statement under way.
  lock.on('error', () => {})
  await lock.connect().catch((error: Error) => Promise.reject(connectionProblem(databaseUrl, error)))
  try {
    await takeLock(lock, settings)
    const worker = new Client({ connectionString: databaseUrl, application_name: `${applicationName} migrations` })
    worker.on('error', () => {})
    await worker.connect()
    try {
      await worker
        .query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`)
        .catch((error: Error) => Promise.reject(connectionProblem(databaseUrl, error)))
      if (await isMigrated(worker, settings)) return
    } finally {
      await worker.end()
    }
    const source = createDataSource(settings)
    await source.initialize()
    try {
      await source.runMigrations({ transaction: 'each' })
    } catch (error) {
      if ((error as { code?: string }).code !== lockNotAvailable) throw error
      throw new Error(
        `a migration of ${settings.schema} needs a lock that another session holds (a backup, or a long transaction): start again when it has ended`,
        { cause: error },
      )
    } finally {
      await source.destroy()
    }
  } finally {
    await lock.end()
  }
}

/** Begins the transaction that holds the lock. */
async function takeLock(
  lock: Client,
  { onWait = (sentence) => console.log(JSON.stringify({ level: 'info', msg: sentence })) }: DataSourceSettings,
): Promise<void> {
  let saidAt = -Infinity
  for (;;) {
    await lock.query('BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 0')
    // Without a parameter: the driver would leave its portal open, and that holds a snapshot, for which CREATE INDEX CONCURRENTLY waits.
    const { rows } = await lock.query<{ locked: boolean }>(`SELECT pg_try_advisory_xact_lock(${migrationLock}) AS locked`)
    if (rows[0]!.locked) return
    // Whoever waits inside its transaction keeps CREATE INDEX CONCURRENTLY waiting for it, and so the holder.
    await lock.query('ROLLBACK')
    if (performance.now() - saidAt >= sayAgainMs) {
      saidAt = performance.now()
      onWait(await waitSentence(lock))
    }
    await new Promise((resolve) => setTimeout(resolve, askAgainMs))
  }
}

/** Who holds the lock, as far as it can be seen. */
async function waitSentence(client: Client): Promise<string> {
  const {
    rows: [holder],
  } = await client.query<{ pid: number; application_name: string | null }>(
    `SELECT pid, application_name FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND classid = ($1::bigint >> 32 & 4294967295)::bigint::oid AND objid = ($1::bigint & 4294967295)::bigint::oid`,
    [migrationLock],
  )
  return `waiting for another process' migrations (pid ${holder?.pid ?? 'unknown'}${holder?.application_name ? `, ${holder.application_name}` : ''})`
}

const lockNotAvailable = '55P03'
const undefinedTable = '42P01'

/** Whether every migration was run before. */
async function isMigrated(client: Client, { schema, migrations }: DataSourceSettings): Promise<boolean> {
  try {
    const { rows } = await client.query<{ name: string }>(`SELECT name FROM "${schema}".migrations`)
    const done = new Set(rows.map(({ name }) => name))
    return migrations.every((Migration) => done.has(new Migration().name ?? Migration.name))
  } catch (error) {
    if ((error as { code?: string }).code === undefinedTable) return false
    throw error
  }
}
