// The gateway's settings, read once; a missing one is named.
import { encryptionKeysOf, type EncryptionKeys } from '@stepcast/accounts'
import { databaseUrlFromEnv } from '@stepcast/postgres'
import type { Env } from '@stepcast/service'
import { services, type ServiceName } from './services'

export interface GatewayConfig {
  readonly databaseUrl: string
  /** Makes workspaces; belongs to none. */
  readonly rootKey: string
  /** Encrypt signing secrets and provider accounts at rest. */
  readonly encryptionKeys: EncryptionKeys
  readonly host: string
  /** 0: any free port. */
  readonly grpcPort: number
  readonly serviceUrls: Readonly<Record<ServiceName, string>>
}

/** Reads the environment. Throws naming the first variable that is missing. */
export function configOf(env: Env): GatewayConfig {
  const need = (variable: string): string => {
    const value = env[variable]
    if (!value) throw new Error(`${variable} is missing: the gateway cannot start without it`)
    return value
  }
  return {
    databaseUrl: databaseUrlFromEnv(env),
    rootKey: need('STEPCAST_ROOT_KEY'),
    encryptionKeys: encryptionKeysOf(env),
    host: env.HOST || '127.0.0.1',
    grpcPort: Number(env.GRPC_PORT || 0),
    serviceUrls: Object.fromEntries(services.map(({ name, urlVariable }) => [name, need(urlVariable)])) as Record<ServiceName, string>,
  }
}
