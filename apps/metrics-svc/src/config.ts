// What metrics read from the environment, once.
import { ConfigError } from '@stepcast/kafka'
import { databaseUrlFromEnv } from '@stepcast/postgres'
import type { Env } from '@stepcast/service'

/** The service's settings. */
export interface Config {
  readonly databaseUrl: string
  /** Length of a "minute" in windows, milliseconds; 60,000 but in tests and demos. */
  readonly minuteMs: number
}

/**
 * Reads DATABASE_URL, DATABASE_CA and STEPCAST_MINUTE_MS.
 * @throws ConfigError naming the variable.
 */
export function configFromEnv(env: Env): Config {
  const minuteMs = Number(env.STEPCAST_MINUTE_MS || 60_000)
  if (!Number.isInteger(minuteMs) || minuteMs < 1) {
    throw new ConfigError(`STEPCAST_MINUTE_MS is "${env.STEPCAST_MINUTE_MS}"; it must be a whole number of milliseconds, 1 or more`)
  }
  return { databaseUrl: databaseUrlFromEnv(env), minuteMs }
}
