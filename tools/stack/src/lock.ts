// A lock file that names the process holding it, so that a lock whose holder has died is void.
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { processIdentity } from './pidFile'
import { sleep } from './wait'

/** The process that holds a lock. */
export interface LockHolder {
  readonly pid: number
  readonly identity: string
}

/**
 * Takes a lock for this process unless a living process has it.
 *
 * @returns undefined when it was taken, else who has it
 */
export function takeLock(file: string): LockHolder | undefined {
  const own = `${file}.${process.pid}`
  writeFileSync(own, JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) }))
  try {
    // A hard link is made whole or not at all: the lock is never seen without its holder.
    for (;;) {
      try {
        linkSync(own, file)
        return undefined
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const holder = lockHolder(file)
      if (holder !== undefined) return holder
      rmSync(file, { force: true })
    }
  } finally {
    rmSync(own, { force: true })
  }
}

/** Gives a lock back. */
export function releaseLock(file: string): void {
  rmSync(file, { force: true })
}

/** The living process that has a lock, undefined when nobody has. */
export function lockHolder(file: string): LockHolder | undefined {
  try {
    const holder = JSON.parse(readFileSync(file, 'utf8')) as LockHolder
    return processIdentity(holder.pid) === holder.identity ? holder : undefined
  } catch {
    return undefined
  }
}

/** Runs the work while no other process runs work under the same lock; waits for its turn. */
export async function withLock(file: string, work: () => Promise<void>): Promise<void> {
  while (takeLock(file) !== undefined) await sleep(200)
  try {
    await work()
  } finally {
    releaseLock(file)
  }
}
