// Remembers on disk which processes were started, so that the next start can tell leftovers from strangers.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from './wait'

/** A process as the pid file tells of it. Process ids are used again by the system; the identity is not. */
export interface RecordedProcess {
  readonly name: string
  readonly pid: number
  readonly identity: string
  readonly stopSignal: NodeJS.Signals
  /** The process that started it and would stop it in the normal course. */
  readonly supervisor: { readonly pid: number; readonly identity: string }
}

/** What became of a recorded process. */
export type Remains =
  | { readonly state: 'gone' }
  /** It runs and nobody looks after it: it may be stopped. */
  | { readonly state: 'leftover' }
  /** It runs and so does its supervisor. */
  | { readonly state: 'supervised'; readonly supervisorPid: number }

/**
 * Decides what a pid file means.
 *
 * @param identityOf the identity of the process that has this id now, undefined when there is none
 * @param ownPid the process that asks: what it started itself in an earlier attempt is a leftover too
 */
export function remainsOf(recorded: RecordedProcess, identityOf: (pid: number) => string | undefined, ownPid: number): Remains {
  if (identityOf(recorded.pid) !== recorded.identity) return { state: 'gone' }
  const { pid, identity } = recorded.supervisor
  if (pid !== ownPid && identityOf(pid) === identity) return { state: 'supervised', supervisorPid: pid }
  return { state: 'leftover' }
}

/**
 * Names a running process so that no other process, now or later, has the same name: when it started, and since which boot.
 *
 * @returns undefined when there is no such process (a zombie counts as none: it only waits to be counted by its parent)
 */
export function processIdentity(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The second field is the program's name in brackets and may hold spaces: count from behind it. Field 3 is the
      // state, field 22 the start in clock ticks since boot.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (fields[0] === 'Z' || fields[0] === 'X') return undefined
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
      return `${boot}/${fields[19]}`
    }
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    return started === '' ? undefined : started
  } catch {
    return undefined
  }
}

const directoryOf = (home: string): string => join(home, 'run')
const fileOf = (home: string, name: string): string => join(directoryOf(home), `${name}.json`)

/** Records a process that was just started by this process. Does nothing when it has ended already. */
export function recordProcess(home: string, started: { name: string; pid: number; stopSignal: NodeJS.Signals }): void {
  const identity = processIdentity(started.pid)
  const own = processIdentity(process.pid)
  if (identity === undefined || own === undefined) return
  const recorded: RecordedProcess = { ...started, identity, supervisor: { pid: process.pid, identity: own } }
  mkdirSync(directoryOf(home), { recursive: true })
  const file = fileOf(home, started.name)
  writeFileSync(`${file}.new`, `${JSON.stringify(recorded)}\n`)
  renameSync(`${file}.new`, file)
}

/** Forgets a process that has ended, unless the file tells of a younger one already. */
export function forgetProcess(home: string, name: string, pid: number): void {
  if (readRecord(fileOf(home, name))?.pid === pid) rmSync(fileOf(home, name), { force: true })
}

/** Reads all processes recorded for a data directory. */
export function recordedProcesses(home: string): RecordedProcess[] {
  let names: string[]
  try {
    names = readdirSync(directoryOf(home))
  } catch {
    return []
  }
  return names.filter((name) => name.endsWith('.json')).flatMap((name) => readRecord(join(directoryOf(home), name)) ?? [])
}

function readRecord(file: string): RecordedProcess | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as RecordedProcess
  } catch {
    // Half a file or none: the process it told of cannot be known, which is what "no record" means.
    return undefined
  }
}

/** The data directory belongs to a system that runs. */
export class AlreadyRunning extends Error {
  constructor(
    readonly home: string,
    readonly supervisorPid: number,
  ) {
    super(
      `Stepcast already runs on ${home} (process ${supervisorPid}). Stop it first, or choose another data directory: STEPCAST_HOME=<directory>.`,
    )
    this.name = 'AlreadyRunning'
  }
}

/** How long a leftover may take to stop before it is killed. */
const leftoverStopMs = 10_000

/**
 * Stops what an earlier start left running on this data directory, for instance when its supervisor was killed.
 *
 * @returns the names of the programs that were stopped
 * @throws AlreadyRunning when they are not leftovers: their supervisor is alive
 */
export async function stopLeftovers(home: string): Promise<string[]> {
  const leftovers: RecordedProcess[] = []
  for (const recorded of recordedProcesses(home)) {
    const remains = remainsOf(recorded, processIdentity, process.pid)
    if (remains.state === 'supervised') throw new AlreadyRunning(home, remains.supervisorPid)
    if (remains.state === 'leftover') leftovers.push(recorded)
    else forgetProcess(home, recorded.name, recorded.pid)
  }
  await Promise.all(leftovers.map((recorded) => stopRecorded(home, recorded)))
  return leftovers.map(({ name }) => name)
}

async function stopRecorded(home: string, recorded: RecordedProcess): Promise<void> {
  const alive = (): boolean => processIdentity(recorded.pid) === recorded.identity
  const send = (signal: NodeJS.Signals): void => {
    try {
      if (alive()) process.kill(recorded.pid, signal)
    } catch {
      // It ended between the look and the signal.
    }
  }
  send('SIGCONT')
  send(recorded.stopSignal)
  const deadline = Date.now() + leftoverStopMs
  while (alive() && Date.now() < deadline) await sleep(50)
  send('SIGKILL')
  while (alive()) await sleep(20)
  forgetProcess(home, recorded.name, recorded.pid)
}
