// One user's feed as SQL: its pages, what is unread, one item, receipts, hiding.
import type { Pool } from 'pg'
import type { EngagementKind } from '@stepcast/contracts'
import type { UserName } from '@stepcast/replica'
import { keyset, pageOf, type Page } from '@stepcast/service'
import { announce } from './announce'
import type { Content } from './answer'

/** An item as it is published; times are RFC 3339, null where there was no such receipt. */
export interface FeedItem {
  readonly messageId: string
  readonly templateId: string
  readonly category: string
  readonly content: Content
  readonly createdAt: Date
  /** When it leaves the feed; null: it is kept 90 days. */
  readonly expiresAt: Date | null
  readonly deliveredAt: Date | null
  readonly viewedAt: Date | null
  readonly clickedAt: Date | null
}

/** The receipts an item can have. */
export type Receipt = Extract<EngagementKind, 'delivered' | 'viewed' | 'clicked'>

/** `unread`: neither viewed nor clicked. */
export const readStates = ['unread', 'read', 'all'] as const
export type ReadState = (typeof readStates)[number]

/** The columns of a {@link FeedItem}. */
export const itemColumns = `message_id AS "messageId", template_id AS "templateId", category, content,
  created_at AS "createdAt", expires_at AS "expiresAt", delivered_at AS "deliveredAt", viewed_at AS "viewedAt", clicked_at AS "clickedAt"`

/** Rows that are items of somebody's feed. */
export const inFeed = `answer = 'requested' AND hidden_at IS NULL AND (expires_at IS NULL OR expires_at > now())`

/** Items of a feed that are unread. */
export const unreadInFeed = `${inFeed} AND viewed_at IS NULL AND clicked_at IS NULL`

const readStateSql: Readonly<Record<ReadState, string>> = {
  unread: 'viewed_at IS NULL AND clicked_at IS NULL',
  read: '(viewed_at IS NOT NULL OR clicked_at IS NOT NULL)',
  all: 'true',
}

/** Which items a page holds. */
export interface FeedFilter {
  readonly readState: ReadState
  /** Null: of every category. */
  readonly categories: readonly string[] | null
}

/** The keyset of a feed: when an item came, its id. */
export const feedOrder = keyset('feed', 'instant', 'text')

/** A page of the feed, newest first. */
export async function listFeed(
  pool: Pool,
  { workspaceId, userId }: UserName,
  { readState, categories }: FeedFilter,
  page: Page<typeof feedOrder.shape>,
): Promise<{ items: FeedItem[]; nextCursor: string | null }> {
  const { after } = page
  const { rows } = await pool.query<FeedItem>(
    `SELECT ${itemColumns} FROM messages
     WHERE workspace_id = $1 AND user_id = $2 AND ${inFeed} AND ${readStateSql[readState]}
       AND ($3::timestamptz IS NULL OR (created_at, message_id) < ($3, $4::text)) AND ($6::text[] IS NULL OR category = ANY($6))
     ORDER BY created_at DESC, message_id DESC LIMIT $5`,
    [workspaceId, userId, after && new Date(after[0]), after && after[1], page.limit + 1, categories],
  )
  return pageOf(rows, page, feedOrder, (item) => [item.createdAt.getTime(), item.messageId])
}

/** How many items are unread. */
export async function countUnread(pool: Pool, { workspaceId, userId }: UserName): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `SELECT count(*) AS n FROM messages WHERE workspace_id = $1 AND user_id = $2 AND ${unreadInFeed}`,
    [workspaceId, userId],
  )
  return rows[0]!.n
}

/** An item for a receipt, hidden, expired or not, with the database's time. Null: none of this user's. */
export async function findItem(
  pool: Pool,
  { workspaceId, userId }: UserName,
  messageId: string,
): Promise<(FeedItem & { now: Date }) | null> {
  const { rows } = await pool.query<FeedItem & { now: Date }>(
    `SELECT ${itemColumns}, clock_timestamp() AS now FROM messages
     WHERE message_id = $3 AND workspace_id = $1 AND user_id = $2 AND answer = 'requested'`,
    [workspaceId, userId, messageId],
  )
  return rows[0] ?? null
}

/** Notes a receipt; the first one stays. */
export async function noteReceipt(pool: Pool, user: UserName, messageId: string, receipt: Receipt, at: Date): Promise<void> {
  const { rowCount } = await pool.query(
    `UPDATE messages SET ${receipt}_at = $2, updated_at = now() WHERE message_id = $1 AND ${receipt}_at IS NULL`,
    [messageId, at.toISOString()],
  )
  if (rowCount) await announce(pool, [{ messageId, ...nameOf(user) }])
}

/** Hides an item from its user's feed, for good. False: none of this user's. */
export async function hideItem(pool: Pool, user: UserName, messageId: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `UPDATE messages SET hidden_at = coalesce(hidden_at, now()), updated_at = now()
     WHERE message_id = $3 AND workspace_id = $1 AND user_id = $2 AND answer = 'requested'`,
    [user.workspaceId, user.userId, messageId],
  )
  if (rowCount) await announce(pool, [{ messageId, ...nameOf(user) }])
  return rowCount === 1
}

const nameOf = ({ workspaceId, userId }: UserName): UserName => ({ workspaceId, userId })
