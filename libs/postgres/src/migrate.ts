// Migrations by TypeORM, one service's schema at a time, never two processes at once.
import { Client } from 'pg'
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
}

/** TypeORM's data source of a service, not yet initialized. */
export function createDataSource({ databaseUrl, schema, applicationName, migrations, entities = [] }: DataSourceSettings): DataSource {
  // Loaded when it is needed: a quarter of a second of CPU that most services, already migrated, do without at each start.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const typeorm = require('typeorm') as typeof import('typeorm')
  return new typeorm.DataSource({
    type: 'postgres', url: databaseUrl, schema, applicationName,
    entities: [...entities], migrations: [...migrations], migrationsTableName: 'migrations', synchronize: false, logging: false,
    extra: { options: `-c search_path=${schema} -c lock_timeout=${lockTimeoutMs}` },
  } as DataSourceOptions)
}

// Any fixed number will do, as long as nobody else uses it: "stepcast" in ASCII, cut to 63 bits.
const migrationLock = '8319104482583798644'

// Whoever waits for a table's lock, behind a backup for instance, has everybody else wait behind it: better a start that fails.
const lockTimeoutMs = 5_000
const askAgainMs = 100

/**
 * Creates the service's schema and runs its migrations. TypeORM has no lock of its own (typeorm#4588), so an advisory
 * one is held meanwhile: two processes of one service may start together. It is asked for again and again, not waited for: CREATE INDEX
 * CONCURRENTLY waits for every statement under way, and that would be one.
 * @throws when a table is locked for 5 s; nothing of that migration is done then, and processes that run go on.
 */
export async function migrate(settings: DataSourceSettings): Promise<void> {
  const lock = new Client({ connectionString: settings.databaseUrl, application_name: `${settings.applicationName} migrations` })
  await lock.connect()
  try {
    while (!(await isLocked(lock))) await new Promise((resolve) => setTimeout(resolve, askAgainMs))
    await lock.query(`CREATE SCHEMA IF NOT EXISTS "${settings.schema}"`)
    if (await isMigrated(lock, settings)) return
    const source = createDataSource(settings)
    await source.initialize()
    try {
      await source.runMigrations({ transaction: 'each' })
    } catch (error) {
      if ((error as { code?: string }).code !== lockNotAvailable) throw error
      throw new Error(`a migration of ${settings.schema} needs a lock that another session holds (a backup, or a long transaction): start again when it has ended`, { cause: error })
    } finally {
      await source.destroy()
    }
  } finally {
    await lock.end()
  }
}

async function isLocked(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [migrationLock])
  return rows[0]!.locked
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
