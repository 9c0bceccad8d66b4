// Whether a database can be used at all: why a connection fails, in a sentence that names the variable, and what lies in between.
import { InstallationError } from '@stepcast/contracts'
import { Client } from 'pg'

/** The database cannot be used as it is; the message is a sentence that names DATABASE_URL and says what to do. */
export class DatabaseOutOfReach extends InstallationError {}

// A server on a busy machine takes its seconds; with the looks that follow it stays within the 15 s of a pre-flight.
const connectMs = 8_000
const probeSchema = 'stepcast_probe'

/** Where a database is, without its password. */
export function placeOf(databaseUrl: string): string {
  if (!URL.canParse(databaseUrl)) return 'its address'
  const { hostname, port, pathname, searchParams } = new URL(databaseUrl)
  return `${searchParams.get('host') ?? (decodeURIComponent(hostname) || 'localhost')}:${port || '5432'}${pathname}`
}

const poolerAdvice =
  'Stepcast needs sessions of its own (advisory locks, LISTEN, search_path): give the address of PostgreSQL itself, or of a pool in session mode that ' +
  'passes `options` on'

/** What an error of connecting or of a first statement means for whoever runs the installation. */
export function connectionProblem(databaseUrl: string, error: Error): Error {
  // Says already what is wrong: this, or a variable.
  if (error instanceof InstallationError) return error
  const { code, message } = error as Error & { code?: string }
  const place = placeOf(databaseUrl)
  const { username = '', pathname = '' } = URL.canParse(databaseUrl) ? new URL(databaseUrl) : {}
  const user = decodeURIComponent(username) || 'the role'
  const database = decodeURIComponent(pathname.slice(1))
  const say = (what: string): DatabaseOutOfReach => new DatabaseOutOfReach(`DATABASE_URL: ${what}`, { cause: error })
  if (/unsupported startup parameter/i.test(message))
    return say(`at ${place} is a connection pool (PgBouncer) that refuses \`options\`. ${poolerAdvice}`)
  switch (code ?? '') {
    case 'ECONNREFUSED':
      return say(`nothing listens at ${place} (connection refused). Is PostgreSQL running, and is this its address?`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return say(`the host of ${place} is not known (${code})`)
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return say(`${place} cannot be reached (${code}): a firewall, or another address?`)
    case '28P01':
      return say(`PostgreSQL at ${place} refuses the password of ${user}`)
    case '28000':
      return say(
        `PostgreSQL at ${place} does not let ${user} in: ${message}${/no encryption|SSL off/i.test(message) ? ' (add ?sslmode=require)' : ''}`,
      )
    case '3D000':
      return say(`there is no database "${database}" at ${place}: CREATE DATABASE "${database}"`)
    case '42501':
      return say(
        `the role ${user} may not create what Stepcast needs in "${database}" (${message}): GRANT CREATE ON DATABASE "${database}" TO "${user}"`,
      )
    case '25006':
      return say(`the database at ${place} is read-only (a standby, or default_transaction_read_only): give the primary's address`)
    case '53300':
      return say(
        `PostgreSQL at ${place} has no connection left (${message}): raise max_connections, or make pools smaller (STEPCAST_POOL_<SERVICE>)`,
      )
    case '57P03':
      return say(`PostgreSQL at ${place} is starting or stopping (${message}): try again`)
  }
  if (/does not support SSL/i.test(message))
    return say(`PostgreSQL at ${place} speaks no TLS: take sslmode out of the address, or switch TLS on there`)
  if (/certificate|altnames/i.test(message)) return say(`the certificate of PostgreSQL at ${place} is not trusted (${message})`)
  if (/timeout expired/i.test(message))
    return say(`${place} does not answer within ${connectMs / 1_000} s: a firewall, another kind of server, or one that is overloaded?`)
  if (/terminated unexpectedly/i.test(message)) return say(`${place} hangs up on us: is it PostgreSQL?`)
  return code === undefined ? say(`${place} cannot be used: ${message}`) : error
}

/** Opens a connection as the services' pools do. @throws DatabaseOutOfReach */
export async function connectTo(databaseUrl: string, applicationName: string, options?: string): Promise<Client> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: applicationName,
    connectionTimeoutMillis: connectMs,
    ...(options && { options }),
  })
  // The statement under way tells of it.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw connectionProblem(databaseUrl, error as Error)
  }
}

/**
 * Refuses a pool between us and PostgreSQL that shares sessions between clients (PgBouncer in transaction mode), or that drops `options`.
 * @throws DatabaseOutOfReach naming DATABASE_URL
 */
export async function refusePooler(databaseUrl: string): Promise<void> {
  const first = await connectTo(databaseUrl, 'stepcast probe', `-c search_path=${probeSchema}`)
  try {
    const {
      rows: [path],
    } = await first.query<{ search_path: string }>(`SELECT current_setting('search_path') AS search_path`)
    const dropped = path!.search_path !== probeSchema
    if (dropped || (await shares(first, databaseUrl))) {
      throw new DatabaseOutOfReach(
        `DATABASE_URL: at ${placeOf(databaseUrl)} is a connection pool (PgBouncer, or alike) that ` +
          `${dropped ? 'drops `options`, and with them search_path' : 'shares sessions between clients (transaction mode)'}. ${poolerAdvice}`,
      )
    }
  } finally {
    await first.end().catch(() => {})
  }
}

/** Whether two connections of ours, both open, are served by the same session of PostgreSQL. */
async function shares(first: Client, databaseUrl: string): Promise<boolean> {
  const pidOf = async (client: Client): Promise<number> =>
    (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid
  // Told at the beginning of a session; a pool makes up its own.
  if ((first as unknown as { processID: number | null }).processID === (await pidOf(first))) return false
  const second = await connectTo(databaseUrl, 'stepcast probe', `-c search_path=${probeSchema}`)
  try {
    const own = new Set<number>()
    const others = new Set<number>()
    for (let turn = 0; turn < 4; turn++) {
      own.add(await pidOf(first))
      others.add(await pidOf(second))
    }
    return own.size > 1 || others.size > 1 || [...own].some((pid) => others.has(pid))
  } finally {
    await second.end().catch(() => {})
  }
}
