// Random but valid histories for specs, made by the core itself, and a slow independent count of what they say.
import { partitionOf, sequenceIdOf, type EngagementKind, type SequenceChanged, type SequenceStep } from '@stepcast/contracts'
import { decide, evolve, isRefusal, notStarted, timerOf, type Sequence, type SequenceEvent, type SequenceInput } from '@stepcast/sequence'

/** A template's version as sequences run it. */
export interface Plan {
  readonly workspaceId: string
  readonly templateId: string
  readonly templateVersion: number
  readonly steps: readonly SequenceStep[]
}

/** A repeatable source of chance in [0, 1) (mulberry32). */
export function chance(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const kinds: readonly EngagementKind[] = [
  'requested',
  'requested',
  'requested',
  'delivered',
  'viewed',
  'clicked',
  'failed',
  'skipped',
  'unknown',
]

interface Turn {
  readonly at: number
  readonly events: SequenceEvent[]
}

function oneHistory(next: () => number, plan: Plan, startedAt: number): Turn[] {
  let state: Sequence = notStarted
  const turns: Turn[] = []
  const put = (at: number, inputs: readonly SequenceInput[]): void => {
    const events: SequenceEvent[] = []
    for (const input of inputs) {
      const decision = decide(state, input)
      if (isRefusal(decision)) continue
      for (const event of decision) {
        state = evolve(state, event, at)
        events.push(event)
      }
    }
    if (events.length > 0) turns.push({ at, events })
  }
  const quiet = (at: number): number | null => (next() < 0.1 ? at + 60_000 : null)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!
  const engagement = (at: number): SequenceInput => {
    const step = 1 + Math.floor(next() * plan.steps.length)
    const channelType = pick(plan.steps[step - 1]!.channels)
    return {
      type: 'engagement',
      now: at,
      messageId: `${step}.${channelType}`,
      step,
      channelType,
      kind: pick(kinds),
      occurredAt: at - Math.floor(next() * 1_000),
      source: 'spec',
      reason: null,
      providerMessageId: null,
      detail: {},
      quietUntil: quiet(at),
    }
  }

  put(startedAt, [
    {
      type: 'start',
      now: startedAt,
      steps: plan.steps,
      onFailure: next() < 0.5 ? 'advance' : 'wait',
      lateSignal: next() < 0.7 ? 'stop' : 'ignore',
      dispatchTtlMs: 600_000,
      tag: null,
      source: 'kafka',
      requestedAt: startedAt - 10,
      cancelled: next() < 0.03,
      quietUntil: quiet(startedAt),
    },
  ])
  let at = startedAt
  const rounds = Math.floor(next() * 14)
  for (let round = 0; round < rounds; round++) {
    at += 1 + Math.floor(next() * 60_000)
    const timer = timerOf(state)
    const roll = next()
    if (roll < 0.03) put(at, [{ type: 'cancel', now: at }])
    else if (roll < 0.35 && timer) put((at = Math.max(at, timer.dueAt)), [{ type: 'timer', now: at, note: null, quietUntil: quiet(at) }])
    else put(at, [engagement(at), ...(next() < 0.3 ? [engagement(at)] : [])])
  }
  return turns
}

/**
 * Makes histories of `sequences` sequences, as changes in the order of the log: positions gapless per partition.
 * @param windowMs sequences start within this span before `until`
 */
export function randomHistories({
  seed,
  sequences,
  plans,
  partitions,
  until,
  windowMs,
  sends,
}: {
  seed: number
  sequences: number
  plans: readonly Plan[]
  partitions: number
  until: number
  windowMs: number
  sends: number
}): SequenceChanged[] {
  const next = chance(seed)
  const changes = Array.from({ length: sequences }, (_, index) => {
    const plan = plans[index % plans.length]!
    const send = Math.floor(next() * sends)
    const sendId = `${plan.templateId}-${plan.templateVersion}-send-${send}`
    const sequenceId = sequenceIdOf(plan.workspaceId, sendId, `user-${index}`)
    const startedAt = until - Math.floor(next() * windowMs)
    return oneHistory(next, plan, startedAt).map(
      ({ at, events }, turn): SequenceChanged => ({
        workspaceId: plan.workspaceId,
        sequenceId,
        version: turn + 1,
        logPartition: partitionOf(sequenceId, partitions),
        logPosition: 0,
        sendId,
        userId: `user-${index}`,
        templateId: plan.templateId,
        templateVersion: plan.templateVersion,
        campaignId: send % 2 === 0 ? `campaign-${send}` : null,
        recordedAt: at,
        events: events.map((event) =>
          event.type === 'EngagementRecorded' ? { ...event, messageId: `${sequenceId}.${event.messageId}` } : event,
        ),
      }),
    )
  }).flat()
  const positions = new Map<number, number>()
  return changes
    .sort((a, b) => a.recordedAt - b.recordedAt || a.version - b.version)
    .map((change) => {
      const logPosition = (positions.get(change.logPartition) ?? 0) + 1
      positions.set(change.logPartition, logPosition)
      return { ...change, logPosition }
    })
}

/** A count of one fact, by words: `sequence stopped`, `1 entered`, `2 push requested`. */
export type Tally = Record<string, number>

/** Counts a topic the slow way: whole histories, one sequence at a time, nothing shared with the service's fold. */
export function slowCount(topic: readonly SequenceChanged[], chosen: (first: SequenceChanged) => boolean): Tally {
  const histories = new Map<string, Map<number, SequenceChanged>>()
  for (const change of topic) {
    const history = histories.get(change.sequenceId) ?? new Map<number, SequenceChanged>()
    histories.set(change.sequenceId, history.set(change.version, change))
  }
  const tally: Tally = {}
  const count = (words: string): void => void (tally[words] = (tally[words] ?? 0) + 1)
  for (const history of histories.values()) {
    const first = history.get(1)
    if (first && chosen(first))
      countOne(
        [...history].sort(([a], [b]) => a - b).flatMap(([, { events }]) => events),
        count,
      )
  }
  return tally
}

function countOne(events: readonly SequenceEvent[], count: (words: string) => void): void {
  count('sequence recipients')
  count(`sequence ${events.find((event) => event.type === 'SequenceEnded')?.outcome ?? 'running'}`)
  const entered = new Set(events.flatMap((event) => (event.type === 'StepCommanded' || event.type === 'StepDeferred' ? [event.step] : [])))
  for (const step of entered) {
    count(`${step} entered`)
    const [reason] = events.flatMap((event) => (event.type === 'StepEnded' && event.step === step ? [event.reason] : []))
    count(`${step} ${reason ?? 'running'}`)
    if (events.some((event) => event.type === 'EscalationRegretted' && event.step === step)) count(`${step} regretted`)
  }
  const messages = new Map<string, Set<string>>()
  for (const event of events) {
    if (event.type !== 'EngagementRecorded') continue
    const words = `${event.step} ${event.channelType}`
    messages.set(words, (messages.get(words) ?? new Set()).add(event.kind))
  }
  for (const [words, reported] of messages) {
    for (const kind of reported) count(`${words} ${kind}`)
    if (reported.has('clicked') && !reported.has('viewed')) count(`${words} inferredViewed`)
    if ((reported.has('clicked') || reported.has('viewed')) && !reported.has('delivered')) count(`${words} inferredDelivered`)
  }
}
