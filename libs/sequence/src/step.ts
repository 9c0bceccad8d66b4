// One step: when and how it ends if nothing more is reported. Deciding, timers and explanations all ask here.
import type { SequenceStep, StopCondition } from '@stepcast/contracts'
import { failure } from './failure'
import { silentAt, wasSent } from './message'
import type { EnteredStep, Message, Plan, Running } from './sequence'

/** The plan of step n. */
export function planOf(plan: Plan, step: number): SequenceStep {
  const planned = plan.steps[step - 1]
  if (planned === undefined) throw failure(`there is no step ${step} of ${plan.steps.length}`)
  return planned
}

/** Whether step n is the last. */
export const isTerminal = (plan: Plan, step: number): boolean => step === plan.steps.length

/** The engagement that ends the sequence at step n; null on the terminal step. */
export const conditionOf = (plan: Plan, step: number): StopCondition | null =>
  isTerminal(plan, step) ? null : planOf(plan, step).stopCondition

/** The wait window of step n in milliseconds; null on the terminal step. */
export const windowOf = (plan: Plan, step: number): number | null => (isTerminal(plan, step) ? null : planOf(plan, step).windowMs)

/** The step under way; null only in the middle of a change, before the first step or between two. */
export function currentStep(state: Running): EnteredStep | null {
  const step = state.entered[state.step - 1]
  return step === undefined || step.ended !== null ? null : step
}

/** Whether a message of any of these steps ever left for the user. */
export const anySent = (steps: readonly EnteredStep[]): boolean => steps.some((step) => step.messages.some(wasSent))

/** How a step ends if nothing more is reported: as soon as what is known is recorded, or at a time to come. */
export type Ending = {
  readonly reason: 'waitElapsed' | 'completed' | 'failed' | 'expired' | 'skipped'
  /** Milliseconds since the epoch; null: now, because every answer is there. */
  readonly dueAt: number | null
}

/** How and when the step ends if nothing more is reported; null while it cannot be known, because a message is deferred. */
export function endingOf(plan: Plan, step: EnteredStep): Ending | null {
  const elapsing = elapsingOf(plan, step)
  const closing = closingOf(plan, step)
  if (elapsing === null || closing === null) return elapsing ?? closing
  return closing.dueAt === null || closing.dueAt < elapsing.dueAt ? closing : elapsing
}

/** The window that runs out, once a message was sent. */
function elapsingOf(plan: Plan, step: EnteredStep): { readonly reason: 'waitElapsed'; readonly dueAt: number } | null {
  const windowMs = windowOf(plan, step.step)
  return windowMs === null || step.windowStartedAt === null ? null : { reason: 'waitElapsed', dueAt: step.windowStartedAt + windowMs }
}

/**
 * The last message that closes. A non-terminal step with a message sent does not end this way, since that one can still engage (rule 19);
 * a terminal step waits for answers only (rule 26).
 */
function closingOf(plan: Plan, step: EnteredStep): Ending | null {
  const { messages } = step
  if (messages.some((message) => message.standing === 'deferred')) return null
  const terminal = isTerminal(plan, step.step)
  const sent = messages.some((message) => message.standing === 'sent')
  if (sent && !terminal) return null

  const silence = messages.reduce<number | null>(
    (latest, message) => (message.standing === 'open' ? Math.max(latest ?? 0, silentAt(message)) : latest),
    null,
  )
  const reason = sent ? 'completed' : closedAs(messages)
  const windowMs = windowOf(plan, step.step)
  // Skipped is no failure: nothing was tried, so there is nothing to wait for.
  if (plan.onFailure === 'advance' || windowMs === null || reason === 'skipped') return { reason, dueAt: silence }
  return { reason, dueAt: Math.max(silence ?? 0, lastClosedAt(messages) + windowMs) }
}

/** What to call a step whose messages are all closed: failed if any failed, else expired, else skipped. */
function closedAs(messages: readonly Message[]): 'failed' | 'expired' | 'skipped' {
  if (messages.some((message) => message.standing === 'failed')) return 'failed'
  return messages.every((message) => message.standing === 'skipped') ? 'skipped' : 'expired'
}

/** When the last message closed: its answer, or its expiry where there was none. */
const lastClosedAt = (messages: readonly Message[]): number =>
  messages.reduce((latest, message) => {
    switch (message.standing) {
      case 'open':
        return Math.max(latest, message.expiresAt)
      case 'failed':
      case 'skipped':
      case 'expired':
        return Math.max(latest, message.closedAt)
      case 'deferred':
      case 'sent':
        return latest
    }
  }, 0)
