// What every dispatcher reads from the environment, once; an app adds its providers' endpoints.
import { encryptionKeysOf, type EncryptionKeys } from '@stepcast/accounts'
import { ConfigError } from '@stepcast/kafka'
import { databaseUrlFromEnv } from '@stepcast/postgres'
import type { Env } from '@stepcast/service'

/** Settings that all dispatchers have. */
export interface DispatcherConfig {
  readonly databaseUrl: string
  /** What services trust each other's calls by. */
  readonly internalSecret: string
  /** What accounts are sealed by, and tracked links signed. */
  readonly encryptionKeys: EncryptionKeys
  /** The gateway as the world sees it: in links, and in the callbacks that providers sign. Without a slash at its end. */
  readonly publicUrl: string
  /** Length of a minute in windows, deadlines and waits between attempts; 60,000 but in tests and demos. */
  readonly minuteMs: number
  /** See {@link DispatchOptions}, as the others below. */
  readonly concurrency: number
  readonly ratePerWorkspace: number
  readonly ratePerProvider: number
  readonly timeoutMs: number
}

/** Where a dispatcher's numbers start from. */
export type DispatcherDefaults = Pick<DispatcherConfig, 'concurrency' | 'ratePerWorkspace' | 'ratePerProvider' | 'timeoutMs'>

/**
 * Reads DATABASE_URL, DATABASE_CA, STEPCAST_INTERNAL_SECRET, STEPCAST_ENCRYPTION_KEY(_PREVIOUS), STEPCAST_PUBLIC_URL, STEPCAST_MINUTE_MS, and with the prefix
 * (`PUSH`, `SMS`, `KAKAO`) _CONCURRENCY, _RATE_PER_WORKSPACE and _RATE_PER_PROVIDER (a second and process), _TIMEOUT_MS.
 * @throws ConfigError naming the variable.
 */
export function dispatcherConfigFromEnv(env: Env, prefix: string, defaults: DispatcherDefaults): DispatcherConfig {
  return {
    databaseUrl: databaseUrlFromEnv(env),
    internalSecret: required(env, 'STEPCAST_INTERNAL_SECRET', 'the secret that all services share'),
    encryptionKeys: encryptionKeysOf(env),
    publicUrl: address(env, 'STEPCAST_PUBLIC_URL', 'http://localhost:8080'),
    minuteMs: whole(env, 'STEPCAST_MINUTE_MS', 60_000),
    concurrency: whole(env, `${prefix}_CONCURRENCY`, defaults.concurrency),
    ratePerWorkspace: whole(env, `${prefix}_RATE_PER_WORKSPACE`, defaults.ratePerWorkspace),
    ratePerProvider: whole(env, `${prefix}_RATE_PER_PROVIDER`, defaults.ratePerProvider),
    timeoutMs: whole(env, `${prefix}_TIMEOUT_MS`, defaults.timeoutMs),
  }
}

/** A variable that must be set. @throws ConfigError */
export function required(env: Env, name: string, what: string): string {
  const value = env[name]
  if (!value) throw new ConfigError(`${name} is missing: give ${what}`)
  return value
}

/** A whole number of 1 or more. @throws ConfigError */
export function whole(env: Env, name: string, otherwise: number): number {
  const value = Number(env[name] || otherwise)
  if (!Number.isInteger(value) || value < 1) throw new ConfigError(`${name} is "${env[name]}"; it must be a whole number, 1 or more`)
  return value
}

/** An http(s) address without a slash at its end. @throws ConfigError */
export function address(env: Env, name: string, otherwise: string): string {
  const value = env[name] || otherwise
  if (!/^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : '')) {
    throw new ConfigError(`${name} is "${value}"; it must be an http or https address`)
  }
  return value.replace(/\/+$/, '')
}
