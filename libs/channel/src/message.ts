// A message on its way in: the command that wants it, whom it is for, and how that person is reached.
import type { DispatchStep } from '@stepcast/contracts'
import type { Offsets } from '@stepcast/replica'
import type { Answer } from './answer'

/** One way to reach a user on a channel. */
export interface Address {
  /** A deviceId, or "number". */
  readonly target: string
  /** The push token or number. */
  readonly address: string
  /** The provider that serves it. */
  readonly provider: string
}

/** What a dispatcher keeps of a user. */
export interface Recipient {
  readonly addresses: readonly Address[]
  readonly optOutChannels: readonly string[]
  readonly optOutCategories: readonly string[]
}

/** A command with the trace it came in. */
export interface Commanded {
  readonly command: DispatchStep
  readonly traceparent: string | null
}

/** A command with what is to become of it. */
export interface NewMessage extends Commanded {
  /** What can be said at once; null: its targets will tell. */
  readonly answer: Answer | null
  /** Those not served: the workspace has no account with their provider. */
  readonly targets: readonly (Address & { readonly isServed: boolean })[]
}

/** Whom the messages are for, as of end offsets of the users' topic. */
export interface Recipients {
  readonly known: ReadonlyMap<string, Recipient>
  /** Null: it was not asked how far the topic reaches. */
  readonly upTo: Offsets | null
}
