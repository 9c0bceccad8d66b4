// What a run came to, in the words of the report: sends, faults by kind, what was lost or doubled, lateness, recovery. Pure.
import type { Breach, History } from './history'
import type { Judgement } from './judge'

/** A fault that struck. */
export interface FaultDone {
  readonly kind: string
  readonly victim: string
  readonly at: number
  /** Sequences in flight at that moment. */
  readonly inFlight: number
  /** Until everything it concerned worked again; null: it never did. */
  recoveredAfterMs: number | null
}

/** Percentiles, milliseconds. */
export interface Lateness {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** The result of a run. */
export interface Result {
  readonly seed: number
  readonly seconds: number
  readonly sends: number
  readonly faults: Readonly<Record<string, number>>
  readonly lost: number
  readonly commandedTwice: number
  readonly arrivedAgain: number
  readonly unknown: number
  readonly latenessCalm: Lateness | null
  readonly latenessFaulted: Lateness | null
  readonly slowestRecoveryMs: number | null
  readonly slowestRecoveryOf: string | null
  readonly breaches: readonly Breach[]
  /** Why the run proves nothing; empty: it counts. */
  readonly void: readonly string[]
}

/** What a result is made of. */
export interface Played {
  readonly seed: number
  readonly seconds: number
  readonly planned: number
  /** Whose timers are measured: the noisy neighbour's own are as late as it makes them. */
  readonly workspaceId: string
  readonly judgement: Judgement
  readonly history: History
  readonly faults: readonly FaultDone[]
  readonly isDrained: boolean
  readonly problems: readonly string[]
}

// A fault that strikes an idle product proves nothing.
const leastInFlight = 10
/** What is due within this time after a recovery may still be late because of the fault. */
const aftermathMs = 2_000

/** Sums a run up. */
export function resultOf({ seed, seconds, planned, workspaceId, judgement, history, faults, isDrained, problems }: Played): Result {
  const { breaches } = judgement
  const elapsed = judgement.elapsed.filter((one) => one.workspaceId === workspaceId)
  const isFaulted = (dueAt: number, recordedAt: number): boolean =>
    faults.some(({ at, recoveredAfterMs }) => recordedAt >= at && dueAt <= at + (recoveredAfterMs ?? Infinity) + aftermathMs)
  const [faulted, calm] = [true, false].map((wanted) =>
    elapsed.filter(({ dueAt, recordedAt }) => isFaulted(dueAt, recordedAt) === wanted).map(({ dueAt, recordedAt }) => recordedAt - dueAt),
  )
  const slowest = faults.reduce<FaultDone | null>(
    (worst, fault) => ((fault.recoveredAfterMs ?? 0) > (worst?.recoveredAfterMs ?? 0) ? fault : worst),
    null,
  )
  const broken = (promise: string): number => breaches.filter((breach) => breach.promise === promise).length
  const idle = faults.filter(({ inFlight }) => inFlight < leastInFlight)
  return {
    seed,
    seconds,
    sends: history.accepted.length,
    faults: countBy(faults.map(({ kind }) => kind)),
    lost: broken('no accepted send is lost'),
    commandedTwice: broken('each channel of a step is commanded once'),
    arrivedAgain: judgement.arrivedAgain,
    unknown: history.unknown?.length ?? 0,
    latenessCalm: latenessOf(calm!),
    latenessFaulted: latenessOf(faulted!),
    slowestRecoveryMs: slowest?.recoveredAfterMs ?? null,
    slowestRecoveryOf: slowest?.kind ?? null,
    breaches,
    void:
      breaches.length > 0
        ? []
        : [
            ...(faults.length < planned ? [`only ${faults.length} of ${planned} faults struck`] : []),
            ...idle.map(({ kind, inFlight }) => `${kind} struck with ${inFlight} sequences in flight`),
            ...(isDrained ? [] : ['it did not drain']),
            ...problems,
          ],
  }
}

function countBy(kinds: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of [...kinds].sort()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

/** Percentiles of latenesses; null: there were none. */
export function latenessOf(milliseconds: readonly number[]): Lateness | null {
  if (milliseconds.length === 0) return null
  const sorted = [...milliseconds].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1)! }
}

const told = (lateness: Lateness | null): string =>
  lateness === null ? 'none' : `p50 ${lateness.p50} ms, p99 ${lateness.p99} ms, max ${lateness.max} ms (${lateness.count})`

/** The result for a person. */
export function resultLines(result: Result): string[] {
  const total = Object.values(result.faults).reduce((sum, n) => sum + n, 0)
  const slowest = result.slowestRecoveryMs
  return [
    `${result.sends} sends, ${total} faults in ${Math.round(result.seconds)} s (seed ${result.seed}):`,
    ...Object.entries(result.faults).map(([kind, n]) => `    ${n} × ${kind}`),
    `lost ${result.lost}, commanded twice ${result.commandedTwice}, arrivals beyond one per target ${result.arrivedAgain}` +
      ` (among ${result.unknown} targets listed as unknown)`,
    `timer lateness: calm ${told(result.latenessCalm)}; faulted ${told(result.latenessFaulted)}`,
    `slowest recovery: ${slowest === null ? 'none' : `${(slowest / 1_000).toFixed(1)} s after ${result.slowestRecoveryOf}`}`,
    ...(result.breaches.length > 0
      ? [`BROKEN: ${result.breaches.length} breaches`]
      : result.void.length > 0
        ? [`VOID: ${result.void.join('; ')}`]
        : ['KEPT: no promise was broken']),
  ]
}
