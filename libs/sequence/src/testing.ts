// Given, when, then for sequences: tests read as rules, and a core that mutates or forgets is caught. Not part of the lib's face.
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import type { EngagementKind, EngagementRecorded, SequenceOutcome, SequenceStep, StepEndReason, StopCondition } from '@stepcast/contracts'
import { decide } from './decide'
import { evolve, fold } from './evolve'
import { explain } from './explain'
import { react } from './react'
import { isRefusal, notStarted } from './sequence'
import type { Change, ChannelType, Effect, EngagementInput, Refusal, Sequence, SequenceEvent, SequenceInput, StartInput } from './sequence'
import { timerOf } from './timer'

/** The sequence of all examples: the contract's vector (demo, send-1, user-1). */
export const sequenceId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c'
/** One minute in milliseconds. */
export const minute = 60_000
/** When all examples start, milliseconds since the epoch. Minutes in builders count from here. */
export const startedAt = 1_700_000_000_000
/** What the examples' `dispatchTtlMinutes` is. */
const dispatchTtlMinutes = 60

const minuteAt = (minutes: number): number => startedAt + minutes * minute

// ── A run: inputs and what they made ────────────────────────────────────────────────────────────────────────────────────────

/** A sequence that lived through some inputs. */
export interface Run {
  readonly now: number
  readonly state: Sequence
  readonly inputs: readonly SequenceInput[]
  readonly changes: readonly Change[]
  readonly commands: readonly Effect[]
  readonly refusals: readonly Refusal[]
}

/** Before anything happened. */
export const nothingYet: Run = { now: startedAt, state: notStarted, inputs: [], changes: [], commands: [], refusals: [] }

/** Puts one input to the sequence, as one change. */
export function put(run: Run, input: SequenceInput): Run {
  const { now } = input
  const inputs = [...run.inputs, input]
  const decision = decide(run.state, input)
  if (isRefusal(decision)) return { ...run, now, inputs, refusals: [...run.refusals, decision] }
  if (decision.length === 0) return { ...run, now, inputs }
  let state = run.state
  const commands = [...run.commands]
  for (const event of decision) {
    commands.push(...react(state, event))
    state = evolve(state, event, now)
  }
  return { now, state, inputs, changes: [...run.changes, { recordedAt: now, events: decision }], commands, refusals: run.refusals }
}

/**
 * The same, under suspicion: clones what the core is given and compares it afterwards, decides, reacts and explains twice, and folds the
 * whole history anew. An impure core fails here, in whatever test.
 */
export function putUnderSuspicion(run: Run, input: SequenceInput): Run {
  const kept = copyOf({ run, input })
  const after = put(run, input)
  deepStrictEqual(put(run, input), after, 'the core answers the same question differently')
  storyOf(after.changes)
  deepStrictEqual({ run, input }, kept, 'the core mutated what it was given')
  deepStrictEqual(fold(after.changes), after.state, 'the fold of all changes is not the state that lived through them')
  deepStrictEqual(fold(copyOf(after.changes)), after.state, 'folding twice differs')
  return after
}

/** The story of a sequence: one sentence per event. */
export function storyOf(changes: readonly Change[]): readonly string[] {
  let state = notStarted
  return changes.flatMap(({ recordedAt, events }) =>
    events.map((event) => {
      const why = explain(state, event, recordedAt)
      ok(/^[A-Z].*\.$/.test(why) && !/undefined|NaN|null|Infinity/.test(why), `no sentence for people: ${why}`)
      state = evolve(state, event, recordedAt)
      return why
    }),
  )
}

/** A deep copy of plain data. (`structuredClone` makes objects of another realm under Jest, which never equal ours strictly.) */
function copyOf<T>(data: T): T {
  if (typeof data !== 'object' || data === null) return data
  if (Array.isArray(data)) return data.map(copyOf) as T
  return Object.fromEntries(Object.entries(data).map(([field, value]) => [field, copyOf(value)])) as T
}

/** Lets things happen, one after another, each in a change of its own. */
export const live = (run: Run, ...happenings: readonly Happening[]): Run =>
  happenings.reduce((sofar, happening) => putUnderSuspicion(sofar, happening(sofar)), run)

// ── What happens: inputs ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Something that happens to a sequence, at the run's present time unless {@link at} says otherwise. */
export type Happening = (run: Run) => SequenceInput

/** A step that waits: `step('viewed', 5, 'in_app')`. */
export const step = (stopCondition: StopCondition, waitMinutes: number, ...channels: readonly ChannelType[]): SequenceStep => ({
  channels,
  stopCondition,
  windowMs: waitMinutes * minute,
})

/** The terminal step: `last('push')`. */
export const last = (...channels: readonly ChannelType[]): SequenceStep => ({ channels, stopCondition: null, windowMs: null })

/** A sequence of these steps starts. */
export const startedWith =
  (steps: readonly SequenceStep[], rules: Partial<StartInput> = {}): Happening =>
  ({ now }) => ({
    type: 'start',
    now,
    steps,
    onFailure: 'advance',
    lateSignal: 'stop',
    dispatchTtlMs: dispatchTtlMinutes * minute,
    tag: null,
    source: 'http',
    requestedAt: null,
    cancelled: false,
    quietUntil: null,
    ...rules,
  })

/** The two steps of the engine's table: in-app (viewed, 5), then push. */
export const twoSteps: readonly SequenceStep[] = [step('viewed', 5, 'in_app'), last('push')]

/** A sequence of {@link twoSteps} starts. */
export const started: Happening = startedWith(twoSteps)

const engagement =
  (kind: EngagementKind) =>
  (stepNumber: number, channel?: ChannelType, reason: string | null = null): Happening =>
  (run) => ({ ...reportOf(run, stepNumber, kind, channel, reason), type: 'engagement', now: run.now, quietUntil: null })

/** `requested(1)`, or `requested(2, 'sms')` where the step has several channels. */
export const requested = engagement('requested')
export const delivered = engagement('delivered')
export const viewed = engagement('viewed')
export const clicked = engagement('clicked')
export const failed = engagement('failed')
export const skipped = engagement('skipped')
export const unknown = engagement('unknown')

/** A cancel comes in. */
export const cancelled: Happening = ({ now }) => ({ type: 'cancel', now })

/** A timer fires now, due or not. */
export const timer: Happening = ({ now }) => ({ type: 'timer', now, note: null, quietUntil: null })

/** What holds deferred messages back may have changed. */
export const reconsidered: Happening = ({ now }) => ({ type: 'reconsider', now, quietUntil: null })

/** The step's live timer comes due: its window elapses, its dispatcher's silence is taken for good, its wait or its deferral ends. */
export const elapsed =
  (stepNumber: number): Happening =>
  ({ now, state }) => {
    const live = timerOf(state)
    strictEqual(live?.step, stepNumber, `step ${stepNumber} has no timer`)
    return { type: 'timer', now: Math.max(now, live.dueAt), note: null, quietUntil: null }
  }

/** The same at a given minute after the start. */
export const at =
  (minutes: number, happening: Happening): Happening =>
  (run) =>
    happening({ ...run, now: minuteAt(minutes) })

/** The same during quiet hours that end at that minute. */
export const quietUntil =
  (minutes: number, happening: Happening): Happening =>
  (run) => {
    const input = happening(run)
    return input.type === 'cancel' ? input : { ...input, quietUntil: minuteAt(minutes) }
  }

/** The same report, of something that happened at that minute. */
export const occurredAt =
  (minutes: number, happening: Happening): Happening =>
  (run) => {
    const input = happening(run)
    return input.type === 'engagement' ? { ...input, occurredAt: minuteAt(minutes) } : input
  }

/** The same timer, fired although reports were still waiting. */
export const receiptsBehind =
  (happening: Happening): Happening =>
  (run) => {
    const input = happening(run)
    return input.type === 'timer' ? { ...input, note: 'receipts_behind' } : input
  }

type Report = Omit<EngagementInput, 'type' | 'now' | 'quietUntil'>

function reportOf(run: Run, stepNumber: number, kind: EngagementKind, channel: ChannelType | undefined, reason: string | null): Report {
  const planned = run.state.status === 'notStarted' ? undefined : run.state.plan.steps[stepNumber - 1]
  const channelType = channel ?? planned?.channels[0] ?? 'in_app'
  const messageId = `${sequenceId}.${stepNumber}.${channelType}`
  const occurredAt = run.now
  return { messageId, step: stepNumber, channelType, kind, occurredAt, source: 'test', reason, providerMessageId: null, detail: {} }
}

// ── What is expected: facts ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A fact expected of what happened last. */
export type Fact = (run: Run) => SequenceEvent

/** Channels of the step were commanded, to be answered within the dispatch deadline. */
export const commanded =
  (stepNumber: number, ...channels: readonly ChannelType[]): Fact =>
  ({ now }) => ({ type: 'StepCommanded', step: stepNumber, channels, commandedAt: now, expiresAt: now + dispatchTtlMinutes * minute })

/** Channels of the step wait for that minute. */
export const deferred =
  (stepNumber: number, untilMinute: number, ...channels: readonly ChannelType[]): Fact =>
  () => ({ type: 'StepDeferred', step: stepNumber, channels, until: minuteAt(untilMinute), reason: 'quiet_hours' })

/** The report was recorded. */
export const recorded =
  (stepNumber: number, kind: EngagementKind, changed: Partial<EngagementRecorded> = {}): Fact =>
  (run) => ({
    type: 'EngagementRecorded',
    ...reportOf(run, stepNumber, kind, changed.channelType as ChannelType | undefined, null),
    ...changed,
  })

/** The step is over. */
export const ended =
  (stepNumber: number, reason: StepEndReason, engagementKind: EngagementKind | null = null, note: string | null = null): Fact =>
  () => ({ type: 'StepEnded', step: stepNumber, reason, engagement: engagementKind, note })

/** Later steps turned out not to have been needed. */
export const regretted =
  (stepNumber: number, laterSteps: readonly number[], kind: EngagementKind, lateByMinutes: number): Fact =>
  () => ({ type: 'EscalationRegretted', step: stepNumber, laterSteps, kind, lateByMs: lateByMinutes * minute })

/** The sequence is over. */
export const over =
  (outcome: SequenceOutcome, stepNumber: number | null = null, engagementKind: EngagementKind | null = null): Fact =>
  () => ({ type: 'SequenceEnded', outcome, step: stepNumber, engagement: engagementKind })

// ── Given, when, then ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a test may ask of the run after `when`. */
export interface Then {
  /** Exactly these facts, in this order. */
  readonly then: (...facts: readonly Fact[]) => void
  /** Nothing new. */
  readonly thenNothing: () => void
  /** The last input was refused. */
  readonly thenRefused: (reason: Refusal['reason']) => void
  /** The whole run, for further questions. */
  readonly run: Run
}

/** `given(started, requested(1)).when(elapsed(1)).then(ended(1, 'waitElapsed'), commanded(2, 'push'))`. */
export function given(...past: readonly Happening[]): { readonly when: (...happenings: readonly Happening[]) => Then } {
  const before = live(nothingYet, ...past)
  strictEqual(before.refusals.length, 0, 'what is given must have been accepted')
  return {
    when: (...happenings) => {
      const run = live(before, ...happenings)
      const happened = run.changes.slice(before.changes.length).flatMap(({ events }) => events)
      return {
        run,
        then: (...facts) =>
          deepStrictEqual(
            happened,
            facts.map((fact) => fact(run)),
          ),
        thenNothing: () => deepStrictEqual({ happened, refusals: run.refusals }, { happened: [], refusals: [] }),
        thenRefused: (reason) => deepStrictEqual({ happened, refused: run.refusals.at(-1)?.reason }, { happened: [], refused: reason }),
      }
    },
  }
}

// ── The notation of the engine's table ──────────────────────────────────────────────────────────────────────────────────────

/**
 * The changes as the engine's table writes them: `St` started, `C` commanded, `D` deferred, `E` engagement, `X` step ended, `G` regretted,
 * `Z` ended, `|` next change. Channels are named where only some of the step are meant.
 */
export function trace(changes: readonly Change[]): string {
  const first = changes[0]?.events[0]
  const steps = first?.type === 'SequenceStarted' ? first.steps : []
  const some = (stepNumber: number, channels: readonly string[]): string =>
    channels.length === steps[stepNumber - 1]?.channels.length ? `${stepNumber}` : `${stepNumber}.${channels.join('+')}`
  const note = (event: SequenceEvent): string => {
    switch (event.type) {
      case 'SequenceStarted':
        return 'St'
      case 'StepCommanded':
        return `C(${some(event.step, event.channels)})`
      case 'StepDeferred':
        return `D(${some(event.step, event.channels)})`
      case 'EngagementRecorded':
        return `E(${some(event.step, [event.channelType])} ${event.kind}${event.reason === null ? '' : `: ${event.reason}`})`
      case 'StepEnded':
        return `X(${event.step} ${event.reason})`
      case 'EscalationRegretted':
        return `G(${event.step}→${event.laterSteps.join('+')})`
      case 'SequenceEnded':
        return `Z(${event.outcome}${event.step === null ? '' : ` ${event.step}`})`
    }
  }
  return changes.map(({ events }) => events.map(note).join(' ')).join(' | ')
}

/** The trace of a sequence that lived through all this. */
export const traceOf = (...happenings: readonly Happening[]): string => trace(live(nothingYet, ...happenings).changes)
