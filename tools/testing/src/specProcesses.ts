// Built services as processes of their own: to be stopped, thawed, killed and restarted as fate would.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Client } from 'pg'
import { freePort, loopback, Program } from '@stepcast/stack'
import type { SpecStack } from './specStack'

// This file is tools/testing/src/specProcesses.ts in it, or the same under dist.
const checkout = resolve(__dirname, '../../..')

/** A running service. `kill` sends a signal as the operating system would; `stop` asks it to end and waits; `start` brings it back. */
export interface SpecProcess {
  /** Also its `application_name` in pg_stat_activity. */
  readonly name: string
  readonly url: string
  kill(signal: NodeJS.Signals): void
  /** Resolves when no process of it runs. */
  ended(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
  /** Everything it has logged, all its processes together. */
  log(): string
}

/** The processes of one spec file on its part of the stack. The services must be built (`npm run build`). */
export class SpecProcesses {
  private readonly home = mkdtempSync(join(tmpdir(), 'stepcast-spec-processes-'))
  private readonly programs: Program[] = []

  constructor(private readonly stack: SpecStack) {}

  /** Starts a service and waits until it is ready; several of one service have different names. */
  async start(service: string, { name = service, env = {} }: { name?: string; env?: Record<string, string> } = {}): Promise<SpecProcess> {
    const port = await freePort()
    const databaseUrl = new URL(this.stack.databaseUrl)
    databaseUrl.searchParams.set('application_name', name)
    const program = new Program({
      name,
      home: this.home,
      command: process.execPath,
      args: [join(checkout, 'apps', service, 'dist', 'main.js')],
      env: { ...process.env, ...this.stack.env, LOG_LEVEL: 'info', DATABASE_URL: databaseUrl.toString(), PORT: String(port), ...env },
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 10_000,
      readyEveryMs: 100,
      readyTimeoutMs: 60_000,
      isReady: async () => (await fetch(`http://${loopback}:${port}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok,
    })
    this.programs.push(program)
    await program.start()
    return {
      name,
      url: `http://${loopback}:${port}`,
      kill: (signal) => program.kill(signal),
      ended: () => program.ended(),
      start: () => program.start(),
      stop: () => program.stop(),
      log: () => readFileSync(program.log, 'utf8'),
    }
  }

  /** Stops them all. */
  async stop(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.stop()))
    rmSync(this.home, { recursive: true, force: true })
  }
}

/** A session at PostgreSQL, as pg_stat_activity shows it. */
export interface Session {
  readonly pid: number
  readonly state: string
  readonly wait_event_type: string | null
  readonly wait_event: string | null
}

/** The sessions in which an orchestrator has a turn open: those that have locked a cursor. */
export async function turnsOf(database: Client, { name }: SpecProcess): Promise<Session[]> {
  const { rows } = await database.query<Session>(
    `SELECT pid, state, wait_event_type, wait_event FROM pg_stat_activity a
     WHERE application_name = $1 AND EXISTS (
       SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.relation = 'orchestrator.cursors'::regclass AND l.mode = 'RowShareLock')`,
    [name],
  )
  return rows
}
