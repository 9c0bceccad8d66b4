// How many connections to PostgreSQL each service may hold: the one place where they are given out and added up.
import { InstallationError } from '@stepcast/contracts'

/** A service that has tables. */
export type DatabaseService = keyof typeof connections

/**
 * Connections of one process. `pool`: the service's pool, changed by STEPCAST_POOL_<SERVICE>; `beside`: what it holds besides, fixed. One process
 * of each is 87: with a migration or two, a backup and an operator that stays below the 97 that PostgreSQL's default (`max_connections` 100,
 * 3 of them for superusers) leaves to ordinary roles.
 */
export const connections = {
  gateway: { pool: 8, beside: 0 },
  'template-svc': { pool: 5, beside: 0 },
  'people-svc': { pool: 6, beside: 0 },
  'send-svc': { pool: 8, beside: 0 },
  // Beside: stories and lists, so that whoever reads takes none from turns and timers.
  orchestrator: { pool: 12, beside: 3 },
  // Beside: the connection that hears of new items of the feed.
  'inapp-dispatcher': { pool: 8, beside: 1 },
  'push-dispatcher': { pool: 8, beside: 0 },
  'sms-dispatcher': { pool: 8, beside: 0 },
  'messenger-dispatcher': { pool: 8, beside: 0 },
  // Beside: the projector's own, for four partitions at a time.
  'metrics-svc': { pool: 6, beside: 6 },
} as const satisfies Record<string, { pool: number; beside: number }>

/** All services that have tables. */
export const databaseServices = Object.keys(connections) as readonly DatabaseService[]

// A relay, a reader and a request at least each find one.
const smallestPool = 2
const largestPool = 1_000

type Env = Readonly<Record<string, string | undefined>>

/** The variable that sizes a service's pool: STEPCAST_POOL_SEND_SVC for send-svc. */
export const poolVariableOf = (service: DatabaseService): string => `STEPCAST_POOL_${service.toUpperCase().replaceAll('-', '_')}`

/**
 * The size of a service's pool: its variable, else the default.
 * @throws InstallationError naming the variable
 */
export function poolSizeOf(env: Env, service: DatabaseService): number {
  const variable = poolVariableOf(service)
  const text = env[variable]
  if (text === undefined || text.trim() === '') return connections[service].pool
  const size = Number(text)
  if (Number.isInteger(size) && size >= smallestPool && size <= largestPool) return size
  throw new InstallationError(
    `${variable} is "${text}"; it must be a whole number from ${smallestPool} to ${largestPool}: connections of one process of ${service}`,
  )
}

/**
 * The connections of a whole installation at most.
 * @param instances processes of each service; one unless told
 */
export function connectionsInAll(
  env: Env,
  instances: Readonly<Partial<Record<string, number>>> = {},
  services: readonly string[] = databaseServices,
): number {
  return databaseServices
    .filter((service) => services.includes(service))
    .reduce((sum, service) => sum + (instances[service] ?? 1) * (poolSizeOf(env, service) + connections[service].beside), 0)
}
