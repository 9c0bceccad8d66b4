// What becomes true by each fact. Copies only what a fact changes: this runs for every event of every sequence, again after each restart.
import type { ChannelType, EngagementRecorded, StepCommanded, StepDeferred } from '@stepcast/contracts'
import { failure } from './failure'
import { channelTypeOf, report, trustedAt } from './message'
import { notStarted } from './sequence'
import type { Change, Ended, EnteredStep, Message, Running, Sequence, SequenceEvent } from './sequence'

/** What `dispatchTtlMinutes` is where nobody said: 60 minutes. Events recorded before the field existed mean this. */
const defaultDispatchTtlMs = 60 * 60_000

/**
 * The sequence after one more fact.
 *
 * @param recordedAt of the change that holds the event, milliseconds since the epoch.
 * @throws when the event cannot follow what was folded so far: the log is damaged or the caller wrong.
 */
export function evolve(state: Sequence, event: SequenceEvent, recordedAt: number): Sequence {
  if (event.type === 'SequenceStarted') {
    if (state.status !== 'notStarted') throw failure('a sequence starts once')
    const { steps, onFailure, lateSignal } = event
    const dispatchTtlMs = event.dispatchTtlMs ?? defaultDispatchTtlMs
    return { status: 'running', plan: { steps, onFailure, lateSignal, dispatchTtlMs }, step: 0, entered: [] }
  }
  if (state.status === 'notStarted') throw failure(`${event.type} before SequenceStarted`)

  switch (event.type) {
    case 'EngagementRecorded':
      return record(state, event, recordedAt)
    case 'EscalationRegretted':
      return withStep(state, event.step, (step) => ({ ...step, regretted: true }))
    case 'StepCommanded': {
      const { commandedAt, expiresAt } = event
      return enter(mustRun(state, event), event, (channelType) => ({ standing: 'open', channelType, commandedAt, expiresAt }))
    }
    case 'StepDeferred':
      return enter(mustRun(state, event), event, (channelType) => ({ standing: 'deferred', channelType, until: event.until }))
    case 'StepEnded': {
      const { step, reason } = event
      if (mustRun(state, event).step !== step) throw failure(`step ${step} ended while another was the current one`)
      return withStep(state, step, (current) => ({ ...current, ended: { reason, recordedAt } }))
    }
    case 'SequenceEnded': {
      const { plan, entered } = mustRun(state, event)
      return { status: 'ended', plan, outcome: event.outcome, step: event.step, engagement: event.engagement, entered }
    }
  }
}

/** The sequence that all these changes made; equal to the state that lived through them. */
export function fold(changes: Iterable<Change>): Sequence {
  let state = notStarted
  for (const { recordedAt, events } of changes) for (const event of events) state = evolve(state, event, recordedAt)
  return state
}

/** The sequence after one more report of a message, running or ended: the one fact that leaves its status alone. */
export function record<S extends Running | Ended>(state: S, event: EngagementRecorded, recordedAt: number): S {
  return withStep(state, event.step, (step) => {
    const index = step.messages.findIndex((message) => message.channelType === event.channelType)
    const before = step.messages[index]
    if (before === undefined || before.standing === 'deferred') throw failure(`${event.messageId} was never commanded`)
    const at = trustedAt(before.commandedAt, event.occurredAt, recordedAt)
    const after = report(before, event.kind, at)
    const startsWindow = step.windowStartedAt === null && step.ended === null && after.standing === 'sent'
    return { ...step, messages: step.messages.with(index, after), windowStartedAt: startsWindow ? at : step.windowStartedAt }
  })
}

/** After the end only EngagementRecorded and EscalationRegretted may follow. */
function mustRun(state: Running | Ended, event: SequenceEvent): Running {
  if (state.status !== 'running') throw failure(`${event.type} after SequenceEnded`)
  return state
}

function withStep<S extends Running | Ended>(state: S, step: number, change: (step: EnteredStep) => EnteredStep): S {
  const before = state.entered[step - 1]
  if (before === undefined) throw failure(`step ${step} was never entered`)
  return { ...state, entered: state.entered.with(step - 1, change(before)) }
}

/** The messages of some channels of the step become deferred or commanded; the first of them enters the step. */
function enter(state: Running, event: StepCommanded | StepDeferred, become: (channelType: ChannelType) => Message): Running {
  const messages = event.channels.map((channel) => become(channelTypeOf(channel)))
  const before = state.entered[event.step - 1]
  if (before !== undefined) {
    if (before.ended !== null) throw failure(`${event.type} for step ${event.step}, which has ended`)
    const others = before.messages.filter((message) => !event.channels.includes(message.channelType))
    return withStep(state, event.step, (step) => ({ ...step, messages: [...others, ...messages] }))
  }
  const left = state.entered.at(-1)
  if (event.step !== state.step + 1 || left?.ended === null) throw failure(`step ${event.step} was entered out of turn`)
  const step: EnteredStep = { step: event.step, messages, windowStartedAt: null, ended: null, regretted: false }
  return { ...state, step: event.step, entered: [...state.entered, step] }
}
