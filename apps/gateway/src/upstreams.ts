// Connections to the services: kept alive, bounded, and separate for streams that stay open.
import { Pool } from 'undici'
import { services, type ServiceName } from './services'

// A service on the same machine answers in milliseconds: 128 at once is thousands a second.
const connectionsPerService = 128
// Whoever waits for nothing else: one connection per open feed stream.
const streamsPerService = 10_000
// Beyond this many waiting requests a service is not keeping up; more would only wait longer.
export const maxWaiting = 1_000

interface Upstream {
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
        requests: new Pool(origin, { ...common, connections: connectionsPerService, bodyTimeout: 60_000 }),
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
