// What every provider implements: a kind opens accounts; an opened one takes a message with a permit, and answers an outcome.
import type { AccountOf, ProviderName } from '@stepcast/accounts'
import type { ChannelType } from '@stepcast/contracts'
import type { ContentOf } from '@stepcast/template'
import type { CallbackRequest, ProviderStatus, Wish } from './callback'

/** What became of one attempt. */
export type Outcome =
  /** The provider has it. `detail`: what it told besides (segments, price, currency), for the report; never anything personal. */
  | { readonly kind: 'accepted'; readonly providerMessageId: string | null; readonly detail?: Readonly<Record<string, string>> }
  /**
   * Refused for good. `deadAddress`: the address itself is gone (an unregistered token) and may be forgotten, as of `deadSinceMs` where the
   * provider says since when (else the attempt's time): one registered again after that is alive.
   */
  | { readonly kind: 'rejected'; readonly reason: string; readonly deadAddress: boolean; readonly deadSinceMs?: number }
  /** Not taken because the person has told this sender to stop: nobody's fault, and nothing to wait for. */
  | { readonly kind: 'unwanted'; readonly reason: string }
  /** Provably not taken, worth another try; `afterMs` where the provider said when. */
  | { readonly kind: 'retry'; readonly reason: string; readonly afterMs: number | null }
  /** Bytes were sent and no answer came: perhaps taken. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly detail?: Readonly<Record<string, string>> }

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

/** One workspace's account, opened. Owns its HTTP calls: an SDK that retries by itself would resend beneath the ledger. */
export interface Provider<C extends ChannelType> {
  /** As in reports' `detail.provider`. */
  readonly name: string
  /** Whom people answer when they want to hear no more: a number, or what stands for several. Absent: nobody is answered. */
  readonly sender?: string
  /** One attempt, no retry inside. Never rejects for what the world does: that is an {@link Outcome}. */
  send(message: ProviderMessage<C>, permit: Permit): Promise<Outcome>
  /** What a callback says of messages; null: it is not signed by this account. Absent: this provider calls nobody back. */
  readCallback?(request: CallbackRequest): readonly ProviderStatus[] | null
  /** What a person has told the sender, where a callback that {@link readCallback} has found signed says so; null: it says nothing of that. */
  readWish?(request: CallbackRequest): Wish | null
  /** The account was replaced or lay idle. Calls under way end as they would have; connections shared with others stay. */
  close(): Promise<void>
}

/** What an account is opened with. */
export interface AccountContext {
  readonly workspaceId: string
  /** Calls under way at a time, of all accounts of this provider in the process. */
  readonly connections: number
  /** Length of a minute, milliseconds. */
  readonly minuteMs: number
}

/**
 * A provider Stepcast speaks to. Whatever is the installation's (endpoints, connections) lives here and is shared by all
 * workspaces; whatever is a workspace's (credentials, access tokens) lives in the {@link Provider} that `open` gives.
 */
export interface ProviderKind<C extends ChannelType, P extends ProviderName = ProviderName> {
  readonly name: P
  /** Opens an account that `@stepcast/accounts` has checked. Cheap, and no I/O: connections are made at the first call. */
  open(account: AccountOf[P], context: AccountContext): Provider<C>
  /** The process ends: lets connections go. */
  close(): Promise<void>
}
