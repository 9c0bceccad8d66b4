// Turns counts into the published JSON: outcomes, steps and channels, with the labels of a template version. Pure.
import type { SequenceStep } from '@stepcast/contracts'
import type { Counts } from './read'
import { engagementKinds, outcomes, stepEndReasons } from './state'

/** Counts by outcome; their sum is `recipients`. */
export type Outcomes = Readonly<Record<(typeof outcomes)[number], number>>

/** Sequences started, and how they stand. */
export interface Totals {
  readonly recipients: number
  readonly outcomes: Outcomes
}

/** Reads the counts of sequences as wholes. */
export const totalsOf = (counts: Counts): Totals => ({
  recipients: counts.of(0, '', 'recipients'),
  outcomes: Object.fromEntries(outcomes.map((name) => [name, counts.of(0, '', name)])) as Outcomes,
})

/** Adds totals up. */
export const sumOf = (totals: readonly Totals[]): Totals => ({
  recipients: totals.reduce((sum, { recipients }) => sum + recipients, 0),
  outcomes: Object.fromEntries(outcomes.map((name) => [name, totals.reduce((sum, total) => sum + total.outcomes[name], 0)])) as Outcomes,
})

/** One step's numbers. `entered` is the sum of `running` and the eight ways a step ends. */
export type StepReport = { readonly step: number; readonly channels: readonly ChannelReport[] } & Readonly<Record<string, unknown>>

/** One channel's numbers: messages for which a fact was reported at least once. */
export interface ChannelReport {
  readonly channelType: string
  /** Null where the channel has none. */
  readonly viewed: number | null
  /** Null until prices exist. */
  readonly cost: null
  /** Messages engaged with more strongly while this was never reported itself: clicked implies viewed implies delivered. */
  readonly inferred: { readonly delivered: number; readonly viewed: number | null }
  readonly [kind: string]: unknown
}

/**
 * The steps, merged by position.
 * @param labels steps of the version that names conditions and windows; positions beyond them have none
 * @param minuteMs length of a "minute" in milliseconds
 */
export function stepsReport(counts: Counts, labels: readonly SequenceStep[], minuteMs: number): StepReport[] {
  const positions = Array.from({ length: Math.max(labels.length, counts.lastStep) }, (_, index) => index + 1)
  return positions.map((step) => {
    const label = labels[step - 1]
    // The version's own channels first, in its order, then what other versions had at this position.
    const channels = [...new Set([...(label?.channels ?? []), ...counts.channelsOf(step).sort()])]
    return {
      step,
      stopCondition: label?.stopCondition ?? null,
      waitMinutes: label?.windowMs == null ? null : label.windowMs / minuteMs,
      ...Object.fromEntries(['entered', 'running', ...stepEndReasons, 'regretted'].map((name) => [name, counts.of(step, '', name)])),
      channels: channels.map((channelType) => channelReport(counts, step, channelType)),
    }
  })
}

function channelReport(counts: Counts, step: number, channelType: string): ChannelReport {
  const n = (name: string): number => counts.of(step, channelType, name)
  // Only the feed learns that something was seen (rule 5 of the product).
  const hasViewed = channelType === 'in_app'
  return {
    channelType,
    ...Object.fromEntries(engagementKinds.map((kind) => [kind, n(kind)])),
    viewed: hasViewed ? n('viewed') : null,
    cost: null,
    inferred: { delivered: n('inferredDelivered'), viewed: hasViewed ? n('inferredViewed') : null },
  }
}
