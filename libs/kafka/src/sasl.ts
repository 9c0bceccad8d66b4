// Signing in to the brokers by SASL: by name and password, or by a token of OAuth 2.
import type { SASLOptions } from 'kafkajs'
import { ConfigError } from './configError'
import { OAuthTokens } from './oauthToken'

const byPassword = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
const mechanisms = [...byPassword, 'oauthbearer'] as const

const nameAndPassword = ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const
const oauth = ['KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT', 'KAFKA_SASL_OAUTHBEARER_CLIENT_ID', 'KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET'] as const
const scope = 'KAFKA_SASL_OAUTHBEARER_SCOPE'

/**
 * Reads KAFKA_SASL_MECHANISM and what it needs: KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or
 * KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT/CLIENT_ID/CLIENT_SECRET and, optional, SCOPE.
 * @returns null: no sign-in
 * @throws ConfigError naming the variable
 */
export function saslFrom(env: NodeJS.ProcessEnv): SASLOptions | null {
  const mechanism = env.KAFKA_SASL_MECHANISM?.toLowerCase()
  const given = [...nameAndPassword, ...oauth, scope].filter((variable) => env[variable])
  if (mechanism === undefined || mechanism === '') {
    if (given.length > 0) throw new ConfigError(`${given[0]} is given, but KAFKA_SASL_MECHANISM is not: it may be ${mechanisms.join(', ')}`)
    return null
  }
  if (!mechanisms.some((known) => known === mechanism)) {
    throw new ConfigError(`KAFKA_SASL_MECHANISM is "${env.KAFKA_SASL_MECHANISM}"; it may be ${mechanisms.join(', ')}`)
  }
  const needed = mechanism === 'oauthbearer' ? oauth : nameAndPassword
  const missing = needed.filter((variable) => !env[variable])
  if (missing.length > 0)
    throw new ConfigError(`${missing.join(' and ')} is missing: KAFKA_SASL_MECHANISM=${mechanism} needs ${needed.join(', ')}`)
  if (mechanism !== 'oauthbearer') {
    return { mechanism: mechanism as (typeof byPassword)[number], username: env.KAFKA_SASL_USERNAME!, password: env.KAFKA_SASL_PASSWORD! }
  }
  const [endpoint, clientId, clientSecret] = oauth.map((variable) => env[variable]!) as [string, string, string]
  if (!/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : '')) {
    throw new ConfigError(
      `KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT is "${endpoint}"; it must be an https address (http only inside a network that is trusted)`,
    )
  }
  const tokens = new OAuthTokens({ tokenEndpoint: endpoint, clientId, clientSecret, scope: env[scope] || null })
  return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await tokens.token() }) }
}
