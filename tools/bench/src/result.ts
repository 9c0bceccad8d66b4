// What a benchmark finds, as `--json` prints it.

/** The workload's phases, in order. */
export const phaseNames = ['start', 'requested', 'engaged', 'timers'] as const
export type PhaseName = (typeof phaseNames)[number]

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
  /** Of the packages it is made of. */
  readonly version?: string
  readonly n: number
  /** N ÷ the time of all four phases. */
  readonly sequencesPerSecond: number
  readonly phases: Phases
  /** CPU seconds per 1,000 sequences of each part, over the four phases; idle waiting for the timers is left out. */
  readonly cpuSecondsPer1000: Readonly<Record<string, number>>
  /** In PostgreSQL, with whatever history the contestant keeps; null where it was not measured. */
  readonly bytesPerSequence: number | null
  /** Where those bytes are, when it is not PostgreSQL. */
  readonly bytesIn?: string
  /** Due → commit by the database's clock, 200 timers over 20 s (peers: as they say); null where not measured. */
  readonly latenessMs: { readonly p50: number; readonly p99: number; readonly max: number } | null
  /** Send → step-1 command at half the peak rate; null where not measured. */
  readonly latencyMs: { readonly p50: number; readonly p99: number } | null
  /** The most that one orchestrator process held in memory, MB. */
  readonly peakMemoryMb?: number
  /** Every count was right. */
  readonly valid: boolean
  /** What was not. */
  readonly problems: readonly string[]
  /** What the contestant keeps and what it does not. */
  readonly notes?: string
}
