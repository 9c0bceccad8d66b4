// The numbers of each template, folded from the log anew, and compared with what metrics-svc tells. Pure.
import type { SequenceChanged } from '@stepcast/contracts'
import type { Numbers } from './history'

/** Counters by name: `recipients`, `outcomes.stopped`, `1.entered`, `1.in_app.viewed` … */
export type Counters = ReadonlyMap<string, number>

interface Standing {
  readonly template: string
  outcome: string
  readonly steps: { reason: string; regretted: boolean }[]
  readonly kinds: Set<string>
}

/** Folds the log into counters by `workspaceId/templateId`. */
export function numbersOf(changes: readonly SequenceChanged[]): ReadonlyMap<string, Counters> {
  const sequences = new Map<string, Standing>()
  for (const change of changes) {
    let standing = sequences.get(change.sequenceId)
    if (!standing) {
      standing = { template: `${change.workspaceId}/${change.templateId}`, outcome: 'running', steps: [], kinds: new Set() }
      sequences.set(change.sequenceId, standing)
    }
    for (const event of change.events) take(standing, event)
  }
  const counters = new Map<string, Map<string, number>>()
  for (const { template, outcome, steps, kinds } of sequences.values()) {
    let counts = counters.get(template)
    if (!counts) counters.set(template, (counts = new Map()))
    const names = [
      'recipients',
      `outcomes.${outcome}`,
      ...kinds,
      ...steps.flatMap(({ reason, regretted }, index) => [
        `${index + 1}.entered`,
        `${index + 1}.${reason}`,
        ...(regretted ? [`${index + 1}.regretted`] : []),
      ]),
    ]
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counters
}

function take(standing: Standing, event: SequenceChanged['events'][number]): void {
  const { steps, kinds } = standing
  switch (event.type) {
    case 'StepCommanded':
    case 'StepDeferred':
      steps[event.step - 1] ??= { reason: 'running', regretted: false }
      break
    case 'EngagementRecorded':
      kinds.add(`${event.step}.${event.channelType}.${event.kind}`)
      break
    case 'StepEnded':
      if (steps[event.step - 1]) steps[event.step - 1]!.reason = event.reason
      break
    case 'EscalationRegretted':
      if (steps[event.step - 1]) steps[event.step - 1]!.regretted = true
      break
    case 'SequenceEnded':
      standing.outcome = event.outcome
      break
    case 'SequenceStarted':
      break
  }
}

const kindNames = ['requested', 'delivered', 'viewed', 'clicked', 'failed', 'skipped', 'unknown']
const reasonNames = ['running', 'stopped', 'waitElapsed', 'failed', 'skipped', 'expired', 'superseded', 'cancelled', 'completed']

function toldOf({ recipients, outcomes, steps }: Numbers): Map<string, number> {
  const told = new Map<string, number>([['recipients', recipients]])
  for (const [name, n] of Object.entries(outcomes)) told.set(`outcomes.${name}`, n)
  for (const step of steps) {
    for (const name of ['entered', 'regretted', ...reasonNames]) told.set(`${step.step}.${name}`, Number(step[name]))
    for (const channel of step.channels) {
      for (const name of kindNames)
        if (channel[name] !== null) told.set(`${step.step}.${channel.channelType}.${name}`, Number(channel[name]))
    }
  }
  return told
}

/** What differs, in words; also where the told numbers do not add up by themselves. */
export function differences(numbers: Numbers, expected: Counters = new Map()): string[] {
  const told = toldOf(numbers)
  const names = [...new Set([...told.keys(), ...expected.keys()])]
  const wrong = names.flatMap((name) => {
    const [is, should] = [told.get(name), expected.get(name) ?? 0]
    // Only the feed learns that something was seen; elsewhere `viewed` is told as null.
    if (is === undefined && /\.(push|sms|kakao)\.viewed$/.test(name)) return []
    return (is ?? 0) === should ? [] : [`${name} is told as ${is ?? 'nothing'}, the log makes it ${should}`]
  })
  const sum = Object.values(numbers.outcomes).reduce((all, n) => all + n, 0)
  if (sum !== numbers.recipients) wrong.push(`${numbers.recipients} recipients, but the outcomes add up to ${sum}`)
  for (const step of numbers.steps) {
    const ways = reasonNames.reduce((all, name) => all + Number(step[name]), 0)
    if (ways !== Number(step.entered)) wrong.push(`step ${step.step}: ${String(step.entered)} entered, but its ways add up to ${ways}`)
  }
  return wrong
}
