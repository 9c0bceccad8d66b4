// The part of the metrics API that the demo reads, in the API's own words.

/** `GET /v1/metrics/templates/{id}` and `/v1/metrics/sends/{id}`. */
export interface Numbers {
  readonly recipients: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  readonly steps: readonly StepNumbers[]
}

export const outcomes = ['running', 'stopped', 'exhausted', 'unreachable', 'cancelled'] as const
export type Outcome = (typeof outcomes)[number]

export const stepCounts = [
  'entered',
  'running',
  'stopped',
  'waitElapsed',
  'failed',
  'skipped',
  'expired',
  'superseded',
  'cancelled',
  'completed',
  'regretted',
] as const
export const channelCounts = ['requested', 'delivered', 'viewed', 'clicked', 'failed', 'skipped', 'unknown'] as const

export type StepNumbers = Readonly<Record<(typeof stepCounts)[number], number>> & {
  readonly step: number
  readonly channels: readonly ChannelNumbers[]
}

export type ChannelNumbers = Readonly<Record<Exclude<(typeof channelCounts)[number], 'viewed'>, number>> & {
  readonly channelType: string
  /** Null where the channel has none. */
  readonly viewed: number | null
}

/** The numbers by name, e.g. `step 1 in_app viewed`: to print them and to compare them. */
export function byName({ recipients, outcomes: ended, steps }: Numbers): Map<string, number | null> {
  const numbers = new Map<string, number | null>([['recipients', recipients]])
  for (const outcome of outcomes) numbers.set(outcome, ended[outcome])
  for (const step of steps) {
    for (const name of stepCounts) numbers.set(`step ${step.step} ${name}`, step[name])
    for (const channel of step.channels) {
      for (const name of channelCounts) numbers.set(`step ${step.step} ${channel.channelType} ${name}`, channel[name])
    }
  }
  return numbers
}
