// The one way to PostgreSQL: a pool bound to a service's schema, and transactions on it.
import { Pool, types, type PoolClient } from 'pg'

// bigint columns hold offsets, positions and milliseconds, all far below 2^53: numbers, not strings.
types.setTypeParser(types.builtins.INT8, Number)

/** A pool or a transaction. */
export type Queryable = Pick<Pool | PoolClient, 'query'>

/** How to reach a service's tables. */
export interface PoolOptions {
  readonly databaseUrl: string
  /** The service's own PostgreSQL schema, e.g. `template_svc`; it is the search path of every connection. */
  readonly schema: string
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
  /** Connections at most; a service's are given out in `connections.ts`, 10 are for tools and specs. */
  readonly max?: number
  /** Settings of every session, by PostgreSQL's names. Values without spaces. */
  readonly settings?: Readonly<Record<string, string>>
  /** Called when an idle connection breaks; the pool replaces it by itself. */
  readonly onError?: (error: Error) => void
}

/** Makes a pool. Connections are made at first use. */
export function createPool({ databaseUrl, schema, applicationName, max = 10, settings = {}, onError = () => {} }: PoolOptions): Pool {
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: applicationName,
    max,
    options: Object.entries({ search_path: schema, ...settings })
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
  })
  // Without a listener a broken idle connection would end the process (node-postgres#2112).
  pool.on('error', onError)
  return pool
}

/** Runs work in one transaction: committed when it answers, rolled back when it throws; a broken connection is not reused. */
export async function inTransaction<T>(pool: Pool, work: (tx: PoolClient) => Promise<T>): Promise<T> {
  const tx = await pool.connect()
  let broken: Error | undefined
  // A connection that dies while checked out emits an error of its own; the query at hand rejects with it too.
  const onError = (error: Error): void => void (broken = error)
  tx.on('error', onError)
  try {
    await tx.query('BEGIN')
    const result = await work(tx)
    // failpoint: before-commit
    await tx.query('COMMIT')
    // failpoint: after-commit
    return result
  } catch (error) {
    await tx.query('ROLLBACK').catch((rollback: Error) => (broken = rollback))
    throw error
  } finally {
    tx.off('error', onError)
    tx.release(broken)
  }
}
