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
  readonly status: 'delivered' | 'failed' | null
  /** Why it failed, in the provider's code. */
  readonly reason: string | null
}
