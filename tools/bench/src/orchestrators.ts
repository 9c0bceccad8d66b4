// The orchestrator processes under test: the built program, as it is run in production.
import { join } from 'node:path'
import { checkout } from '@stepcast/local'
import { freePort, Program } from '@stepcast/stack'
import { cpuSeconds, peakMemoryMb } from './cpu'
import { largest } from './numbers'

/** How to run them. */
export interface OrchestratorOptions {
  readonly processes: number
  readonly cpuProfiles: string | null
  /** Where their logs go. */
  readonly home: string
}

/** The processes; none runs before {@link start}. */
export class Orchestrators {
  private programs: Program[] = []

  constructor(private readonly options: OrchestratorOptions) {}

  /** Starts them, one after another, and waits until each is ready. @throws ProgramFailed with the last lines of its log */
  async start(env: Readonly<Record<string, string>>): Promise<void> {
    const { processes, cpuProfiles, home } = this.options
    const profile = cpuProfiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfiles}`]
    for (let number = 0; number < processes; number++) {
      const port = await freePort()
      const program = new Program({
        name: `orchestrator-${number}`,
        home,
        command: process.execPath,
        args: [...profile, join(checkout, 'apps/orchestrator/dist/main.js')],
        env: { ...env, PORT: String(port) },
        stopSignal: 'SIGTERM',
        stopTimeoutMs: 30_000,
        isReady: () => fetch(`http://127.0.0.1:${port}/readyz`).then((answer) => answer.ok),
        readyEveryMs: 50,
        readyTimeoutMs: 60_000,
      })
      this.programs.push(program)
      await program.start()
    }
  }

  /** Lets them finish and waits until they are gone. */
  async stop(): Promise<void> {
    this.signal('SIGCONT')
    await Promise.all(this.programs.map((program) => program.stop()))
    this.programs = []
  }

  signal(signal: NodeJS.Signals): void {
    for (const program of this.programs) program.kill(signal)
  }

  /** CPU seconds used so far. */
  cpu(): number {
    return this.pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0)
  }

  /** The most that one of them has held in memory, MB. */
  peakMemoryMb(): number {
    return largest(this.pids().map(peakMemoryMb))
  }

  private pids(): number[] {
    return this.programs.flatMap(({ pid }) => pid ?? [])
  }
}
