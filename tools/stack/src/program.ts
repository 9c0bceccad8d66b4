// One program of the local system: started, watched, killed, restarted and stopped as a real process.
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, fstatSync } from 'node:fs'
import { join } from 'node:path'
import { guard, unguard } from './guard'
import { lastError, lastLines, openLog } from './logFile'
import { forgetProcess, recordProcess } from './pidFile'
import { sleep, until } from './wait'

/** How to run a program. */
export interface ProgramPlan {
  /** Names the process in messages, its log (`logs/<name>.log`) and its pid file. */
  readonly name: string
  /** The data directory. */
  readonly home: string
  readonly command: string
  readonly args: readonly string[]
  /** The whole environment of the process. */
  readonly env: NodeJS.ProcessEnv
  readonly cwd?: string
  /** The signal that asks it to end in order, and how long it may take before it is killed. */
  readonly stopSignal: NodeJS.Signals
  readonly stopTimeoutMs: number
  /** Tells whether it does its work by now; asked again and again. */
  readonly isReady: () => Promise<boolean>
  readonly readyEveryMs: number
  readonly readyTimeoutMs: number
  /**
   * A fresh process may end at once because of what the one before it left behind for a moment (PostgreSQL's shared memory
   * while its last backends end). So many more starts are tried, a quarter of a second apart. Default 0.
   */
  readonly retries?: number
}

/** How a process ended. `asked` is true when `stop` or `restart` was called. */
export interface ProgramExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly asked: boolean
  /** True when the program had been ready: it crashed at work and not while starting. */
  readonly wasReady: boolean
}

// A line of a service's log may hold a stack of two kilobytes: its beginning says what happened.
const longestShownLine = 300
// An error that is printed with its cause and all its fields fills a hundred lines.
const linesOfAnError = 300

/**
 * The end of a log for a person, from where a process began to write: its last error in a sentence, unless something else is known to have
 * ended it, then its last lines.
 */
export function endOfLog(log: string, count: number, from: number, cause: 'its last error' | 'known' = 'its last error'): string {
  const lines = lastLines(log, count, from)
  const error = cause === 'known' ? undefined : lastError(lastLines(log, linesOfAnError, from))
  const said = error === undefined ? '' : `: ${error}${/[.!?]$/.test(error) ? '' : '.'}`
  const shown = lines.map((line) => `    ${line.length > longestShownLine ? `${line.slice(0, longestShownLine)} …` : line}`)
  return [`${said || '.'} The end of ${log}:`, ...(shown.length > 0 ? shown : ['    (it wrote nothing)'])].join('\n')
}

/** The program did not start. The message tells its last error and ends with the last lines of its log. */
export class ProgramFailed extends Error {
  constructor(name: string, what: string, log: string, logFrom = 0) {
    super(`${name} ${what}${endOfLog(log, 15, logFrom)}`)
    this.name = 'ProgramFailed'
  }
}

interface Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<void>
  asked: boolean
  ready: boolean
  over: boolean
}

/**
 * A program that may be running. Every process is put in a session of its own: Ctrl-C in the terminal reaches only the
 * supervisor, which then decides who stops first.
 */
export class Program {
  private running: Running | undefined
  private starting: Promise<void> | undefined
  private beginOfLog = 0
  private readonly exitListeners = new Set<(exit: ProgramExit) => void>()
  private readonly launchListeners = new Set<() => void>()
  private readonly readyListeners = new Set<() => Promise<void>>()

  constructor(private readonly plan: ProgramPlan) {}

  get name(): string {
    return this.plan.name
  }

  /** The id of the running process, undefined while none runs. */
  get pid(): number | undefined {
    return this.running?.pid
  }

  /** Where the output of the process goes. */
  get log(): string {
    return join(this.plan.home, 'logs', `${this.plan.name}.log`)
  }

  /** Where in its log the newest process began to write, in bytes. */
  get logFrom(): number {
    return this.beginOfLog
  }

  /** Calls the listener each time a process of this program ends, also when that was asked for. */
  onExit(listener: (exit: ProgramExit) => void): void {
    this.exitListeners.add(listener)
  }

  /** Calls the listener each time a new process begins. */
  onLaunch(listener: () => void): void {
    this.launchListeners.add(listener)
  }

  /** Calls the listener each time a new process works; `start` and `restart` wait for it. */
  onReady(listener: () => Promise<void>): void {
    this.readyListeners.add(listener)
  }

  /**
   * Starts the program unless it runs, and waits until it is ready.
   *
   * @throws ProgramFailed when it ends or is not ready in time; no process is left then
   */
  start(): Promise<void> {
    this.starting ??= this.startOnce().finally(() => (this.starting = undefined))
    return this.starting
  }

  /** Sends a signal, as the operating system would: nothing is waited for and nobody is told that it was meant. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.running?.child.kill(signal)
  }

  /** Resolves when no process of this program runs. */
  async ended(): Promise<void> {
    await this.running?.ended
  }

  /** Stops the program when it runs, starts it again and waits until it is ready. */
  async restart(): Promise<void> {
    // A process that was just killed is as good as gone; one that is being started is what was asked for.
    if (this.starting === undefined) await this.stop()
    await this.start()
  }

  /** Asks the program to end, kills it when it takes too long, and waits until it is gone. */
  async stop(): Promise<void> {
    const running = this.running
    if (running === undefined) return
    running.asked = true
    running.child.kill(this.plan.stopSignal)
    // A process frozen by SIGSTOP would receive the request only when it is thawed.
    running.child.kill('SIGCONT')
    const timer = setTimeout(() => running.child.kill('SIGKILL'), this.plan.stopTimeoutMs)
    await running.ended
    clearTimeout(timer)
  }

  private async startOnce(): Promise<void> {
    if (this.running?.ready && !this.running.over) return
    await this.running?.ended
    for (let attempt = 0; ; attempt++) {
      const failure = await this.attempt()
      if (failure === undefined) break
      if (failure !== 'ended early' || attempt >= (this.plan.retries ?? 0)) {
        throw new ProgramFailed(this.plan.name, failure === 'ended early' ? 'ended while it started' : failure, this.log, this.logFrom)
      }
      await sleep(250)
    }
    for (const listener of this.readyListeners) await listener()
  }

  /** One process from start to readiness; returns what went wrong. */
  private async attempt(): Promise<string | undefined> {
    const running = this.launch()
    if (typeof running === 'string') return running
    const ready = await until(this.plan.isReady, {
      everyMs: this.plan.readyEveryMs,
      timeoutMs: this.plan.readyTimeoutMs,
      abandon: () => running.over || running.asked,
    })
    if (ready && !running.over) {
      running.ready = true
      return undefined
    }
    if (running.asked) return 'was stopped while it started'
    if (running.over) return 'ended early'
    await this.stop()
    return `was not ready within ${this.plan.readyTimeoutMs / 1000} s`
  }

  private launch(): Running | string {
    const { name, home, command, args, env, cwd, stopSignal } = this.plan
    const log = openLog(this.log)
    this.beginOfLog = fstatSync(log).size
    // Output goes to the file itself and not through us: a supervisor that is killed must not break its programs' pipes.
    const child = spawn(command, args, { env, cwd, detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    const pid = child.pid
    if (pid === undefined) {
      child.on('error', () => undefined)
      return `could not be started (${command})`
    }
    try {
      recordProcess(home, { name, pid, stopSignal })
      guard(pid, stopSignal)
    } catch (error) {
      // A full disk, for instance: a process that nobody would find again must not run.
      child.kill('SIGKILL')
      throw error
    }
    const ended = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        running.over = true
        if (this.running === running) this.running = undefined
        unguard(pid)
        forgetProcess(home, name, pid)
        resolve()
        const exit: ProgramExit = { code, signal, asked: running.asked, wasReady: running.ready }
        for (const listener of this.exitListeners) listener(exit)
      })
    })
    const running: Running = { child, pid, ended, asked: false, ready: false, over: false }
    this.running = running
    for (const listener of this.launchListeners) listener()
    return running
  }
}
