// Folds changes into what is stored: a state per sequence, and the differences they make to the counters. Pure.
import type { SequenceChanged } from '@stepcast/contracts'
import { instantOf, shortTextOf, textOf } from './asItStands'
import { evolve, factsOf, forgetFactsIfMany, started, type Fact, type State } from './state'

/** What the fold knows of a sequence that is stored. */
export interface Sequence {
  readonly sequenceId: string
  readonly workspaceId: string
  readonly templateId: string
  readonly templateVersion: number
  /** `recordedAt` of the change that holds SequenceStarted, milliseconds since the epoch: its cohort. */
  readonly startedAt: number
  readonly state: State
}

/** A sequence that has just started, with what else is stored of it. */
export interface Begun extends Sequence {
  readonly sendId: string
  readonly campaignId: string | null
  /** http, grpc, kafka or campaign. */
  readonly source: string
  /** When the producer asked, milliseconds since the epoch: never later than the start, whatever the producer's clock said. */
  readonly requestedAt: number
}

/** A counter and what to add to it. */
export interface CountDelta extends Fact {
  readonly workspaceId: string
  readonly templateId: string
  readonly templateVersion: number
  /** Start of the hour in which the sequences started, milliseconds since the epoch. */
  readonly hour: number
  readonly n: number
}

/** Numbers that were taken over as they stood: a rebuild adds to them only what came later. */
export interface TakenOver {
  /** Sequences that started before this are counted already, milliseconds since the epoch. */
  readonly before: number
  /** … up to this position of the log. */
  readonly upTo: number
}

/** What a batch of changes makes of what was stored. */
export interface Projection {
  /** Sequences that started here, as they are now. */
  readonly begun: readonly Begun[]
  /** Stored sequences as they are now; only those whose state is another one. */
  readonly moved: readonly Sequence[]
  readonly deltas: readonly CountDelta[]
  /** Changes of sequences whose start was never seen: the topic was trimmed before it. They count nowhere, so sums stay whole. */
  readonly unknown: number
}

/** Milliseconds of an hour, the width of a counter. */
export const hourMs = 3_600_000

/** The start of the hour a moment lies in. */
export const hourOf = (at: number): number => Math.floor(at / hourMs) * hourMs

type Moving<T extends Sequence> = Omit<T, 'state'> & { state: State }

/** Folds changes, in order, over the stored sequences they speak of. */
export function project(
  stored: ReadonlyMap<string, Sequence>,
  changes: readonly SequenceChanged[],
  takenOver: TakenOver | null = null,
): Projection {
  forgetFactsIfMany()
  const begun = new Map<string, Moving<Begun>>()
  const moved = new Map<string, Moving<Sequence>>()
  let unknown = 0
  for (const change of changes) {
    const id = change.sequenceId
    let now = moved.get(id) ?? begun.get(id)
    if (!now) {
      const before = stored.get(id)
      if (before) moved.set(id, (now = { ...before }))
      else {
        const start = begunBy(change)
        if (start === null) {
          unknown++
          continue
        }
        if (takenOver && start.startedAt < takenOver.before && change.logPosition <= takenOver.upTo) continue
        begun.set(id, (now = start))
      }
    }
    if (takenOver && now.startedAt < takenOver.before && change.logPosition <= takenOver.upTo) continue
    now.state = evolve(now.state, change.events)
  }
  const others = [...moved.values()].filter((now) => now.state !== stored.get(now.sequenceId)!.state)
  return { begun: [...begun.values()], moved: others, deltas: deltasOf(stored, begun.values(), others), unknown }
}

function begunBy(change: SequenceChanged): Moving<Begun> | null {
  const start = change.events.find((event) => event.type === 'SequenceStarted')
  if (!start) return null
  const startedAt = instantOf(change.recordedAt)
  return {
    sequenceId: change.sequenceId,
    workspaceId: textOf(change.workspaceId),
    templateId: textOf(change.templateId),
    templateVersion: change.templateVersion,
    sendId: textOf(change.sendId),
    campaignId: change.campaignId === null ? null : textOf(change.campaignId),
    source: shortTextOf(start.source),
    requestedAt: Math.min(instantOf(start.requestedAt ?? startedAt), startedAt),
    startedAt,
    state: started,
  }
}

interface Cohort {
  readonly of: Sequence
  readonly hour: number
  /** How many sequences went from one state to another; '' before the start. */
  readonly moves: Map<State, Map<State, number>>
}

// Counters are sums of facts over sequences by construction: what a state says now is added, what it said before is taken away.
// Thousands of sequences make the same few moves, so moves are counted first.
function deltasOf(stored: ReadonlyMap<string, Sequence>, begun: Iterable<Sequence>, moved: readonly Sequence[]): CountDelta[] {
  const cohorts = new Map<string, Cohort>()
  let last: Cohort | null = null
  const count = (after: Sequence, before: State | ''): void => {
    const hour = hourOf(after.startedAt)
    if (last === null || !isOf(last, after, hour)) {
      const key = `${after.workspaceId}\n${after.templateId}\n${after.templateVersion}\n${hour}`
      last = cohorts.get(key) ?? { of: after, hour, moves: new Map() }
      cohorts.set(key, last)
    }
    let to = last.moves.get(before)
    if (!to) last.moves.set(before, (to = new Map()))
    to.set(after.state, (to.get(after.state) ?? 0) + 1)
  }
  for (const after of begun) count(after, '')
  for (const after of moved) count(after, stored.get(after.sequenceId)!.state)
  return [...cohorts.values()].flatMap(deltasOfCohort)
}

const isOf = ({ of, hour }: Cohort, { workspaceId, templateId, templateVersion }: Sequence, itsHour: number): boolean =>
  hour === itsHour && of.templateId === templateId && of.workspaceId === workspaceId && of.templateVersion === templateVersion

function deltasOfCohort({ of: { workspaceId, templateId, templateVersion }, hour, moves }: Cohort): CountDelta[] {
  const counts = new Map<Fact, number>()
  const add = (state: State, n: number): void => {
    for (const fact of factsOf(state)) counts.set(fact, (counts.get(fact) ?? 0) + n)
  }
  for (const [before, to] of moves) {
    for (const [after, n] of to) {
      if (before !== '') add(before, -n)
      add(after, n)
    }
  }
  return [...counts]
    .filter(([, n]) => n !== 0)
    .map(([{ step, channelType, name }, n]) => ({
      workspaceId,
      templateId,
      templateVersion,
      hour,
      step,
      channelType,
      name,
      n,
    }))
}
