// What the feed holds, as it comes over HTTP.

/** A button; without a url it only reports the click. */
export interface Button {
  readonly id: string
  readonly label: string
  readonly url: string | null
}

/** What a person sees: rendered, plain text (never put it into a page as HTML). */
export interface FeedContent {
  readonly title: string
  readonly body: string
  readonly imageUrl: string | null
  readonly buttons: readonly Button[]
}

/** An item of the feed. Times are RFC 3339 in UTC; null where there was no such receipt. */
export interface FeedItem {
  readonly messageId: string
  readonly templateId: string
  readonly category: string
  readonly content: FeedContent
  readonly createdAt: string
  /** When it leaves the feed; null: it is kept 90 days. */
  readonly expiresAt: string | null
  readonly deliveredAt: string | null
  readonly viewedAt: string | null
  readonly clickedAt: string | null
}

/** A page of the feed, newest first. */
export interface FeedPage {
  readonly items: readonly FeedItem[]
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null
}

/** `unread`: neither viewed nor clicked. */
export type ReadState = 'unread' | 'read' | 'all'
