// CPU time and size of what runs, by the operating system's own account.
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
  const all = new Map(readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => [Number(name), timesOf(Number(name))]))
  const below = (parent: number): number => {
    let ticks = 0
    for (const [child, times] of all) if (times?.parent === parent) ticks += times.ownTicks + times.endedTicks + below(child)
    return ticks
  }
  const own = all.get(pid)
  return own ? (own.ownTicks + own.endedTicks + below(pid)) / ticksPerSecond : 0
}

/** The value below which a share of the numbers lies; 0 of none. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
