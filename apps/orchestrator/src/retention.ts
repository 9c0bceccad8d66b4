// Retention: a day's changes are dropped when they are old and no sequence of that day runs; its heads follow later.
import type { Pool } from 'pg'
import type { Log } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import { isBusy } from './sql/changes'
import {
  daysOlderThan,
  daysToPurge,
  dropDay,
  forgetSummaries,
  headsPurged,
  isRunning,
  makeSummaries,
  purgeHeads,
  stretchesOf,
  unlessElsewhere,
  type Dropping,
} from './sql/retention'

/** What retention goes by. */
export interface RetentionOptions {
  readonly pool: Pool
  readonly log: Log
  /** Days a day's changes are kept after it, 90 unless told: as long as `stepcast.sequences.v1` keeps them. */
  readonly changesKeptDays: number
  /** Days heads are kept after their day was dropped, 30 unless told. All had ended by then, so at least that long after their end. */
  readonly headsKeptDays: number
  /** False: stop at the next opportunity. */
  readonly goOn: () => boolean
}

/** What a run did. */
export interface Retired {
  readonly dropped: readonly string[]
  /** Old days that had to stay, with the reason. */
  readonly kept: readonly { readonly day: string; readonly because: 'running' | 'unpublished' | 'busy' }[]
  readonly headsPurged: number
}

// A backup holds its locks for hours: then tomorrow's run drops the day.
const attempts = 5
const betweenAttemptsMs = 1_000
const betweenStatementsMs = 20

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Drops what is old; safe to repeat and to run in several processes: one of them does the work, the others answer null. */
export function retire(options: RetentionOptions): Promise<Retired | null> {
  return unlessElsewhere(options.pool, async () => {
    await makeSummaries(options.pool)
    return { ...(await dropOldDays(options)), headsPurged: await purgeOldHeads(options) }
  })
}

async function dropOldDays({ pool, log, changesKeptDays, goOn }: RetentionOptions): Promise<Pick<Retired, 'dropped' | 'kept'>> {
  const dropped: string[] = []
  const kept: Retired['kept'][number][] = []
  const days = await daysOlderThan(pool, changesKeptDays)
  if (days.length === 0) return { dropped, kept }
  for (const day of days) {
    if (!goOn()) break
    const became = (await isRunning(pool, day)) ? 'running' : await dropPatiently(pool, day)
    if (became === 'dropped') dropped.push(day)
    else kept.push({ day, because: became })
  }
  log.info({ dropped, kept }, 'days of changes that were over their age')
  return { dropped, kept }
}

async function dropPatiently(pool: Pool, day: string): Promise<Dropping | 'busy'> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await inTransaction(pool, (tx) => dropDay(tx, day))
    } catch (error) {
      if (!isBusy(error)) throw error
      if (attempt === attempts) return 'busy'
      await sleep(betweenAttemptsMs)
    }
  }
}

async function purgeOldHeads({ pool, log, headsKeptDays, goOn }: RetentionOptions): Promise<number> {
  let purged = 0
  for (const day of await daysToPurge(pool, headsKeptDays)) {
    let ofDay = 0
    for (const first of await stretchesOf(pool, day)) {
      // Begun again tomorrow: the day is not marked.
      if (!goOn()) return purged + ofDay
      ofDay += await purgeHeads(pool, day, first)
      await forgetSummaries(pool, first)
      await sleep(betweenStatementsMs)
    }
    await headsPurged(pool, [day])
    purged += ofDay
    log.info({ day, purged: ofDay }, 'heads of a day dropped long ago were deleted')
  }
  return purged
}
