// What a provider tells by itself: a call of its own about messages it took.

/** A call of a provider, as it came. */
export interface CallbackRequest {
  /** The whole address the provider called, with its query: some sign it. */
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** What a provider says of one message. That it speaks of it at all says that it has it. */
export interface ProviderStatus {
  /** Ours, which the provider carried along. */
  readonly messageId: string
  readonly providerMessageId: string | null
  /** null: under way, no more is known. */
  readonly status: 'delivered' | 'failed' | 'skipped' | null
  /** Why it failed or was skipped, in the provider's code. */
  readonly reason: string | null
  /** Where it was skipped because the person has told a sender to stop: which number and sender. */
  readonly refused?: { readonly address: string; readonly sender: string }
}

/** What a person has told a sender: to stop, or to start again. */
export interface Wish {
  readonly kind: 'stop' | 'start'
  /** The provider's name of what the person wrote: told twice, it counts once. */
  readonly id: string
  /** The person's number. Never logged. */
  readonly address: string
  /** Who was told; with more names than one, a stop is of the first, and a start of all. */
  readonly senders: readonly [string, ...string[]]
}
