// Old event shapes become current ones here, when they are read: the log itself is never rewritten.
import { failure } from './failure'
import type { SequenceEvent } from './sequence'

type Fields = Readonly<Record<string, unknown>>

// The fields of each event that were added after it was first recorded, or that a reader of an older schema leaves out, with the value
// that means what their absence meant. Null is the contract's word for "not there"; undefined never enters the core.
const absent: { readonly [T in SequenceEvent['type']]: Fields } = {
  SequenceStarted: { tag: null, requestedAt: null, dispatchTtlMs: null },
  StepCommanded: {},
  StepDeferred: {},
  EngagementRecorded: { reason: null, providerMessageId: null, detail: {} },
  StepEnded: { engagement: null, note: null },
  EscalationRegretted: {},
  SequenceEnded: { step: null, engagement: null },
}

/**
 * The event in its current shape; the same object when it has that already.
 *
 * @param event as it was stored; its required fields are taken on trust, since only this project's own log is read this way.
 * @throws when it is no event of a sequence at all: a log from a newer version, or not a log of this system.
 */
export function upcast(event: unknown): SequenceEvent {
  if (!isKnown(event)) throw failure(`not an event of a sequence: ${JSON.stringify(event)}`)
  const added = absent[event.type]
  const stored = event as unknown as Fields
  if (Object.keys(added).every((field) => stored[field] !== undefined)) return event
  return { ...added, ...defined(stored) } as unknown as SequenceEvent
}

const isKnown = (event: unknown): event is SequenceEvent =>
  typeof event === 'object' && event !== null && 'type' in event && typeof event.type === 'string' && Object.hasOwn(absent, event.type)

const defined = (stored: Fields): Fields => Object.fromEntries(Object.entries(stored).filter(([, value]) => value !== undefined))
