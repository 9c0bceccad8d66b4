// Why it happened, in one plain sentence per fact, for the story of a sequence: from the facts alone, naming the inputs they saw.
import type {
  EngagementKind,
  EngagementRecorded,
  SequenceEnded,
  SequenceStarted,
  StepCommanded,
  StepDeferred,
  StepEnded,
} from '@stepcast/contracts'
import { failure } from './failure'
import { isPossiblySent, isTakenBack, meets, report, reportedOf, silenceGraceMs, trustedAt } from './message'
import type { Ended, EnteredStep, Message, Plan, Running, Sequence, SequenceEvent } from './sequence'
import { conditionOf, windowOf } from './step'
import { capital, channelName, duration, list } from './words'

/**
 * One sentence that says why the event was recorded.
 *
 * @param state the sequence before the event, so that the sentence can only name what the decision saw.
 * @param recordedAt of the change that holds the event, milliseconds since the epoch.
 */
export function explain(state: Sequence, event: SequenceEvent, recordedAt: number): string {
  if (event.type === 'SequenceStarted') return whyStarted(event, recordedAt)
  if (state.status === 'notStarted') throw failure(`${event.type} before SequenceStarted`)
  switch (event.type) {
    case 'StepCommanded':
      return whyCommanded(state, event)
    case 'StepDeferred':
      return whyDeferred(state, event, recordedAt)
    case 'EngagementRecorded':
      return whatItMeans(state, event, recordedAt)
    case 'StepEnded':
      return whyStepEnded(state, event, recordedAt)
    case 'EscalationRegretted':
      return (
        `${capital(event.kind)} came ${duration(event.lateByMs)} after step ${event.step} had ended, ` +
        `when ${stepNumbers(event.laterSteps)} had already been commanded or sent: the escalation was not needed.`
      )
    case 'SequenceEnded':
      return whySequenceEnded(state, event)
  }
}

// ── Start and steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function whyStarted({ steps, source, requestedAt, tag }: SequenceStarted, recordedAt: number): string {
  const delay = requestedAt === null || requestedAt >= recordedAt ? '' : ` ${duration(recordedAt - requestedAt)} ago`
  const asked = `Asked for by ${source}${delay}${tag === null ? '' : ` with the tag ${tag}`}`
  const planned = steps.map(
    ({ channels, stopCondition, windowMs }) =>
      channelList(channels) + (stopCondition === null || windowMs === null ? '' : ` (${stopCondition} within ${duration(windowMs)})`),
  )
  return `${asked}: ${planned.length === 0 ? 'there are no steps' : planned.join(', then ')}.`
}

function whyCommanded(state: Running | Ended, { step, channels, commandedAt, expiresAt }: StepCommanded): string {
  const entered = state.entered[step - 1]
  const isEarly = entered?.messages.some(
    (message) => message.standing === 'deferred' && channels.includes(message.channelType) && message.until > commandedAt,
  )
  const why =
    entered === undefined
      ? whyEntered(state, step)
      : isEarly
        ? 'Quiet hours have changed since and hold nothing back now'
        : 'Quiet hours are over'
  const were = channels.length === 1 ? 'was' : 'were'
  return `${why}: ${channelList(channels)} ${were} commanded, to be answered within ${duration(expiresAt - commandedAt)}.`
}

function whyDeferred(state: Running | Ended, { step, channels, until, reason }: StepDeferred, recordedAt: number): string {
  const entered = state.entered[step - 1]
  const why = reason === 'quiet_hours' ? 'quiet hours' : reason
  const held = `${why} hold ${channelList(channels)} of step ${step} back for ${duration(until - recordedAt)}`
  if (entered === undefined) return `${whyEntered(state, step)}, but ${held}.`
  const waiting = entered.messages.filter((message) => message.standing === 'deferred' && channels.includes(message.channelType))
  if (waiting.some((message) => message.standing === 'deferred' && message.until > until))
    return `Quiet hours have changed since and end earlier: they hold ${channelList(channels)} of step ${step} back for ${duration(until - recordedAt)}.`
  return waiting.length > 0 ? `Asked again: ${held} more.` : `The rest of the step goes on, but ${held}.`
}

function whyEntered(state: Running | Ended, step: number): string {
  if (step === 1) return 'The first step fires at once'
  return `Step ${step} follows because step ${step - 1} ended ${state.entered[step - 2]?.ended?.reason ?? 'before'}`
}

// ── Engagements ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function whatItMeans(state: Running | Ended, event: EngagementRecorded, recordedAt: number): string {
  const { step, kind, channelType, occurredAt, reason, source } = event
  const entered = state.entered[step - 1]
  const message = entered?.messages.find((candidate) => candidate.channelType === channelType)
  if (entered === undefined || message === undefined || message.standing === 'deferred') {
    throw failure(`${event.messageId} was never commanded`)
  }
  const at = trustedAt(message.commandedAt, occurredAt, recordedAt)
  const when = recordedAt - at < 1_000 ? '' : ` ${duration(recordedAt - at)} ago`
  const named = `${capital(channelName(channelType))} of step ${step}`
  const fact = `${named} ${verbOf(kind)}${when}${reason === null ? '' : ` (${reason})`}, as ${source} reported`
  return `${fact}: ${consequenceOf(state, entered, message, report(message, kind, at), kind, recordedAt)}.`
}

function consequenceOf(
  state: Running | Ended,
  step: EnteredStep,
  before: Message,
  after: Message,
  kind: EngagementKind,
  recordedAt: number,
): string {
  const condition = conditionOf(state.plan, step.step)
  if (state.status === 'ended') return `the sequence had already ended ${state.outcome}, so it only counts`
  if (meets(kind, condition)) {
    const met = kind === condition ? `that meets the stop condition ${condition}` : `${kind} meets the stop condition ${condition}, too`
    if (step.ended === null) return met
    const late = `${met}, but ${duration(recordedAt - step.ended.recordedAt)} after the step ended ${step.ended.reason}`
    return state.plan.lateSignal === 'stop' ? late : `${late}, and late signals are ignored here`
  }
  if (step.ended !== null) return `the step had already ended ${step.ended.reason}, so it only counts`
  switch (after.standing) {
    case 'failed':
    case 'skipped':
      if (before.standing === after.standing) return `the message had been closed as ${after.standing}, so it only counts`
      return 'it can no longer engage'
    case 'expired':
      return 'its dispatcher had been silent for too long, so it only counts'
    case 'deferred':
    case 'open':
    case 'sent':
  }
  const windowMs = windowOf(state.plan, step.step)
  if (windowMs === null) return 'the last step has no stop condition to wait for'
  if (step.windowStartedAt === null) return `that starts the window of ${duration(windowMs)} for ${condition}`
  return `the step still waits for ${condition}`
}

/** The fact in words; `requested` is the provider's yes, not the person's. */
function verbOf(kind: EngagementKind): string {
  switch (kind) {
    case 'requested':
      return 'was accepted (requested)'
    case 'unknown':
      return 'was possibly sent (unknown)'
    case 'failed':
      return 'failed'
    case 'delivered':
    case 'viewed':
    case 'clicked':
    case 'skipped':
      return `was ${kind}`
  }
}

// ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function whyStepEnded(state: Running | Ended, event: StepEnded, recordedAt: number): string {
  const step = state.entered[event.step - 1]
  if (step === undefined) throw failure(`step ${event.step} was never entered`)
  const note = event.note === 'receipts_behind' ? ', although reports were still waiting to be read' : ''
  return `${endOf(state, step, event, recordedAt)}${leftOver(step.messages, event)}${note}.`
}

function endOf({ plan, entered }: Running | Ended, step: EnteredStep, { reason, engagement }: StepEnded, recordedAt: number): string {
  const windowMs = windowOf(plan, step.step)
  const condition = conditionOf(plan, step.step)
  switch (reason) {
    case 'stopped': {
      const into =
        step.windowStartedAt === null || windowMs === null
          ? 'before its window began'
          : `${duration(recordedAt - step.windowStartedAt)} after its window of ${duration(windowMs)} began`
      return `${capital(engagement ?? 'an engagement')} came in ${into} and met the stop condition ${condition}`
    }
    case 'waitElapsed': {
      const lateMs = step.windowStartedAt === null || windowMs === null ? 0 : recordedAt - step.windowStartedAt - windowMs
      const decided = lateMs < 1_000 ? '' : ` (decided ${duration(lateMs)} after its end)`
      return `The window of ${duration(windowMs ?? 0)} elapsed${decided} without ${condition}`
    }
    case 'failed':
    case 'expired':
    case 'skipped': {
      const waits = plan.onFailure === 'wait' && reason !== 'skipped' && windowMs !== null
      const waited = waits ? `, and the wait of ${duration(windowMs)} after that is over` : ''
      return `No message of the step can engage any more: ${standings(step.messages)}${waited}`
    }
    case 'completed':
      return `The last step is over, its outcome being known on every channel: ${standings(step.messages)}`
    case 'superseded':
      return `Step ${lateStep(plan, entered, step.step)} met its stop condition late, so step ${step.step} is no longer needed`
    case 'cancelled':
      return `A cancel came in while step ${step.step} was under way`
  }
}

/** The earlier step whose condition was reported: the one that superseded this. */
const lateStep = (plan: Plan, entered: readonly EnteredStep[], before: number): number | string =>
  entered.find(
    ({ step, messages }) =>
      step < before && messages.some((message) => reportedOf(message).some((kind) => meets(kind, conditionOf(plan, step)))),
  )?.step ?? 'before'

/** What becomes of messages that the end of the step leaves unanswered. */
function leftOver(messages: readonly Message[], { reason }: StepEnded): string {
  if (reason === 'failed' || reason === 'expired' || reason === 'skipped' || reason === 'completed') return ''
  const named = (standing: Message['standing']): readonly string[] =>
    messages.filter((message) => message.standing === standing).map((message) => message.channelType)
  const open = named('open')
  const possiblySent = messages
    .filter((message) => isPossiblySent(message) && isTakenBack(message, reason))
    .map((message) => message.channelType)
  const deferred = named('deferred')
  return [
    open.length === 0 ? '' : `; ${channelList(open)}, still unanswered, ${open.length === 1 ? 'is' : 'are'} withdrawn`,
    possiblySent.length === 0
      ? ''
      : `; ${channelList(possiblySent)}, possibly sent, ${possiblySent.length === 1 ? 'is' : 'are'} not sent again`,
    deferred.length === 0 ? '' : `; ${channelList(deferred)}, held back by quiet hours, ${deferred.length === 1 ? 'is' : 'are'} never sent`,
  ].join('')
}

const standings = (messages: readonly Message[]): string =>
  list(
    messages.map((message) => {
      const name = channelName(message.channelType)
      switch (message.standing) {
        case 'open':
        case 'expired':
          return `${name} stayed silent until ${duration(silenceGraceMs)} after its deadline`
        case 'failed':
          return `${name} failed`
        case 'skipped':
        case 'sent':
          return `${name} was ${message.standing}`
        case 'deferred':
          return `${name} was held back by quiet hours`
      }
    }),
  )

function whySequenceEnded({ entered }: Running | Ended, { outcome, step, engagement }: SequenceEnded): string {
  switch (outcome) {
    case 'stopped':
      return `Step ${step} met its stop condition by ${engagement}: the message has done its job, and nothing more is sent.`
    case 'exhausted':
      return 'The last step is over and at least one message was sent, but no stop condition was met.'
    case 'unreachable':
      return 'The last step is over and not one message was ever sent on any step.'
    case 'cancelled':
      return entered.length === 0
        ? 'A cancel was recorded before the sequence started, so it entered no step.'
        : 'A cancel was recorded: no step is commanded any more.'
  }
}

const channelList = (channels: readonly string[]): string => list(channels.map(channelName))

const stepNumbers = (steps: readonly number[]): string => `${steps.length === 1 ? 'step' : 'steps'} ${list(steps.map(String))}`
