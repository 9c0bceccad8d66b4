// What an operator may set of the orchestrator, read once from the environment.
import { ConfigError } from '@stepcast/kafka'
import type { Env } from '@stepcast/service'

/** What reading a story or a list may take, milliseconds: bounded questions are answered in a hundredth of it. */
export const readTimeoutMs = 5_000

/** Sessions of turns and timers: plans for arrays of any length are index lookups, and are made once; one made for 2,000 ids may read a young table from end to end. */
export const turnSession = { plan_cache_mode: 'force_generic_plan' } as const
/** Sessions of stories and lists: every question walks an index in its order, whatever the statistics of a young table say, and ends in time. */
export const readSession = {
  statement_timeout: String(readTimeoutMs),
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_sort: 'off',
} as const

/** The settings that have a default; docs/operations.md describes them. */
export interface Settings {
  /** Length of a "minute" in windows and deadlines, milliseconds. */
  readonly minuteMs: number
  /** Days a day's changes are kept. */
  readonly changesKeptDays: number
  /** Days heads are kept after their day's changes were dropped. */
  readonly headsKeptDays: number
  /** Timers over a second late that this process fires a second. */
  readonly catchUpPerSecond: number
}

/**
 * Reads STEPCAST_MINUTE_MS, STEPCAST_CHANGES_KEPT_DAYS, STEPCAST_HEADS_KEPT_DAYS and STEPCAST_CATCH_UP_PER_SECOND.
 * @throws ConfigError naming the variable.
 */
export function settingsFromEnv(env: Env): Settings {
  return {
    minuteMs: whole(env, 'STEPCAST_MINUTE_MS', 60_000),
    changesKeptDays: whole(env, 'STEPCAST_CHANGES_KEPT_DAYS', 90),
    headsKeptDays: whole(env, 'STEPCAST_HEADS_KEPT_DAYS', 30),
    // Twice FCM's default quota of 600,000 a minute: the dispatchers' own pace decides what leaves, this bounds what waits there.
    catchUpPerSecond: whole(env, 'STEPCAST_CATCH_UP_PER_SECOND', 20_000),
  }
}

function whole(env: Env, name: string, otherwise: number): number {
  const value = Number(env[name] || otherwise)
  if (!Number.isInteger(value) || value < 1) throw new ConfigError(`${name} is "${env[name]}"; it must be a whole number, 1 or more`)
  return value
}
