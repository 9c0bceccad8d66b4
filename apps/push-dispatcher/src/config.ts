// What the push dispatcher reads from the environment, once.
import { readFileSync } from 'node:fs'
import { ConfigError } from '@stepcast/kafka'
import type { Env } from '@stepcast/service'
import { z } from 'zod'

/** A Google service account, the part of its file that signing in needs. */
export interface ServiceAccount {
  readonly projectId: string
  readonly clientEmail: string
  /** PKCS#8 PEM. */
  readonly privateKey: string
  readonly tokenUri: string
}

/** How to reach FCM. */
export interface FcmConfig {
  readonly account: ServiceAccount
  /** `https://fcm.googleapis.com`, or the sandbox. */
  readonly endpoint: string
}

/** The service's settings. */
export interface Config {
  readonly databaseUrl: string
  /** null: push is switched off, every message is `skipped(channel_disabled)`. */
  readonly fcm: FcmConfig | null
  readonly peopleSvcUrl: string
  readonly internalSecret: string
  /** Length of a minute in windows, deadlines and waits between attempts; 60,000 but in tests and demos. */
  readonly minuteMs: number
  readonly concurrency: number
  readonly ratePerWorkspace: number
  readonly timeoutMs: number
}

/**
 * Reads DATABASE_URL, FCM_SERVICE_ACCOUNT_FILE, FCM_ENDPOINT, PEOPLE_SVC_URL, STEPCAST_INTERNAL_SECRET, STEPCAST_MINUTE_MS,
 * PUSH_CONCURRENCY (64), PUSH_RATE_PER_WORKSPACE (5,000 a second) and PUSH_TIMEOUT_MS (10,000).
 * @throws ConfigError naming the variable.
 */
export function configFromEnv(env: Env): Config {
  return {
    databaseUrl: required(env, 'DATABASE_URL', 'postgres://user:password@host:port/database'),
    fcm: env.FCM_SERVICE_ACCOUNT_FILE
      ? {
          account: accountFrom(env.FCM_SERVICE_ACCOUNT_FILE),
          endpoint: (env.FCM_ENDPOINT || 'https://fcm.googleapis.com').replace(/\/+$/, ''),
        }
      : null,
    peopleSvcUrl: required(env, 'PEOPLE_SVC_URL', 'the address of people-svc').replace(/\/+$/, ''),
    internalSecret: required(env, 'STEPCAST_INTERNAL_SECRET', 'the secret that all services share'),
    minuteMs: whole(env, 'STEPCAST_MINUTE_MS', 60_000),
    concurrency: whole(env, 'PUSH_CONCURRENCY', 64),
    ratePerWorkspace: whole(env, 'PUSH_RATE_PER_WORKSPACE', 5_000),
    timeoutMs: whole(env, 'PUSH_TIMEOUT_MS', 10_000),
  }
}

function required(env: Env, name: string, what: string): string {
  const value = env[name]
  if (!value) throw new ConfigError(`${name} is missing: give ${what}`)
  return value
}

function whole(env: Env, name: string, otherwise: number): number {
  const value = Number(env[name] || otherwise)
  if (!Number.isInteger(value) || value < 1) throw new ConfigError(`${name} is "${env[name]}"; it must be a whole number, 1 or more`)
  return value
}

const accountSchema = z.object({
  project_id: z.string().min(1),
  client_email: z.string().min(3),
  private_key: z.string().min(1),
  token_uri: z.url(),
})

function accountFrom(path: string): ServiceAccount {
  try {
    const { project_id, client_email, private_key, token_uri } = accountSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
    return { projectId: project_id, clientEmail: client_email, privateKey: private_key, tokenUri: token_uri }
  } catch (cause) {
    // Not the content: the file holds a private key.
    const detail =
      cause instanceof z.ZodError
        ? `field ${cause.issues.map(({ path: field }) => field.join('.')).join(', ')} is missing or wrong`
        : 'it cannot be read as JSON'
    throw new ConfigError(`FCM_SERVICE_ACCOUNT_FILE names ${path}, which is no service account: ${detail}`)
  }
}
