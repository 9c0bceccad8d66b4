// What the KakaoTalk dispatcher reads from the environment, once.
import { address, dispatcherConfigFromEnv, linkDaysFromEnv, type PaidChannelConfig } from '@stepcast/channel'
import type { Env } from '@stepcast/service'

/** The service's settings. The endpoint is the installation's: a workspace cannot make us call where it likes. */
export interface Config extends PaidChannelConfig {
  readonly solapiEndpoint: string
}

// A crash leaves at most 32 messages unknown, each of which costs money.
const defaults = { concurrency: 32, ratePerWorkspace: 100, ratePerProvider: 1_000, timeoutMs: 10_000 }

/**
 * Reads what {@link dispatcherConfigFromEnv} does (prefix KAKAO), SOLAPI_ENDPOINT and STEPCAST_LINK_DAYS.
 * @throws ConfigError naming the variable.
 */
export function configFromEnv(env: Env): Config {
  return {
    ...dispatcherConfigFromEnv(env, 'KAKAO', defaults),
    solapiEndpoint: address(env, 'SOLAPI_ENDPOINT', 'https://api.solapi.com'),
    linkDays: linkDaysFromEnv(env),
  }
}
