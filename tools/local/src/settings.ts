// What `npm start` was asked for: its arguments and the variables of the contract, read once and checked.
import { join, resolve } from 'node:path'
import { parsePort } from '@stepcast/stack'
import type { SystemOptions } from './systemOptions'

/** Where the providers are; whoever names them sends for real, with the accounts that workspaces have. */
const providerVariables = ['FCM_ENDPOINT', 'FCM_TOKEN_ENDPOINT', 'APNS_ENDPOINT', 'TWILIO_ENDPOINT', 'SOLAPI_ENDPOINT'] as const

/** The checkout: this package is `tools/local` in it. */
export const checkout = resolve(__dirname, '..', '..', '..')

/** What was asked for on the command line. */
export interface Arguments {
  /** Return when everything is ready, and leave it running. */
  readonly detach: boolean
  readonly help: boolean
}

/** @throws Error naming an argument that means nothing */
export function parseArguments(args: readonly string[]): Arguments {
  const unknown = args.find((argument) => !['--detach', '-d', '--help', '-h'].includes(argument))
  if (unknown !== undefined) throw new Error(`Unknown argument ${unknown}. Try: npm start -- --help`)
  return {
    detach: args.includes('--detach') || args.includes('-d'),
    help: args.includes('--help') || args.includes('-h'),
  }
}

/** The data directory: `STEPCAST_HOME`, else `.stepcast` in the checkout. */
export function homeFrom(env: NodeJS.ProcessEnv): string {
  return env['STEPCAST_HOME'] ? resolve(env['STEPCAST_HOME']) : join(checkout, '.stepcast')
}

/**
 * Reads the options of a system from the environment, with the contract's defaults.
 *
 * @throws Error naming the first variable whose value cannot be used
 */
export function settingsFrom(env: NodeJS.ProcessEnv): SystemOptions {
  const port = (variable: string, otherwise: number): number => parsePort(variable, env[variable], otherwise)
  const providers = Object.fromEntries(providerVariables.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
  return {
    home: homeFrom(env),
    ports: {
      http: port('STEPCAST_HTTP_PORT', 8080),
      grpc: port('STEPCAST_GRPC_PORT', 8090),
      kafka: port('STEPCAST_KAFKA_PORT', 9092),
      registry: port('STEPCAST_REGISTRY_PORT', 8085),
      postgres: port('STEPCAST_POSTGRES_PORT', 5440),
      sandbox: port('STEPCAST_SANDBOX_PORT', 8091),
      sandboxTls: port('STEPCAST_SANDBOX_TLS_PORT', 8092),
    },
    minuteMs: count(env, 'STEPCAST_MINUTE_MS', 60_000),
    partitions: count(env, 'STEPCAST_PARTITIONS', 12),
    ...(env['KAFKA_REPLICATION_FACTOR'] && { replicationFactor: count(env, 'KAFKA_REPLICATION_FACTOR', 1) }),
    ...(env['STEPCAST_PUBLIC_URL'] && { publicUrl: url(env, 'STEPCAST_PUBLIC_URL') }),
    ...(env['STEPCAST_ROOT_KEY'] && { rootKey: env['STEPCAST_ROOT_KEY'] }),
    ...(env['STEPCAST_INTERNAL_SECRET'] && { internalSecret: env['STEPCAST_INTERNAL_SECRET'] }),
    ...(Object.keys(providers).length > 0 && { providers }),
    use: {
      ...(env['KAFKA_BROKERS'] && { kafkaBrokers: env['KAFKA_BROKERS'] }),
      ...(env['SCHEMA_REGISTRY_URL'] && { registryUrl: url(env, 'SCHEMA_REGISTRY_URL') }),
      ...(env['DATABASE_URL'] && { databaseUrl: url(env, 'DATABASE_URL') }),
    },
  }
}

/** A whole number above 0. @throws Error naming the variable */
export function count(env: NodeJS.ProcessEnv, variable: string, otherwise: number): number {
  const text = env[variable]
  if (text === undefined || text.trim() === '') return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${variable}=${text} is not a whole number above 0.`)
  return value
}

function url(env: NodeJS.ProcessEnv, variable: string): string {
  const text = (env[variable] ?? '').trim()
  if (!URL.canParse(text)) throw new Error(`${variable}=${text} is not a URL.`)
  return text.replace(/\/+$/, '')
}
