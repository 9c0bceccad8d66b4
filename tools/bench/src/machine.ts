// The machine and the servers that a run's figures belong to.
import { readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { checkout } from '@stepcast/local'
import type { Servers } from './servers'

/** Without these a figure means nothing. */
export interface Machine {
  readonly date: string
  readonly cores: number
  readonly cpu: string
  readonly memoryGb: number
  readonly platform: string
  readonly node: string
  readonly postgres: string
  readonly kafka: string
  readonly synchronousCommit: string
  /** Average of the minute before the start: other work on the machine shows here. */
  readonly loadAtStart: number
}

/** The load average of the last minute; to be read before anything is started. */
export const loadNow = (): number => Number((loadavg()[0] ?? 0).toFixed(2))

/** Describes what the figures were measured on. */
export async function machineOf(servers: Servers, loadAtStart: number): Promise<Machine> {
  const [settings] = await servers.sql<{ version: string; commit: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS commit`,
  )
  return {
    date: new Date().toISOString(),
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    postgres: settings!.version,
    kafka: kafkaVersion(),
    synchronousCommit: settings!.commit,
    loadAtStart,
  }
}

// The broker is fetched in exactly this version; its protocol does not tell it.
const kafkaVersion = (): string =>
  /<kafka\.version>(.*?)</.exec(readFileSync(join(checkout, 'tools/stack/pom.xml'), 'utf8'))?.[1] ?? 'unknown'
