// The servers that every contestant runs on: one broker and one PostgreSQL for the whole run, a database for each.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { startStack, type Stack } from '@stepcast/stack'
import { cpuSeconds } from './cpu'
import type { Progress } from './progress'

/** CPU seconds used so far, by part. */
export type CpuUse = Readonly<Record<string, number>>

/** The running servers. */
export class Servers {
  private constructor(
    readonly home: string,
    readonly stack: Stack,
  ) {}

  /**
   * Starts broker, registry and PostgreSQL in a directory of their own.
   *
   * @param commitTimes let PostgreSQL remember when each transaction committed; lateness is judged by that
   */
  static async start(progress: Progress, commitTimes: boolean): Promise<Servers> {
    const home = mkdtempSync(join(tmpdir(), 'stepcast-bench-'))
    const stack = await startStack({ home, onProgress: (line) => progress.done(line) })
    const servers = new Servers(home, stack)
    if (commitTimes) {
      await servers.sql('ALTER SYSTEM SET track_commit_timestamp = on')
      await stack.parts.postgres!.restart()
    }
    return servers
  }

  /** Stops everything and deletes its data. */
  async stop(): Promise<void> {
    await this.stack.stop()
    rmSync(this.home, { recursive: true, force: true })
  }

  /** CPU of the servers alone. */
  cpu(): CpuUse {
    const { broker, postgres } = this.stack.parts
    return { postgres: cpuSeconds(postgres!.pid!), broker: cpuSeconds(broker!.pid!) }
  }

  /** Runs one statement on a connection of its own. */
  async sql<T extends object>(statement: string, values: readonly unknown[] = [], databaseUrl = this.stack.databaseUrl): Promise<T[]> {
    const client = new Client({ connectionString: databaseUrl })
    await client.connect()
    try {
      return (await client.query<T>(statement, [...values])).rows
    } finally {
      await client.end()
    }
  }

  /** The address of another database of the server. */
  urlOf(database: string): string {
    const url = new URL(this.stack.databaseUrl)
    url.pathname = `/${database}`
    return url.href
  }

  /** Makes a database, empty or a copy of another that nobody is connected to; answers its address. */
  async createDatabase(name: string, template?: string): Promise<string> {
    await this.sql(`CREATE DATABASE "${name}"${template === undefined ? '' : ` TEMPLATE "${template}"`}`, [], this.urlOf('postgres'))
    return this.urlOf(name)
  }

  /** Deletes a database, whoever is connected. */
  async dropDatabase(name: string): Promise<void> {
    await this.sql(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`, [], this.urlOf('postgres'))
  }

  /** Bytes of a whole database on disk. */
  async sizeOf(databaseUrl: string): Promise<number> {
    const [row] = await this.sql<{ bytes: string }>('SELECT pg_database_size(current_database()) AS bytes', [], databaseUrl)
    return Number(row!.bytes)
  }
}

/** What was used between two looks, per 1,000 sequences, with the total. */
export function spentPer1000(spent: CpuUse, n: number): Record<string, number> {
  const parts = Object.entries(spent).map(([name, seconds]) => [name, Number(((seconds / n) * 1_000).toFixed(4))] as const)
  const total = Object.values(spent).reduce((sum, seconds) => sum + seconds, 0)
  return { ...Object.fromEntries(parts), total: Number(((total / n) * 1_000).toFixed(4)) }
}

/** The later use minus the earlier, part by part. */
export const cpuBetween = (before: CpuUse, after: CpuUse): CpuUse =>
  Object.fromEntries(Object.entries(after).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]))

/** Two uses added, part by part. */
export const cpuSum = (a: CpuUse, b: CpuUse): CpuUse =>
  Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]))
