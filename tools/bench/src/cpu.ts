// CPU time and memory of what runs, by the operating system's own account.
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second in /proc; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

interface ProcessTimes {
  readonly parent: number
  readonly ownTicks: number
  /** Of children that have ended. */
  readonly endedTicks: number
}

function timesOf(pid: number): ProcessTimes | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command in parentheses may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [parent, utime, stime, cutime, cstime] = [1, 11, 12, 13, 14].map((index) => Number(fields[index]))
    return { parent: parent!, ownTicks: utime! + stime!, endedTicks: cutime! + cstime! }
  } catch {
    return null
  }
}

/** CPU seconds used so far by a process and everything below it, ended children included. */
export function cpuSeconds(pid: number): number {
  const all = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), timesOf(Number(name))]),
  )
  const below = (parent: number): number => {
    let ticks = 0
    for (const [child, times] of all) if (times?.parent === parent) ticks += times.ownTicks + times.endedTicks + below(child)
    return ticks
  }
  const own = all.get(pid)
  return own ? (own.ownTicks + own.endedTicks + below(pid)) / ticksPerSecond : 0
}

/** The most memory a process has held so far (resident), in MB; 0 when it is gone. */
export function peakMemoryMb(pid: number): number {
  try {
    return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024)
  } catch {
    return 0
  }
}
