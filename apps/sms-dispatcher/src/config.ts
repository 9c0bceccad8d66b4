// What the SMS dispatcher reads from the environment, once.
import { address, dispatcherConfigFromEnv, linkDaysFromEnv, type PaidChannelConfig } from '@stepcast/channel'
import type { Env } from '@stepcast/service'

/** The service's settings. The endpoint is the installation's: a workspace cannot make us call where it likes. */
export interface Config extends PaidChannelConfig {
  readonly twilioEndpoint: string
  /** What the numbers of those who have unsubscribed are hashed under: the present secret first, then the one before it. */
  readonly numberSecrets: readonly [string, ...string[]]
}

// Twilio queues what comes faster than a sender may send, and answers 429 beyond 100 requests at a time of an account; a crash leaves at
// most 32 messages unknown, each of which costs money.
const defaults = { concurrency: 32, ratePerWorkspace: 100, ratePerProvider: 1_000, timeoutMs: 10_000 }

/**
 * Reads what {@link dispatcherConfigFromEnv} does (prefix SMS), TWILIO_ENDPOINT and STEPCAST_LINK_DAYS.
 * @throws ConfigError naming the variable.
 */
export function configFromEnv(env: Env): Config {
  const config = dispatcherConfigFromEnv(env, 'SMS', defaults)
  const { current, previous } = config.encryptionKeys
  return {
    ...config,
    numberSecrets: previous === null ? [current] : [current, previous],
    twilioEndpoint: address(env, 'TWILIO_ENDPOINT', 'https://api.twilio.com'),
    linkDays: linkDaysFromEnv(env),
  }
}
