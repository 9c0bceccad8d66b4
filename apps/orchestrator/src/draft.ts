// A sequence as a turn changes it: every decision is applied at once, so that the next one sees it. Pure.
import { decide, evolve, isRefusal, react, type Effect, type Sequence, type SequenceEvent, type SequenceInput } from '@stepcast/sequence'
import type { CachedSequence } from './committed'
import type { Head } from './sql/sequences'
import type { KnownVariables } from './variables'

/** What a turn has made of a sequence so far. */
export interface Draft {
  readonly head: Head
  state: Sequence
  /** As it was before the turn; null: it starts in it. */
  readonly before: CachedSequence | null
  readonly variables: KnownVariables
  /** Characters of the variables. */
  readonly size: number
  readonly events: SequenceEvent[]
  readonly effects: Effect[]
  /** When it started, milliseconds of the database's clock. */
  readonly startedAt: number
  traceparent: string | null
}

/** A sequence that is there, before anything happens to it. */
export const draftOf = (cached: CachedSequence): Draft => ({
  head: cached.head,
  state: cached.state,
  before: cached,
  variables: cached.variables,
  size: cached.size,
  startedAt: cached.startedAt,
  events: [],
  effects: [],
  traceparent: null,
})

/** Puts an input to the sequence; returns why it is refused, or null. */
export function putTo(draft: Draft, input: SequenceInput): { readonly reason: string; readonly detail: string } | null {
  const decision = decide(draft.state, input)
  if (isRefusal(decision)) return decision
  for (const event of decision) {
    for (const effect of react(draft.state, event)) draft.effects.push(effect)
    draft.state = evolve(draft.state, event, input.now)
    draft.events.push(event)
  }
  return null
}
