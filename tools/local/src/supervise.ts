// Brings a crashed program back, sooner the first time and later the more often it crashes.
import { endOfLog, type Program } from '@stepcast/stack'

const firstDelayMs = 500
const longestDelayMs = 30_000
/** A program that worked this long is not in a series of crashes any more. */
const calmMs = 60_000

/** How long to wait before the restart after so many crashes in a row: 0.5 s, 1 s, 2 s … 30 s. */
export function restartDelayMs(crashes: number): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(crashes - 1, 10))
}

/** Stops bringing the program back. */
export type EndSupervision = () => void

/**
 * Restarts a program whenever it ends without having been asked to.
 *
 * @param onProgress told of every crash with the end of the program's log, and of every return
 */
export function supervise(program: Program, onProgress: (line: string) => void): EndSupervision {
  let supervised = true
  let crashes = 0
  let readyAt = Date.now()
  let timer: NodeJS.Timeout | undefined

  const comeBack = (): void => {
    timer = undefined
    if (!supervised) return
    program.start().then(
      () => {
        if (!supervised) return
        readyAt = Date.now()
        onProgress(`${program.name} is back.`)
      },
      (error: Error) => later(error.message),
    )
  }
  const later = (what: string): void => {
    if (!supervised) return
    if (Date.now() - readyAt > calmMs) crashes = 0
    crashes++
    const delayMs = restartDelayMs(crashes)
    onProgress(`${what}\n${program.name} is started again in ${delayMs / 1000} s.`)
    clearTimeout(timer)
    timer = setTimeout(comeBack, delayMs)
  }
  program.onExit(({ asked, wasReady, code, signal }) => {
    // A process that ended while it started is the failure of that start, told to whoever asked for it.
    if (asked || !wasReady) return
    const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
    later(`${program.name} ${how}${endOfLog(program.log, 5, program.logFrom, signal === null ? 'its last error' : 'known')}`)
  })
  return () => {
    supervised = false
    clearTimeout(timer)
  }
}
