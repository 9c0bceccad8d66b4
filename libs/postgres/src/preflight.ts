// Looks at a database before anything is made in it: sign-in, poolers, rights, read-only servers, connections.
import type { Finding } from '@stepcast/contracts'
import type { Client } from 'pg'
import { connectionsInAll, databaseServices } from './connections'
import { connectionProblem, connectTo, placeOf, refusePooler } from './reach'

/** What is looked at. */
export interface DatabasePreflight {
  readonly databaseUrl: string
  /** Holds STEPCAST_POOL_<SERVICE>. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Processes of each service; one unless told. */
  readonly instances?: Readonly<Partial<Record<string, number>>>
  /** The services that run; all unless told. */
  readonly services?: readonly string[]
}

/** `send_svc` of send-svc. */
const ourSchemas = databaseServices.map((service) => service.replaceAll('-', '_'))
// A system that runs on the database already holds what this one would: it is counted once.
const oursPattern = `^(stepcast|${databaseServices.join('|')})`

/** Whether the server holds the database, or the role may create it: nothing is created. */
export async function databaseIsMissing(databaseUrl: string): Promise<boolean> {
  try {
    await (await connectTo(databaseUrl, 'stepcast pre-flight')).end()
    return false
  } catch (error) {
    return ((error as Error).cause as { code?: string } | undefined)?.code === '3D000'
  }
}

/** Everything that stands in the way, each in a sentence; takes 10 s at most where a server does not answer. */
export async function checkDatabase(options: DatabasePreflight): Promise<Finding[]> {
  const { databaseUrl } = options
  try {
    if (await databaseIsMissing(databaseUrl)) return await checkCreation(databaseUrl)
    await refusePooler(databaseUrl)
    const client = await connectTo(databaseUrl, 'stepcast pre-flight')
    try {
      const place = placeOf(databaseUrl)
      return [...(await checkWritable(client, place)), ...(await checkRights(client)), ...(await checkRoom(client, place, options))]
    } finally {
      await client.end().catch(() => {})
    }
  } catch (error) {
    return [{ kind: 'error', text: connectionProblem(databaseUrl, error as Error).message }]
  }
}

/** A database that does not exist yet is made at the start, where the role may. */
async function checkCreation(databaseUrl: string): Promise<Finding[]> {
  const server = new URL(databaseUrl)
  const name = decodeURIComponent(server.pathname.slice(1))
  server.pathname = '/postgres'
  const advice = `there is no database "${name}" at ${placeOf(server.toString()).replace(/\/.*/, '')}, and the role may not create it: CREATE DATABASE "${name}"`
  const client = await connectTo(server.toString(), 'stepcast pre-flight').catch(() => null)
  if (client === null) return [{ kind: 'error', text: `DATABASE_URL: ${advice}` }]
  try {
    const {
      rows: [role],
    } = await client.query<{ may: boolean }>('SELECT rolcreatedb OR rolsuper AS may FROM pg_roles WHERE rolname = current_user')
    return role!.may ? [] : [{ kind: 'error', text: `DATABASE_URL: ${advice}` }]
  } finally {
    await client.end().catch(() => {})
  }
}

async function checkWritable(client: Client, place: string): Promise<Finding[]> {
  const {
    rows: [state],
  } = await client.query<{ standby: boolean; read_only: string }>(
    `SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') AS read_only`,
  )
  if (state!.standby)
    return [{ kind: 'error', text: `DATABASE_URL: the server at ${place} is a standby, which takes no writes: give the primary's address` }]
  if (state!.read_only !== 'on') return []
  return [
    {
      kind: 'error',
      text: `DATABASE_URL: the database at ${place} is read-only (default_transaction_read_only is on for this role, database or server): ALTER ROLE or ALTER DATABASE … RESET default_transaction_read_only`,
    },
  ]
}

interface SchemaRow {
  readonly schema: string
  /** Null: it does not exist. */
  readonly usable: boolean | null
  /** Tables in it that belong to somebody else, who alone may change them. */
  readonly foreign_tables: number
  readonly owner: string | null
}

async function checkRights(client: Client): Promise<Finding[]> {
  const {
    rows: [rights],
  } = await client.query<{ role: string; database: string; may_create: boolean }>(
    `SELECT current_user AS role, current_database() AS database, has_database_privilege(current_database(), 'CREATE') AS may_create`,
  )
  const { role, database, may_create: mayCreate } = rights!
  const { rows } = await client.query<SchemaRow>(
    `SELECT wanted.schema, has_schema_privilege(namespace.oid, 'CREATE') AND has_schema_privilege(namespace.oid, 'USAGE') AS usable,
       pg_get_userbyid(namespace.nspowner) AS owner,
       (SELECT count(*)::int FROM pg_class WHERE relnamespace = namespace.oid AND relkind IN ('r', 'p') AND NOT pg_has_role(relowner, 'USAGE')) AS foreign_tables
     FROM unnest($1::text[]) AS wanted (schema) LEFT JOIN pg_namespace namespace ON nspname = wanted.schema`,
    [ourSchemas],
  )
  const missing = rows.filter(({ usable }) => usable === null).map(({ schema }) => schema)
  const closed = rows.filter(({ usable }) => usable === false)
  const foreign = rows.filter(({ foreign_tables }) => foreign_tables > 0)
  const findings: Finding[] = []
  if (missing.length > 0 && !mayCreate) {
    findings.push({
      kind: 'error',
      text: `DATABASE_URL: the role "${role}" may not create the schemas ${missing.join(', ')} in "${database}": GRANT CREATE ON DATABASE "${database}" TO "${role}"`,
    })
  }
  if (closed.length > 0) {
    findings.push({
      kind: 'error',
      text: `DATABASE_URL: the role "${role}" may not create tables in ${closed.map(({ schema, owner }) => `${schema} (of ${owner})`).join(', ')}: GRANT USAGE, CREATE ON SCHEMA … TO "${role}"`,
    })
  }
  if (foreign.length > 0) {
    findings.push({
      kind: 'error',
      text: `DATABASE_URL: tables in ${foreign.map(({ schema }) => schema).join(', ')} belong to another role than "${role}", which alone may change them: sign in as that role, or GRANT it TO "${role}"`,
    })
  }
  return findings
}

/** The connections that ordinary roles may have, against those that all pools may open. */
async function checkRoom(client: Client, place: string, { env, instances, services }: DatabasePreflight): Promise<Finding[]> {
  const wanted = connectionsInAll(env, instances, services)
  const {
    rows: [room],
  } = await client.query<{ max: number; reserved: number; role_limit: number; database_limit: number; used: number }>(
    `SELECT current_setting('max_connections')::int AS max,
       current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
       (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name !~ $1) AS used`,
    [oursPattern],
  )
  const { max, reserved, role_limit: ofRole, database_limit: ofDatabase, used } = room!
  const limits = [
    { limit: max - reserved, what: `max_connections is ${max}, ${reserved} of them reserved`, mend: 'raise max_connections' },
    ...(ofRole >= 0 ? [{ limit: ofRole, what: `the role's limit is ${ofRole}`, mend: 'ALTER ROLE … CONNECTION LIMIT' }] : []),
    ...(ofDatabase >= 0
      ? [{ limit: ofDatabase, what: `the database's limit is ${ofDatabase}`, mend: 'ALTER DATABASE … CONNECTION LIMIT' }]
      : []),
  ]
  const tooFew = limits.filter(({ limit }) => limit < wanted)
  const [tightest] = tooFew.sort((a, b) => a.limit - b.limit)
  if (tightest !== undefined) {
    return [
      {
        kind: 'error',
        text: `DATABASE_URL: Stepcast may open ${wanted} connections and PostgreSQL at ${place} gives ${tightest.limit} (${tightest.what}): ${tightest.mend} to ${wanted + reserved + 10} or more, or make pools smaller (STEPCAST_POOL_<SERVICE>, docs/operations.md)`,
      },
    ]
  }
  if (max - reserved - used >= wanted) return []
  return [
    {
      kind: 'warning',
      text: `DATABASE_URL: Stepcast may open ${wanted} connections, and others hold ${used} of the ${max - reserved} at ${place}: raise max_connections, or make pools smaller (STEPCAST_POOL_<SERVICE>)`,
    },
  ]
}
