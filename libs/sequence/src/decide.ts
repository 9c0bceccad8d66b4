// What happens next: the rules of the product, from the start of a sequence to its end. Every decision is a pure answer to one input.
import type {
  EngagementKind,
  EngagementRecorded,
  EscalationRegretted,
  SequenceEnded,
  SequenceOutcome,
  StepEnded,
  StepEndReason,
} from '@stepcast/contracts'
import { record } from './evolve'
import { failure } from './failure'
import { channelTypeOf, isAwaited, meets, reportedOf, wasSent } from './message'
import type {
  Decision,
  Ended,
  EngagementInput,
  Plan,
  ReconsiderInput,
  Refusal,
  Running,
  Sequence,
  SequenceEvent,
  SequenceInput,
  StartInput,
  TimerInput,
} from './sequence'
import { anySent, conditionOf, currentStep, endingOf, isTerminal, planOf } from './step'

const nothingNew: readonly SequenceEvent[] = []

/**
 * The facts that an input makes of a sequence, in the order in which they are to be recorded.
 *
 * Within one decision: EngagementRecorded, EscalationRegretted, StepEnded, then the next step's commands or SequenceEnded.
 * Several inputs of one turn are decided one after another, each against the fold of what came before, all with the same `now`.
 *
 * @returns no events when the input says nothing new (a duplicate, a stale timer); a refusal when it cannot be for this sequence.
 * @throws only when the caller is wrong, e.g. starts a step without channels.
 */
export function decide(state: Sequence, input: SequenceInput): Decision {
  switch (input.type) {
    case 'start':
      return state.status === 'notStarted' ? start(input) : nothingNew
    case 'engagement':
      return state.status === 'notStarted' ? refused('not_started', `${input.messageId} came before its send`) : engage(state, input)
    case 'timer':
      return state.status === 'running' ? fire(state, input) : nothingNew
    case 'reconsider':
      return state.status === 'running' ? reconsider(state, input) : nothingNew
    case 'cancel':
      return state.status === 'running' ? cancel(state) : nothingNew
  }
}

const refused = (reason: Refusal['reason'], detail: string): Refusal => ({ type: 'refused', reason, detail })

// ── Start and cancel ────────────────────────────────────────────────────────────────────────────────────────────────────────

function start(input: StartInput): readonly SequenceEvent[] {
  const { now, steps, onFailure, lateSignal, dispatchTtlMs, tag, source, requestedAt, quietUntil } = input
  const plan: Plan = { steps, onFailure, lateSignal, dispatchTtlMs }
  checkPlan(plan)
  const started: SequenceEvent = { type: 'SequenceStarted', steps, onFailure, lateSignal, tag, source, requestedAt, dispatchTtlMs }
  if (input.cancelled) return [started, sequenceEnded('cancelled')]
  // A sequence without steps has nobody to reach. Templates never have none; ending here keeps even that from hanging.
  if (steps.length === 0) return [started, sequenceEnded('unreachable')]
  return [started, ...enter(plan, 1, now, quietUntil)]
}

function checkPlan(plan: Plan): void {
  plan.steps.forEach(({ channels, stopCondition, windowMs }, index) => {
    const step = index + 1
    if (channels.length === 0 || new Set(channels).size < channels.length) throw failure(`step ${step} needs channels, each once`)
    channels.forEach(channelTypeOf)
    if (isTerminal(plan, step)) return
    if (stopCondition === null || windowMs === null) throw failure(`step ${step} needs a stop condition and a wait window`)
  })
}

function cancel(state: Running): readonly SequenceEvent[] {
  return [stepEnded(state.step, 'cancelled'), sequenceEnded('cancelled')]
}

// ── Engagements ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function engage(state: Running | Ended, input: EngagementInput): Decision {
  const { now, messageId, step, channelType, kind, occurredAt, source, reason, providerMessageId, detail } = input
  const planned = state.plan.steps[step - 1]
  if (planned?.channels.includes(channelType) === false) return refused('unknown_channel', `step ${step} has no channel ${channelType}`)
  const message = state.entered[step - 1]?.messages.find((candidate) => candidate.channelType === channelType)
  if (message === undefined || message.standing === 'deferred') return refused('step_never_commanded', `${messageId} was never commanded`)
  if (reportedOf(message).includes(kind)) return nothingNew

  const recorded: EngagementRecorded = {
    type: 'EngagementRecorded',
    messageId,
    step,
    channelType,
    kind,
    occurredAt,
    source,
    reason,
    providerMessageId,
    detail,
  }
  const after = record(state, recorded, now)
  if (step < after.entered.length) return [recorded, ...lateSignal(after, input)]
  return after.status === 'running' ? [recorded, ...onCurrentStep(after, input)] : [recorded]
}

/**
 * The current step stops by its condition, before and after any answer (rules 4, 27), or ends when the last answer is there
 * (rules 9, 11, 19, 26).
 */
function onCurrentStep(state: Running, { now, step, kind, quietUntil }: EngagementInput): readonly SequenceEvent[] {
  if (meets(kind, conditionOf(state.plan, step))) return [stepEnded(step, 'stopped', kind), sequenceEnded('stopped', step, kind)]
  const current = currentStep(state)
  const ending = current === null ? null : endingOf(state.plan, current)
  // An ending with a time, even one gone by, is the timer's: the report of another channel may be next in line (rule 20).
  return ending === null || ending.dueAt !== null ? nothingNew : endStep(state, ending.reason, null, now, quietUntil)
}

/** An earlier step's condition came in after that step had ended (rules 4, 5). */
function lateSignal(state: Running | Ended, { now, step, kind }: EngagementInput): readonly SequenceEvent[] {
  if (!meets(kind, conditionOf(state.plan, step))) return nothingNew
  const regret = regretOf(state, step, kind, now)
  const stops = state.status === 'running' && state.plan.lateSignal === 'stop'
  return [...regret, ...(stops ? [stepEnded(state.step, 'superseded'), sequenceEnded('stopped', step, kind)] : [])]
}

/** At most one regret per step. A later step that is only deferred, or was skipped, reached nobody: nothing to regret. */
function regretOf(state: Running | Ended, step: number, kind: EngagementKind, now: number): readonly EscalationRegretted[] {
  const late = state.entered[step - 1]
  if (late === undefined || late.ended === null || late.regretted) return []
  const laterSteps = state.entered
    .slice(step)
    .filter((later) => later.messages.some((message) => wasSent(message) || isAwaited(message, now)))
    .map((later) => later.step)
  return laterSteps.length === 0 ? [] : [{ type: 'EscalationRegretted', step, laterSteps, kind, lateByMs: now - late.ended.recordedAt }]
}

// ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function fire(state: Running, { now, note, quietUntil }: TimerInput): readonly SequenceEvent[] {
  const current = currentStep(state)
  if (current === null) return nothingNew
  // The end of the step comes first, also where a deferral fell due before it: nobody is texted only to be withdrawn.
  const ending = endingOf(state.plan, current)
  if (ending !== null && (ending.dueAt ?? now) <= now) return endStep(state, ending.reason, note, now, quietUntil)
  const due = current.messages.filter((message) => message.standing === 'deferred' && message.until <= now)
  return commandOrDefer(
    state.plan,
    state.step,
    due.map((message) => message.channelType),
    now,
    quietUntil,
  )
}

/**
 * Quiet hours were taken away or changed while messages waited for their end: those wait no longer than they would if they were held back
 * now. Never longer either: who sleeps longer than before is asked again at the old end.
 */
function reconsider(state: Running, { now, quietUntil }: ReconsiderInput): readonly SequenceEvent[] {
  const current = currentStep(state)
  if (current === null) return nothingNew
  const ending = endingOf(state.plan, current)
  // The step is about to end by its timer: what waits is not wanted any more.
  if (ending !== null && (ending.dueAt ?? now) <= now) return nothingNew
  const longer = current.messages.filter((message) => message.standing === 'deferred' && message.until > Math.max(now, quietUntil ?? now))
  return commandOrDefer(
    state.plan,
    state.step,
    longer.map((message) => message.channelType),
    now,
    quietUntil,
  )
}

// ── From step to step ───────────────────────────────────────────────────────────────────────────────────────────────────────

function endStep(
  state: Running,
  reason: StepEndReason,
  note: string | null,
  now: number,
  quietUntil: number | null,
): readonly SequenceEvent[] {
  const ended = stepEnded(state.step, reason, null, note)
  if (isTerminal(state.plan, state.step)) return [ended, sequenceEnded(anySent(state.entered) ? 'exhausted' : 'unreachable')]
  return [ended, ...enter(state.plan, state.step + 1, now, quietUntil)]
}

const enter = (plan: Plan, step: number, now: number, quietUntil: number | null): readonly SequenceEvent[] =>
  commandOrDefer(plan, step, planOf(plan, step).channels, now, quietUntil)

/** Commands what may go now and defers what quiet hours hold back. The feed disturbs nobody: in-app is exempt (rule 21). */
function commandOrDefer(
  plan: Plan,
  step: number,
  channels: readonly string[],
  now: number,
  quietUntil: number | null,
): readonly SequenceEvent[] {
  const until = quietUntil !== null && quietUntil > now ? quietUntil : null
  const allowed = until === null ? channels : channels.filter((channel) => channel === 'in_app')
  const deferred = until === null ? [] : channels.filter((channel) => channel !== 'in_app')
  const events: SequenceEvent[] = []
  const expiresAt = now + plan.dispatchTtlMs
  if (allowed.length > 0) events.push({ type: 'StepCommanded', step, channels: allowed, commandedAt: now, expiresAt })
  if (until !== null && deferred.length > 0) events.push({ type: 'StepDeferred', step, channels: deferred, until, reason: 'quiet_hours' })
  return events
}

const stepEnded = (
  step: number,
  reason: StepEndReason,
  engagement: EngagementKind | null = null,
  note: string | null = null,
): StepEnded => ({ type: 'StepEnded', step, reason, engagement, note })

/** `step` and `engagement` say what stopped it; for any other outcome there is nothing to say. */
const sequenceEnded = (outcome: SequenceOutcome, step: number | null = null, engagement: EngagementKind | null = null): SequenceEnded => ({
  type: 'SequenceEnded',
  outcome,
  step,
  engagement,
})
