// What a provider answers over HTTP.

/** An HTTP answer. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Null: an empty body. */
  readonly body: object | null
  /** How the log of arrivals names it, e.g. `404 UNREGISTERED`. */
  readonly logged: string
}

/** The Retry-After of a 429, where a fault gives one. */
export const retryAfter = (seconds: number | undefined): Record<string, string> =>
  seconds === undefined ? {} : { 'retry-after': String(seconds) }
