// The log of arrivals: every request that reached a provider here, written down before it is answered.
import { closeSync, openSync, writeSync } from 'node:fs'

/** The providers spoken here. */
export const providerNames = ['fcm', 'apns', 'twilio', 'solapi'] as const
/** One of {@link providerNames}. */
export type ProviderName = (typeof providerNames)[number]

/** One request that arrived. */
export interface Arrival {
  readonly provider: ProviderName
  /** From the payload, the callback address or the custom fields; null when it carries none. */
  readonly messageId: string | null
  /** The device token or number addressed. */
  readonly to: string
  /** RFC 3339. */
  readonly at: string
  /** The HTTP status with its error code, or `hang`, `reset` or `goaway`. */
  readonly answer: string
  /** Whether the message was taken, and so may have been paid for, whatever became of the answer. */
  readonly accepted: boolean
}

/** What to look for; all given conditions hold. */
export interface ArrivalQuery {
  readonly messageId?: string
  readonly provider?: ProviderName
  /** At or after, milliseconds since the epoch. */
  readonly sinceMs?: number
}

/** How often one message arrived for one target. */
export interface ArrivalCount {
  readonly provider: ProviderName
  readonly messageId: string
  readonly to: string
  readonly arrived: number
  readonly accepted: number
}

// 250 bytes each: 50 MB. The oldest go first; the file keeps them all.
const maxKept = 200_000

/** The arrivals of this process. */
export class Arrivals {
  private kept: Arrival[] = []
  private readonly file: number | null

  /** @param path where each arrival is appended as a JSON line, so that a killed sandbox loses none; null: memory only. */
  constructor(path: string | null) {
    this.file = path === null ? null : openSync(path, 'a')
  }

  /** Writes one down. To be called before anything is answered. */
  record(arrival: Arrival): void {
    if (this.file !== null) writeSync(this.file, `${JSON.stringify(arrival)}\n`)
    this.kept.push(arrival)
    // A quarter more before the cut: one copy per 50,000 arrivals instead of one per arrival.
    if (this.kept.length > maxKept * 1.25) this.kept = this.kept.slice(-maxKept)
  }

  /** Those that match, oldest first. */
  find({ messageId, provider, sinceMs }: ArrivalQuery): Arrival[] {
    return this.kept.filter(
      (arrival) =>
        (messageId === undefined || arrival.messageId === messageId) &&
        (provider === undefined || arrival.provider === provider) &&
        (sinceMs === undefined || Date.parse(arrival.at) >= sinceMs),
    )
  }

  /** Those that match, counted per provider, message and target, in order of first arrival; requests without a messageId are left out. */
  count(query: ArrivalQuery): ArrivalCount[] {
    const counts = new Map<string, { -readonly [K in keyof ArrivalCount]: ArrivalCount[K] }>()
    for (const { provider, messageId, to, accepted } of this.find(query)) {
      if (messageId === null) continue
      const key = `${provider} ${messageId} ${to}`
      let count = counts.get(key)
      if (count === undefined) counts.set(key, (count = { provider, messageId, to, arrived: 0, accepted: 0 }))
      count.arrived += 1
      if (accepted) count.accepted += 1
    }
    return [...counts.values()]
  }

  close(): void {
    if (this.file !== null) closeSync(this.file)
  }
}
