// What a fact asks of the dispatchers. Derived from recorded facts alone, so publishing twice gives the same commands.
import { failure } from './failure'
import { channelTypeOf, isTakenBack } from './message'
import type { Effect, Sequence, SequenceEvent } from './sequence'
import { windowOf } from './step'

const nothing: readonly Effect[] = []

/**
 * The commands to publish for one recorded event.
 *
 * @param state the sequence before the event.
 */
export function react(state: Sequence, event: SequenceEvent): readonly Effect[] {
  switch (event.type) {
    case 'StepCommanded': {
      if (state.status !== 'running') throw failure('only a running sequence commands')
      const { step, channels, commandedAt, expiresAt } = event
      const windowMs = windowOf(state.plan, step)
      return channels.map((channel) => ({ type: 'send', step, channelType: channelTypeOf(channel), commandedAt, expiresAt, windowMs }))
    }
    case 'StepEnded': {
      if (state.status !== 'running') throw failure('only a running step ends')
      const { step, reason } = event
      const windowMs = windowOf(state.plan, step)
      return (state.entered[step - 1]?.messages ?? []).flatMap((message): readonly Effect[] => {
        if (!isTakenBack(message, reason)) return nothing
        const { channelType, commandedAt, expiresAt } = message
        return [{ type: 'withdraw', step, channelType, commandedAt, expiresAt, windowMs }]
      })
    }
    // A sequence ends with its current step, whose end has taken back what it had to; earlier steps did so at theirs.
    case 'SequenceEnded':
    case 'SequenceStarted':
    case 'StepDeferred':
    case 'EngagementRecorded':
    case 'EscalationRegretted':
      return nothing
  }
}
