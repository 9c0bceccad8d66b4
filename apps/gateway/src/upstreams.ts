// Connections to the services: kept alive, bounded, and separate for streams that stay open.
import { Pool } from 'undici'
import { Places } from './places'
import { services, type ServiceName } from './services'

// A service on the same machine answers in milliseconds: 128 at once is thousands a second.
const connectionsPerService = 128
// Whoever waits for nothing else: one connection per open feed stream.
const streamsPerService = 10_000
// A request that has waited this long is told to come again: nobody is served half a minute late.
const maxWaiting = 1_000
const waitsMs = 2_000
// Bodies over a megabyte come at their sender's speed: few at a time, beside the others.
const largePerService = 8

interface Upstream {
  /** Who may be under way to the service. */
  readonly places: Places
  /** Likewise, of those whose bodies are passed on while they come. */
  readonly largePlaces: Places
  readonly requests: Pool
  readonly streams: Pool
}

export class Upstreams {
  private readonly byName: ReadonlyMap<ServiceName, Upstream>

  constructor(serviceUrls: Readonly<Record<ServiceName, string>>) {
    this.byName = new Map(services.map(({ name }) => {
      const { origin } = new URL(serviceUrls[name])
      // headersTimeout: the longest call is a cancel, which waits for turns to end (seconds).
      const common = { headersTimeout: 60_000, connect: { timeout: 2_000 } }
      return [name, {
        places: new Places(connectionsPerService, maxWaiting, waitsMs),
        largePlaces: new Places(largePerService, maxWaiting, waitsMs),
        requests: new Pool(origin, { ...common, connections: connectionsPerService + largePerService, bodyTimeout: 60_000 }),
        streams: new Pool(origin, { ...common, connections: streamsPerService, bodyTimeout: 0 }),
      }]
    }))
  }

  of(name: ServiceName): Upstream {
    return this.byName.get(name)!
  }

  /** Cuts every connection, streams too. */
  async close(): Promise<void> {
    await Promise.all([...this.byName.values()].flatMap(({ requests, streams }) => [requests.destroy(), streams.destroy()]))
  }
}
