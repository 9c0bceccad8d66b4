// Connections to the services: kept alive, bounded, and separate for streams that stay open.
import { Pool } from 'undici'
import { Places, type PlacesOptions } from './places'
import { services, type ServiceName } from './services'

// A service on the same machine answers in milliseconds: 128 at once is thousands a second.
const connectionsPerService = 128
// Whoever waits for nothing else: one connection per open feed stream.
const streamsPerService = 10_000
// A request that has waited this long is told to come again: nobody is served half a minute late. Nobody has all places: a workspace that
// floods a service leaves half of them to the others.
const placesAtService: PlacesOptions = {
  most: connectionsPerService,
  mostOfOne: connectionsPerService / 2,
  line: 1_000,
  lineOfOne: 500,
  withinMs: 2_000,
}
// Bodies over a megabyte come at their sender's speed: few at a time, beside the others.
const largePlacesAtService: PlacesOptions = { most: 8, mostOfOne: 4, line: 100, lineOfOne: 50, withinMs: 2_000 }

interface Upstream {
  /** Who may be under way to the service. */
  readonly places: Places
  /** Likewise, of those whose bodies are passed on while they come. */
  readonly largePlaces: Places
  readonly requests: Pool
  /** For whoever asks how the service is: no load of others keeps it from being asked. */
  readonly probes: Pool
  readonly streams: Pool
}

export class Upstreams {
  private readonly byName: ReadonlyMap<ServiceName, Upstream>

  constructor(serviceUrls: Readonly<Record<ServiceName, string>>) {
    this.byName = new Map(
      services.map(({ name }) => {
        const { origin } = new URL(serviceUrls[name])
        // headersTimeout: the longest call is a cancel, which waits for turns to end (seconds).
        const common = { headersTimeout: 60_000, connect: { timeout: 2_000 } }
        return [
          name,
          {
            places: new Places(placesAtService),
            largePlaces: new Places(largePlacesAtService),
            requests: new Pool(origin, { ...common, connections: placesAtService.most + largePlacesAtService.most, bodyTimeout: 60_000 }),
            probes: new Pool(origin, { ...common, connections: 2 }),
            streams: new Pool(origin, { ...common, connections: streamsPerService, bodyTimeout: 0 }),
          },
        ]
      }),
    )
  }

  of(name: ServiceName): Upstream {
    return this.byName.get(name)!
  }

  /** Cuts every connection, streams too. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.byName.values()].flatMap(({ requests, probes, streams }) => [requests.destroy(), probes.destroy(), streams.destroy()]),
    )
  }
}
