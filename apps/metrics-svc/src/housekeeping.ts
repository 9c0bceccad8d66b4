// What metrics-svc does at its start and every hour: forgets old sequences, and puts the counters of past hours together.
import type { Pool } from 'pg'
import type { Log } from '@stepcast/kafka'
import { gather } from './gather'
import { hourMs } from './project'
import { purge } from './purge'

/** Running housekeeping. */
export interface Housekeeping {
  /** Ends what is under way after its statement. */
  stop(): Promise<void>
}

// An hour's counters are added to for two hours more: nearly everything of a sequence has happened by then, and what comes later is put
// together an hour later.
const openMs = 2 * hourMs

/** Does it now and then every hour. What fails is logged and tried again an hour later. */
export function keepHouse(pool: Pool, log: Pick<Log, 'info' | 'warn'>, everyMs = hourMs): Housekeeping {
  let stopping = false
  const run = async (): Promise<void> => {
    const startedAt = performance.now()
    try {
      const gathered = await gather(pool, new Date(Date.now() - openMs))
      const purged = await purge(pool, new Date(), () => !stopping)
      if (gathered + purged > 0) log.info({ gathered, purged, tookMs: Math.round(performance.now() - startedAt) }, 'housekeeping')
    } catch (error) {
      if (!stopping) log.warn({ err: error as Error }, 'housekeeping failed; the next hour tries again')
    }
  }
  let running = run()
  const timer = setInterval(() => void (running = running.then(run)), everyMs)
  return {
    async stop() {
      stopping = true
      clearInterval(timer)
      await running
    },
  }
}
