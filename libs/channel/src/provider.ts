// The one interface every provider implements: a message, a permit, an outcome.
import type { ChannelType } from '@stepcast/contracts'
import type { ContentOf } from '@stepcast/template'

/** What became of one attempt. */
export type Outcome =
  /** The provider has it. */
  | { readonly kind: 'accepted'; readonly providerMessageId: string | null }
  /** Refused for good. `deadAddress`: the address itself is gone (an unregistered token) and may be forgotten. */
  | { readonly kind: 'rejected'; readonly reason: string; readonly deadAddress: boolean }
  /** Provably not taken, worth another try; `afterMs` where the provider said when. */
  | { readonly kind: 'retry'; readonly reason: string; readonly afterMs: number | null }
  /** Bytes were sent and no answer came: perhaps taken. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** One message to one target. */
export interface ProviderMessage<C extends ChannelType> {
  readonly workspaceId: string
  /** The same for every attempt: what a provider collapses repeats by. */
  readonly messageId: string
  readonly userId: string
  /** The target's name: a deviceId, or "number". */
  readonly target: string
  /** The push token or number. Never logged. */
  readonly address: string
  /** Rendered. */
  readonly content: ContentOf[C]
  /** How long the provider may try to deliver, so that nothing arrives after the next step; null: no next step. */
  readonly timeToLiveMs: number | null
}

/** Leave to talk to the provider. */
export interface Permit {
  /** Fires at the timeout: whoever still waits gives up. */
  readonly signal: AbortSignal
  /** Asked right before the first byte: false when the lease could end before the timeout, and then nothing may be written. */
  mayBegin(): boolean
}

/** One provider of one channel. Owns its HTTP calls: an SDK that retries by itself would resend beneath the ledger. */
export interface Provider<C extends ChannelType> {
  /** As in reports' `detail.provider`. */
  readonly name: string
  /** One attempt, no retry inside. Never rejects for what the world does: that is an {@link Outcome}. */
  send(message: ProviderMessage<C>, permit: Permit): Promise<Outcome>
  /** Lets connections go. */
  close(): Promise<void>
}
