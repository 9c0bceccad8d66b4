// Migrations by TypeORM, one service's schema at a time, never two processes at once.
import { Client } from 'pg'
import { DataSource, type DataSourceOptions, type MigrationInterface } from 'typeorm'

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
  return new DataSource({
    type: 'postgres', url: databaseUrl, schema, applicationName,
    entities: [...entities], migrations: [...migrations], migrationsTableName: 'migrations', synchronize: false, logging: false,
    extra: { options: `-c search_path=${schema}` },
  } as DataSourceOptions)
}

// Any fixed number will do, as long as nobody else uses it: "stepcast" in ASCII, cut to 63 bits.
const migrationLock = '8319104482583798644'

/**
 * Creates the service's schema and runs its migrations. TypeORM has no lock of its own (typeorm#4588), so an advisory
 * one is held meanwhile: two processes of one service may start together.
 */
export async function migrate(settings: DataSourceSettings): Promise<void> {
  const lock = new Client({ connectionString: settings.databaseUrl, application_name: `${settings.applicationName} migrations` })
  await lock.connect()
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [migrationLock])
    await lock.query(`CREATE SCHEMA IF NOT EXISTS "${settings.schema}"`)
    const source = createDataSource(settings)
    await source.initialize()
    try {
      await source.runMigrations({ transaction: 'each' })
    } finally {
      await source.destroy()
    }
  } finally {
    await lock.end()
  }
}
