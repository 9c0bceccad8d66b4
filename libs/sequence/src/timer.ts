// The one live timer of a running sequence, read off its state: nothing to keep in step, nothing to lose.
import type { Sequence, Timer } from './sequence'
import { currentStep, endingOf } from './step'

/**
 * When the sequence next acts by itself: the end of a window, of a dispatcher's silence, of a wait after failure, or of a deferral,
 * whichever comes first. Silences that would change nothing (another channel is still open or sent) are no timers.
 *
 * Never null while the sequence runs (read between changes), null otherwise: a finished sequence has nothing to wait for.
 */
export function timerOf(state: Sequence): Timer | null {
  if (state.status !== 'running') return null
  const step = currentStep(state)
  if (step === null) return null
  const ending = endingOf(state.plan, step)
  let dueAt = ending === null ? Infinity : (ending.dueAt ?? 0)
  for (const message of step.messages) if (message.standing === 'deferred') dueAt = Math.min(dueAt, message.until)
  return { dueAt, step: step.step }
}
