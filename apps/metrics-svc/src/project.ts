// Folds changes into what is stored: a state per sequence, and the differences they make to the counters. Pure.
import type { SequenceChanged } from '@stepcast/contracts'
import { evolve, factsOf, started, type Fact, type State } from './state'

/** What is stored of one sequence. */
export interface Sequence {
  readonly sequenceId: string
  readonly workspaceId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly sendId: string
  readonly campaignId: string | null
  /** http, grpc, kafka or campaign. */
  readonly source: string
  /** When the producer asked, milliseconds since the epoch. */
  readonly requestedAt: number
  /** `recordedAt` of the change that holds SequenceStarted, milliseconds since the epoch: its cohort. */
  readonly startedAt: number
  readonly state: State
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

/** What a batch of changes makes of what was stored. */
export interface Projection {
  /** Sequences as they are now; only those that changed. */
  readonly sequences: readonly Sequence[]
  readonly deltas: readonly CountDelta[]
  /** Changes of sequences whose start was never seen: the topic was trimmed before it. They count nowhere, so sums stay whole. */
  readonly unknown: number
}

/** Milliseconds of an hour, the width of a counter. */
export const hourMs = 3_600_000

/** The start of the hour a moment lies in. */
export const hourOf = (at: number): number => Math.floor(at / hourMs) * hourMs

/** Folds changes, in order, over the stored sequences they speak of. */
export function project(stored: ReadonlyMap<string, Sequence>, changes: readonly SequenceChanged[]): Projection {
  const now = new Map<string, Sequence>()
  let unknown = 0
  for (const change of changes) {
    const before = now.get(change.sequenceId) ?? stored.get(change.sequenceId) ?? begun(change)
    if (before === null) unknown++
    else now.set(change.sequenceId, { ...before, state: evolve(before.state, change.events) })
  }
  return { sequences: [...now.values()], deltas: deltasOf(stored, now), unknown }
}

function begun(change: SequenceChanged): Sequence | null {
  const start = change.events.find((event) => event.type === 'SequenceStarted')
  if (!start) return null
  return {
    sequenceId: change.sequenceId, workspaceId: change.workspaceId, templateId: change.templateId, templateVersion: change.templateVersion,
    sendId: change.sendId, campaignId: change.campaignId, source: start.source, requestedAt: start.requestedAt ?? change.recordedAt,
    startedAt: change.recordedAt, state: started,
  }
}

// Counters are sums of facts over sequences by construction: what a state says now is added, what it said before is taken away.
function deltasOf(stored: ReadonlyMap<string, Sequence>, now: ReadonlyMap<string, Sequence>): CountDelta[] {
  const cohorts = new Map<string, { sequence: Sequence; counts: Map<Fact, number> }>()
  for (const after of now.values()) {
    const before = stored.get(after.sequenceId)
    if (before?.state === after.state) continue
    const { workspaceId, templateId, templateVersion, startedAt } = after
    const key = `${workspaceId}/${templateId}/${templateVersion}/${hourOf(startedAt)}`
    let cohort = cohorts.get(key)
    if (!cohort) cohorts.set(key, (cohort = { sequence: after, counts: new Map() }))
    if (before) addFacts(cohort.counts, before.state, -1)
    addFacts(cohort.counts, after.state, 1)
  }
  return [...cohorts.values()].flatMap(({ sequence: { workspaceId, templateId, templateVersion, startedAt }, counts }) =>
    [...counts].filter(([, n]) => n !== 0).map(([fact, n]) => ({
      workspaceId, templateId, templateVersion, hour: hourOf(startedAt), ...fact, n,
    })))
}

function addFacts(counts: Map<Fact, number>, state: State, n: number): void {
  for (const fact of factsOf(state)) counts.set(fact, (counts.get(fact) ?? 0) + n)
}
