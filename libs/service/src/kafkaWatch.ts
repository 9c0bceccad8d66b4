// Whether Kafka answers this process and whether its consumers get on: for readiness and for Prometheus, with the records it put aside.
import { Counter, type Registry } from 'prom-client'
import type { KafkaConnection } from '@stepcast/kafka'
import { LagAge } from './lagAge'
import { gaugeAtScrape, type Reading } from './metrics'
import type { Readiness } from './readiness'

/** An offset for each partition. */
type Offsets = ReadonlyMap<number, number>

/** A reader of a topic; names without prefix. */
export interface FollowedTopic {
  readonly groupId: string
  readonly topic: string
  /** The offsets it reads on from, where it keeps them itself; without it those that its group has committed to Kafka. */
  readonly offsets?: () => Promise<Offsets> | Offsets
  /** Partitions that `offsets` does not name are other processes'; else they are read from their first record kept. */
  readonly onlyNamed?: true
}

/** What a process wants to know of Kafka. */
export interface KafkaWatchOptions {
  readonly connection: Pick<KafkaConnection, 'endOffsets' | 'offsets' | 'committed' | 'isClosed'> & {
    onDeadLetter: KafkaConnection['onDeadLetter']
  }
  readonly follows: readonly FollowedTopic[]
  /** Topics it writes: for a process that follows none, so that there is something to ask for. */
  readonly writes?: readonly string[]
  /** Milliseconds; the process's own clock unless a spec has another. */
  readonly now?: () => number
}

/** A reader's standing in one partition. */
export interface Standing {
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  /** Records not worked off, control records included. */
  readonly lag: number
  /** How long the oldest of them has been there at least. */
  readonly ageMs: number
}

/** A shorter outage changes nothing: calls wait, and everything goes on by itself. */
export const awayAfterMs = 30_000
/** No healthy reader leaves a record this long: an orchestrator's longest catching up with a burst is a few seconds. */
export const standsAfterMs = 60_000
/** One request a topic every so often costs a process nothing that can be measured. */
const lookEveryMs = 15_000
/** Whoever asks is told what is this old at most, as far as it can be had within {@link patienceMs}. */
const freshMs = 5_000
const patienceMs = 1_000

interface Follower {
  readonly followed: FollowedTopic
  readonly age: LagAge
  /** As of the last look: the next offset and the end of each partition. */
  last: ReadonlyMap<number, { readonly next: number; readonly end: number }>
}

/** Looks every 15 s and when somebody asks, never twice at the same time. */
export class KafkaWatch {
  private readonly followers: readonly Follower[]
  private readonly topics: readonly string[]
  private readonly now: () => number
  private looking: Promise<void> | null = null
  private lookingSince: number | null = null
  private lookedAt = -Infinity
  private failingSince: number | null = null
  private timer: NodeJS.Timeout | null = null

  constructor(private readonly options: KafkaWatchOptions) {
    this.now = options.now ?? Date.now
    this.followers = options.follows.map((followed) => ({ followed, age: new LagAge(), last: new Map() }))
    this.topics = [...new Set([...options.follows.map(({ topic }) => topic), ...(options.writes ?? [])])]
  }

  /** Begins to look by itself, until the connection is closed. */
  start(): this {
    void this.look()
    this.timer = setInterval(() => {
      if (this.options.connection.isClosed) clearInterval(this.timer!)
      else void this.look()
    }, lookEveryMs)
    this.timer.unref()
    return this
  }

  /** How long Kafka has not answered; 0: it does. */
  awayMs(): number {
    const since = this.failingSince ?? this.lookingSince
    return since === null ? 0 : Math.max(0, this.now() - since)
  }

  /** Where each reader stood at the last look, with ages of now. */
  standings(): Standing[] {
    const now = this.now()
    return this.followers.flatMap(({ followed: { groupId, topic }, age, last }) =>
      [...last].map(([partition, { next, end }]) => ({
        groupId,
        topic,
        partition,
        lag: Math.max(0, end - next),
        ageMs: age.ageMs(partition, next, now),
      })),
    )
  }

  /** Looks unless somebody did within `ms`. */
  async atMost(ms: number): Promise<void> {
    if (this.now() - this.lookedAt > ms) await this.look()
  }

  /** Why Kafka counts as away; null: it does not. */
  async away(): Promise<string | null> {
    await this.lately()
    const ms = this.awayMs()
    return ms < awayAfterMs ? null : `no answer for ${seconds(ms)} s`
  }

  /** Which reader stands; null: none does. */
  async standing(): Promise<string | null> {
    await this.lately()
    const standing = this.standings()
      .filter(({ ageMs }) => ageMs > standsAfterMs)
      .sort((a, b) => b.ageMs - a.ageMs)
    const [oldest] = standing
    if (oldest === undefined) return null
    const { groupId, topic, partition, ageMs } = oldest
    const more = standing.length > 1 ? `, and ${standing.length - 1} more partitions` : ''
    return `${groupId} has a record of ${topic}, partition ${partition}, waiting for ${seconds(ageMs)} s${more}`
  }

  private async lately(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)))
    await Promise.race([this.atMost(freshMs), late])
    clearTimeout(timer)
  }

  private look(): Promise<void> {
    if (this.looking !== null) return this.looking
    const since = (this.lookingSince = this.now())
    this.looking = this.take()
      .then(
        () => {
          this.failingSince = null
        },
        () => {
          if (!this.options.connection.isClosed) this.failingSince ??= since
        },
      )
      .finally(() => {
        this.looking = this.lookingSince = null
        this.lookedAt = this.now()
      })
    return this.looking
  }

  private async take(): Promise<void> {
    const { connection } = this.options
    const ends = new Map(await Promise.all(this.topics.map(async (topic) => [topic, await connection.endOffsets(topic)] as const)))
    const now = this.now()
    // The next offsets are of somebody's table or group: that those cannot be had says nothing of Kafka.
    await Promise.all(this.followers.map((follower) => this.follow(follower, ends.get(follower.followed.topic)!, now).catch(() => {})))
  }

  private async follow(follower: Follower, ends: Offsets, now: number): Promise<void> {
    const { connection } = this.options
    const {
      followed: { groupId, topic, offsets, onlyNamed },
      age,
      last,
    } = follower
    age.sample(ends, now)
    // Nothing came and nothing waited: an idle process asks no further.
    if (
      offsets === undefined &&
      [...ends].every(([partition, end]) => last.get(partition)?.end === end && last.get(partition)?.next === end)
    )
      return
    const stored = offsets === undefined ? await connection.committed(groupId, topic) : await offsets()
    // Where nothing is stored, or behind what is kept, reading goes on from the first record kept.
    const behind = [...ends].some(([partition, end]) => (stored.get(partition) ?? 0) < end)
    const kept = behind ? await connection.offsets(topic) : null
    const partitions = onlyNamed ? stored : ends
    follower.last = new Map(
      [...partitions.keys()].map((partition) => {
        const end = ends.get(partition) ?? 0
        return [partition, { end, next: Math.min(end, Math.max(kept?.get(partition)?.low ?? 0, stored.get(partition) ?? 0)) }]
      }),
    )
  }
}

const seconds = (ms: number): number => Math.round(ms / 1_000)

/** Adds the parts `kafka` and `consumers` to a service's readiness, and their numbers to its metrics. */
export function watchKafka(registry: Registry, readiness: Readiness, options: KafkaWatchOptions): KafkaWatch {
  const watch = new KafkaWatch(options).start()
  readiness.add('kafka', async () => (await watch.away()) ?? true)
  if (options.follows.length === 0) return watch
  readiness.add('consumers', async () => (await watch.standing()) ?? true)
  const letters = new Counter({
    name: 'stepcast_dead_letters_total',
    help: 'Records put aside as dead letters, by the topic they came from and the reason.',
    labelNames: ['topic', 'reason'],
    registers: [registry],
  })
  options.connection.onDeadLetter = (topic, reason) => letters.inc({ topic, reason })
  const labelNames = ['group', 'topic', 'partition']
  const readings = async (valueOf: (standing: Standing) => number): Promise<Reading[]> => {
    // Both gauges of one scrape share a look.
    await watch.atMost(1_000)
    // No number is better than an old one: these are of a look that failed.
    if (watch.awayMs() > 0) return []
    return watch.standings().map((standing) => ({
      labels: { group: standing.groupId, topic: standing.topic, partition: standing.partition },
      value: valueOf(standing),
    }))
  }
  gaugeAtScrape(
    registry,
    {
      name: 'stepcast_consumer_lag_records',
      help: 'Records that a consumer group has not worked off, control records included.',
      labelNames,
    },
    () => readings(({ lag }) => lag),
  )
  gaugeAtScrape(
    registry,
    {
      name: 'stepcast_consumer_oldest_age_seconds',
      help: 'How long the oldest record that a consumer group has not worked off has been there, at least; 0: there is none.',
      labelNames,
    },
    () => readings(({ ageMs }) => ageMs / 1_000),
  )
  return watch
}
