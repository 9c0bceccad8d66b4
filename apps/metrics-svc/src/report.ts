// Turns counts into the published JSON: outcomes, steps and channels, with the labels of a template version. Pure.
import type { SequenceStep } from '@stepcast/contracts'
import type { Counts } from './read'
import type { ChannelNumbers, StepNumbers, Totals } from './shapes'
import { engagementKinds, outcomes, stepEndReasons } from './state'

const eachOf = <Name extends string>(names: readonly Name[], count: (name: Name) => number): Record<Name, number> =>
  Object.fromEntries(names.map((name) => [name, count(name)])) as Record<Name, number>

/** Reads the counts of sequences as wholes. */
export const totalsOf = (counts: Counts): Totals => ({
  recipients: counts.of(0, '', 'recipients'),
  outcomes: eachOf(outcomes, (name) => counts.of(0, '', name)),
})

/** Adds totals up. */
export const sumOf = (parts: readonly Totals[]): Totals => ({
  recipients: parts.reduce((sum, { recipients }) => sum + recipients, 0),
  outcomes: eachOf(outcomes, (name) => parts.reduce((sum, part) => sum + part.outcomes[name], 0)),
})

/**
 * The steps, merged by position.
 * @param labels steps of the version that names conditions and windows; positions beyond them have none
 * @param minuteMs length of a "minute" in milliseconds
 */
export function stepsReport(counts: Counts, labels: readonly SequenceStep[], minuteMs: number): StepNumbers[] {
  const positions = Array.from({ length: Math.max(labels.length, counts.lastStep) }, (_, index) => index + 1)
  return positions.map((step) => {
    const label = labels[step - 1]
    // The version's own channels first, in its order, then what other versions had at this position.
    const channels = [...new Set([...(label?.channels ?? []), ...counts.channelsOf(step).sort()])]
    return {
      step,
      stopCondition: label?.stopCondition ?? null,
      waitMinutes: label?.windowMs == null ? null : label.windowMs / minuteMs,
      ...eachOf(['entered', 'running', ...stepEndReasons, 'regretted'] as const, (name) => counts.of(step, '', name)),
      channels: channels.map((channelType) => channelReport(counts, step, channelType)),
    }
  })
}

function channelReport(counts: Counts, step: number, channelType: string): ChannelNumbers {
  const n = (name: string): number => counts.of(step, channelType, name)
  // Only the feed learns that something was seen (point 5 of what the seeds ask for).
  const hasViewed = channelType === 'in_app'
  return {
    channelType,
    ...eachOf(engagementKinds, n),
    viewed: hasViewed ? n('viewed') : null,
    cost: null,
    inferred: { delivered: n('inferredDelivered'), viewed: hasViewed ? n('inferredViewed') : null },
  }
}
