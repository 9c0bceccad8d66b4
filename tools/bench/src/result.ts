// What a benchmark finds, as `--json` prints it.

/** Sequences a second in each phase; the load of each stands on its topic before the clock starts. */
export interface Phases {
  /** Sends on the topic → commands of step 1 on the topic. */
  readonly start: number
  /** `requested` reports → windows armed. */
  readonly requested: number
  /** Stop engagements of half → those ended; of the half, a second. */
  readonly engaged: number
  /** The other half's timers, due at once → commands of step 2 on the topic; of the half, a second. */
  readonly timers: number
}

/** One contestant on the workload. */
export interface Result {
  readonly name: string
  readonly n: number
  /** N ÷ the time of all four phases. */
  readonly sequencesPerSecond: number
  readonly phases: Phases
  /** CPU seconds per 1,000 sequences of each part, over the four phases. */
  readonly cpuSecondsPer1000: Readonly<Record<string, number>>
  /** In PostgreSQL, with the whole history. */
  readonly bytesPerSequence: number
  /** Due → commit by the database's clock, 200 timers over 20 s; null where not measured. */
  readonly latenessMs: { readonly p50: number; readonly p99: number; readonly max: number } | null
  /** Send → step-1 command at half the peak rate; null where not measured. */
  readonly latencyMs: { readonly p50: number; readonly p99: number } | null
  /** Every count was right. */
  readonly valid: boolean
  /** What was not. */
  readonly problems: readonly string[]
}
