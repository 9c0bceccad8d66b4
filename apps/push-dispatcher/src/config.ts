// What the push dispatcher reads from the environment, once.
import { address, dispatcherConfigFromEnv, required, type DispatcherConfig } from '@stepcast/channel'
import type { Env } from '@stepcast/service'

/** The service's settings. Endpoints are the installation's: a workspace cannot make us call where it likes. */
export interface Config extends DispatcherConfig {
  readonly fcmEndpoint: string
  /** Where access tokens come from. */
  readonly fcmTokenEndpoint: string
  /** null: Apple's, by the account's environment. */
  readonly apnsEndpoint: string | null
  readonly peopleSvcUrl: string
}

// 400 calls at a time are four full connections to FCM and, at its 100 ms, 4,000 a second; a crash leaves as many of each provider unknown,
// and their repeats collapse. 10,000 a second is FCM's default quota of a project; one workspace may have half of it.
const defaults = { concurrency: 400, ratePerWorkspace: 5_000, ratePerProvider: 10_000, timeoutMs: 10_000 }

/**
 * Reads what {@link dispatcherConfigFromEnv} does (prefix PUSH), FCM_ENDPOINT, FCM_TOKEN_ENDPOINT, APNS_ENDPOINT and PEOPLE_SVC_URL.
 * @throws ConfigError naming the variable.
 */
export function configFromEnv(env: Env): Config {
  return {
    ...dispatcherConfigFromEnv(env, 'PUSH', defaults),
    fcmEndpoint: address(env, 'FCM_ENDPOINT', 'https://fcm.googleapis.com'),
    fcmTokenEndpoint: address(env, 'FCM_TOKEN_ENDPOINT', 'https://oauth2.googleapis.com/token'),
    apnsEndpoint: env.APNS_ENDPOINT ? address(env, 'APNS_ENDPOINT', '') : null,
    peopleSvcUrl: required(env, 'PEOPLE_SVC_URL', 'the address of people-svc').replace(/\/+$/, ''),
  }
}
