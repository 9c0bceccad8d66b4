// What a turn leaves behind once it is committed: sequences to be remembered, changes to be published.
import type { Effect, Sequence } from '@stepcast/sequence'
import type { Head } from './sql/sequences'
import type { KnownVariables } from './variables'

/** What the process remembers of a sequence: as committed, never ahead. */
export interface CachedSequence {
  readonly head: Head
  readonly state: Sequence
  readonly version: number
  /** Small ones of a running sequence; those of an ended one are never needed again. */
  readonly variables: KnownVariables
  /** Characters of the variables that are remembered. */
  readonly size: number
  /** When it started, milliseconds of the database's clock. */
  readonly startedAt: number
}

/** A change as committed, with all that publishing it needs. */
export interface CommittedChange {
  readonly head: Head
  readonly version: number
  readonly position: number
  /** Its stored data are these bytes `from` … `to`: all changes of a turn share one buffer. */
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  readonly effects: readonly Effect[]
  readonly variables: KnownVariables
  readonly traceparent: string | null
  readonly ended: boolean
}
