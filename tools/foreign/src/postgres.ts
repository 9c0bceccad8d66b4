// A PostgreSQL and a registry of somebody else's: an ordinary role with one database, by TLS, and room for as many connections as by default.
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startStack, type Stack } from '@stepcast/stack'
import type { Authority } from '@stepcast/testing'
import { Client } from 'pg'

/** The servers, and our role on them. */
export interface ForeignServers {
  readonly registryUrl: string
  /** With our role's name and password. */
  readonly databaseUrl: string
  /** Of the server's own superuser, to look at it from outside. */
  readonly superuserUrl: string
  stop(): Promise<void>
}

const role = 'stepcast_app'
const database = 'notifications'
const password = 'p@ss/w:rd#1'

/** Starts both; `signal` aborts the start. */
export async function startForeignServers(home: string, authority: Authority, signal: AbortSignal): Promise<ForeignServers> {
  const stack = await startStack({ home, use: { kafkaBrokers: 'of somebody else' }, postgresSettings: { max_connections: 100 }, signal })
  try {
    await byTls(home, stack, authority)
    await asSuperuser(stack.databaseUrl, [
      `CREATE ROLE ${role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '${password}'`,
      `CREATE DATABASE ${database} OWNER ${role}`,
      'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC',
    ])
  } catch (error) {
    await stack.stop()
    throw error
  }
  const url = new URL(stack.databaseUrl)
  url.username = role
  url.password = encodeURIComponent(password)
  url.pathname = `/${database}`
  return { registryUrl: stack.registryUrl, databaseUrl: url.toString(), superuserUrl: stack.databaseUrl, stop: () => stack.stop() }
}

async function byTls(home: string, stack: Stack, authority: Authority): Promise<void> {
  const { cert, key } = await authority.issue({ name: 'database' })
  const data = join(home, 'postgres')
  const [certFile, keyFile] = [join(data, 'server.crt'), join(data, 'server.key')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key, { mode: 0o600 })
  // The server reads it only where it is its own.
  const { uid, gid } = statSync(data)
  chownSync(certFile, uid, gid)
  chownSync(keyFile, uid, gid)
  // Our role comes in by TLS or not at all.
  const rules = join(data, 'pg_hba.conf')
  writeFileSync(rules, `hostssl all ${role} all scram-sha-256\nhostnossl all ${role} all reject\n${readFileSync(rules, 'utf8')}`)
  await asSuperuser(stack.databaseUrl, ['ALTER SYSTEM SET ssl = on', 'SELECT pg_reload_conf()'])
}

async function asSuperuser(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
