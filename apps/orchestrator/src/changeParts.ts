// A turn's events of one sequence are one change, unless they are too large for one record: then they are several, in the same order.
import { ScratchEncoder } from '@stepcast/contracts'
import { evolve, react, type Effect, type Sequence, type SequenceEvent } from '@stepcast/sequence'
import { writeChange } from './changeCodec'

/**
 * A change as stored at most, bytes. A batch takes records until it has 512 kB, so the largest batch is some 1.6 MB of the 4 MB that a
 * topic takes. One event, which repeats one record of at most 256 kB, is always smaller.
 */
export const maxChangeBytes = 1024 * 1024

/** Events that are stored as one change, with the commands that they ask for. */
export interface ChangePart {
  readonly events: readonly SequenceEvent[]
  readonly effects: readonly Effect[]
  /** The sequence ends in this part. */
  readonly ended: boolean
}

/** Cuts events into changes of at most {@link maxChangeBytes}. `before`: the sequence before the first of them. */
export function partsOf(before: Sequence, events: readonly SequenceEvent[], recordedAt: number): ChangePart[] {
  let state = before
  return changesOf(events).map((part) => {
    const { status } = state
    const effects: Effect[] = []
    for (const event of part) {
      effects.push(...react(state, event))
      state = evolve(state, event, recordedAt)
    }
    return { events: part, effects, ended: state.status === 'ended' && status !== 'ended' }
  })
}

const scratch = new ScratchEncoder()

// What a change has besides its events: format, time, and the count and the end of the array.
const aroundEvents = 32

/** The same events in the same order, in as few parts as go; a part holds one event at least. */
export function changesOf(events: readonly SequenceEvent[]): SequenceEvent[][] {
  const parts: SequenceEvent[][] = []
  let room = 0
  for (const event of events) {
    const bytes = writeChange(scratch, 0, { recordedAt: 0, events: [event] })
    if (parts.length === 0 || bytes > room) {
      parts.push([])
      room = maxChangeBytes - aroundEvents
    }
    parts[parts.length - 1]!.push(event)
    room -= bytes
  }
  return parts
}
