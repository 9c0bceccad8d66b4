// Servers that a data directory was used with and that are the user's own: what is on them outlives the directory, and needs its keys.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { placeOf } from '@stepcast/postgres'
import { writePrivately } from './secrets'
import type { SystemOptions } from './systemOptions'

/** Addresses without credentials, each once. */
export interface ForeignServers {
  readonly kafka: readonly string[]
  readonly registry: readonly string[]
  readonly database: readonly string[]
}

const fileOf = (home: string): string => join(home, 'secrets', 'foreign-servers.json')
const none: ForeignServers = { kafka: [], registry: [], database: [] }

/** The servers noted in a data directory; none where there is no note. */
export function foreignServers(home: string): ForeignServers {
  const file = fileOf(home)
  if (!existsSync(file)) return none
  try {
    return { ...none, ...(JSON.parse(readFileSync(file, 'utf8')) as Partial<ForeignServers>) }
  } catch {
    // Written whole or not at all; whoever edited it has to look.
    throw new Error(`${file} is not readable: mend it, or delete it when no server of yours holds data of this directory.`)
  }
}

/** Notes which servers of the user's a start uses. */
export function noteForeignServers(home: string, { kafkaBrokers, registryUrl, databaseUrl }: NonNullable<SystemOptions['use']>): void {
  const noted = foreignServers(home)
  const withNew = (known: readonly string[], address: string | undefined): string[] => [
    ...new Set([...known, ...(address === undefined ? [] : [address])]),
  ]
  const now: ForeignServers = {
    kafka: withNew(noted.kafka, kafkaBrokers),
    registry: withNew(noted.registry, registryUrl && withoutCredentials(registryUrl)),
    database: withNew(noted.database, databaseUrl && placeOf(databaseUrl)),
  }
  if (JSON.stringify(now) !== JSON.stringify(noted)) writePrivately(fileOf(home), `${JSON.stringify(now, null, 2)}\n`)
}

function withoutCredentials(address: string): string {
  const url = new URL(address)
  url.username = url.password = ''
  return url.toString()
}

/** What a reset says of servers that are not ours; empty where there are none. */
export function leftOnServers({ kafka, registry, database }: ForeignServers, home: string): string[] {
  const left = [
    ...database.map((place) => `  the database ${place} (its schemas gateway, orchestrator, …): DATABASE_URL`),
    ...kafka.map((brokers) => `  topics stepcast.* on Kafka at ${brokers}: KAFKA_BROKERS`),
    ...registry.map((url) => `  subjects stepcast.* of the schema registry ${url}: SCHEMA_REGISTRY_URL`),
  ]
  if (left.length === 0) return []
  return [
    'Left as it is, since it is on servers of yours:',
    ...left,
    ...(database.length === 0
      ? []
      : [
          `Kept ${join(home, 'secrets')}: without its keys nothing sealed in that database opens (signing keys, provider accounts). Delete it yourself when the database is gone.`,
        ]),
  ]
}
