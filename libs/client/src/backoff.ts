// How long to wait before trying again: doubling, with full jitter, so that many clients do not come back at the same moment.
import { StepcastProblem } from './errors'

const firstMs = 500
const mostMs = 30_000

/**
 * Milliseconds to wait after the given number of failures in a row (1, 2, 3 …): anything up to 0.5 s, 1 s, 2 s … 30 s,
 * and never less than the `Retry-After` of the failure.
 */
export function backoffMs(failures: number, error: unknown, random: () => number = Math.random): number {
  const asked = error instanceof StepcastProblem ? (error.retryAfterMs ?? 0) : 0
  return asked + random() * Math.min(mostMs, firstMs * 2 ** (failures - 1))
}

/** Waits; ends at once when the signal does. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((done) => {
    if (signal?.aborted) return done()
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      done()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
  })
