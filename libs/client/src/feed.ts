// The in-app feed of one user.
import type { Connection } from './connection'
import { FeedFollower, type FollowOptions } from './follow'
import type { FeedPage, ReadState } from './item'
import { observeSeen, type ObserveOptions } from './observeViewed'
import type { Receipts } from './receipts'

/** Which part of the feed to read. */
export interface FeedQuery {
  /** `all` by default. */
  readonly readState?: ReadState
  /** Only items of this category, or of one of these. */
  readonly category?: string | readonly string[]
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | null
  /** 1 to 100; 50 by default. */
  readonly limit?: number
}

const pathOf = (messageId: string): string => `/v1/feed/${encodeURIComponent(messageId)}`

/** Reads, follows and answers the feed. Calls throw {@link StepcastProblem} and {@link StepcastUnreachable}. */
export class Feed {
  constructor(
    private readonly connection: Connection,
    private readonly receipts: Receipts,
  ) {}

  /** A page of the feed, newest first. */
  list({ readState, category, cursor, limit }: FeedQuery = {}): Promise<FeedPage> {
    const query = new URLSearchParams()
    if (readState !== undefined) query.set('readState', readState)
    if (category !== undefined) query.set('category', typeof category === 'string' ? category : category.join(','))
    if (cursor) query.set('cursor', cursor)
    if (limit !== undefined) query.set('limit', String(limit))
    return this.connection.json({ method: 'GET', path: query.size === 0 ? '/v1/feed' : `/v1/feed?${query.toString()}` })
  }

  /** How many items are unread: neither viewed nor clicked. */
  async unreadCount(): Promise<number> {
    return (await this.connection.json<{ unread: number }>({ method: 'GET', path: '/v1/feed/unread-count' })).unread
  }

  /**
   * Tells what happens in the feed from now on (or from `lastEventId` on), until the function answered is called. It comes back by itself
   * after every interruption and goes on where it was. To miss nothing, begin to follow first and read the list then.
   */
  follow(options: FollowOptions): () => void {
    const follower = new FeedFollower(this.connection, async () => (await this.list({ limit: 100 })).items, options)
    return () => follower.stop()
  }

  /** Tells that this client has the message. Resolves once that is kept for good; may be repeated. */
  delivered(messageId: string): Promise<void> {
    return this.receipts.send(`${pathOf(messageId)}/delivered`)
  }

  /** Tells that the user has seen the message. */
  viewed(messageId: string): Promise<void> {
    return this.receipts.send(`${pathOf(messageId)}/viewed`)
  }

  /** Tells that the user has clicked the message, or the button named. */
  clicked(messageId: string, buttonId?: string): Promise<void> {
    return this.receipts.send(`${pathOf(messageId)}/clicked`, buttonId === undefined ? undefined : { buttonId })
  }

  /** Takes the message out of the feed, for good. */
  hide(messageId: string): Promise<void> {
    return this.connection.json({ method: 'DELETE', path: pathOf(messageId) })
  }

  /**
   * In a browser: sends `viewed` once, when half of the element was on the screen for one second while the page was in front.
   * @returns stops watching
   */
  observeViewed(element: object, messageId: string, options: ObserveOptions = {}): () => void {
    const seen = (): void => void this.viewed(messageId).catch((error: unknown) => options.onError?.(error))
    return observeSeen(element, seen, options)
  }
}
