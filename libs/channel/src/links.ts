// Tracked links: where each leads is stored before the message is sent, so that the address a person gets says nothing about it.
import type { Pool, PoolClient } from 'pg'
import type { ChannelType } from '@stepcast/contracts'
import { ConfigError } from '@stepcast/kafka'
import type { Env } from '@stepcast/service'
import { holdsTrackedLink, type ContentOf } from '@stepcast/template'
import { whole } from './dispatcherConfig'
import { isTrackable } from './linksInText'
import type { LinkTokens } from './linkTokens'
import type { ProviderMessage } from './provider'

/**
 * The links of messages; put it into the first migration of a service that tracks them, after the channel's own tables. They go with
 * their message, which the ledger keeps 30 days.
 */
export const linksTableSql = `
CREATE TABLE links (
  token text PRIMARY KEY,
  workspace_id text NOT NULL,
  message_id text NOT NULL REFERENCES messages ON DELETE CASCADE,
  button_id text,
  target text NOT NULL,
  expires_at timestamptz NOT NULL,
  clicked_at timestamptz
);
CREATE INDEX links_of_message ON links (message_id);
`

/** What links are made with. */
export interface LinkOptions {
  readonly pool: Pool
  readonly tokens: LinkTokens
  /** The address people reach the gateway at, without a slash at its end. */
  readonly publicUrl: string
  /** How long a link leads anywhere: 1 to 30 days. */
  readonly days: number
}

// No longer than the ledger keeps a message, to which a click belongs.
const maxDays = 30

/** Reads STEPCAST_LINK_DAYS: 30 unless given, and at most. @throws ConfigError */
export function linkDaysFromEnv(env: Env): number {
  const days = whole(env, 'STEPCAST_LINK_DAYS', maxDays)
  if (days > maxDays) throw new ConfigError(`STEPCAST_LINK_DAYS is ${days}; it must be ${maxDays} at most, as long as messages are kept`)
  return days
}

/**
 * Gives the tracked address of a link; one that cannot be tracked comes back as it is, and so does one that is tracked already: a value brought
 * it, it belongs to another message, and behind ours both persons would have clicked. `buttonId`: the button it belongs to.
 */
export type Track = (url: string, buttonId: string | null) => string

interface NewLink {
  readonly token: string
  readonly workspaceId: string
  readonly messageId: string
  readonly userId: string
  readonly buttonId: string | null
  readonly target: string
}

/**
 * Replaces the links of a batch of messages and stores where they lead; a message attempted again gets the same links.
 * @param replaced the content with every link handed to `track`, always in the same order
 */
export async function trackLinks<C extends ChannelType>(
  messages: readonly ProviderMessage<C>[],
  replaced: (content: ContentOf[C], track: Track) => ContentOf[C],
  { pool, tokens, publicUrl, days }: LinkOptions,
): Promise<ProviderMessage<C>[]> {
  const links: NewLink[] = []
  const tracked = messages.map((message) => {
    const { messageId, workspaceId, userId } = message
    let index = 0
    const track: Track = (target, buttonId) => {
      if (!isTrackable(target) || holdsTrackedLink(target, publicUrl)) return target
      const token = tokens.of(messageId, index++, target)
      links.push({ token, workspaceId, messageId, userId, buttonId, target })
      return `${publicUrl}/l/${token}`
    }
    return { ...message, content: replaced(message.content, track) }
  })
  if (links.length > 0) await keep(pool, links, days)
  return tracked
}

// Messages are locked, in the order of their key, so that an erasure under way is waited for: what it erased gets no links any more.
const keepSql = `
WITH still AS (
  SELECT message_id, workspace_id, user_id FROM messages WHERE message_id = ANY($1::text[]) ORDER BY message_id FOR SHARE
)
INSERT INTO links (token, workspace_id, message_id, button_id, target, expires_at)
SELECT t, w, m, b, target, now() + $7 * interval '1 day'
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS made (m, w, u, t, b, target)
  JOIN still ON message_id = m AND workspace_id = w AND user_id = u
ON CONFLICT (token) DO NOTHING`

async function keep(pool: Pool, links: readonly NewLink[], days: number): Promise<void> {
  await pool.query(keepSql, [
    links.map(({ messageId }) => messageId),
    links.map(({ workspaceId }) => workspaceId),
    links.map(({ userId }) => userId),
    links.map(({ token }) => token),
    links.map(({ buttonId }) => buttonId),
    links.map(({ target }) => target),
    days,
  ])
}

/** A link that still leads somewhere. */
export interface Link {
  readonly token: string
  readonly workspaceId: string
  readonly messageId: string
  readonly buttonId: string | null
  readonly target: string
  readonly isClicked: boolean
}

/** The link of a token; null when it has expired, or its user was erased. */
export async function findLink(pool: Pool, token: string): Promise<Link | null> {
  const { rows } = await pool.query<Link>(
    `SELECT token, workspace_id AS "workspaceId", message_id AS "messageId", button_id AS "buttonId", target,
       clicked_at IS NOT NULL AS "isClicked"
     FROM links WHERE token = $1 AND expires_at > now()`,
    [token],
  )
  return rows[0] ?? null
}

/**
 * Deletes the links of users being erased (rule 22): their targets may hold what is personal. In the caller's transaction, before the
 * messages forget whose they were.
 */
export async function eraseLinks(tx: PoolClient, users: readonly { workspaceId: string; userId: string }[]): Promise<void> {
  const { rows } = await tx.query<{ message_id: string }>(
    `SELECT message_id FROM messages JOIN unnest($1::text[], $2::text[]) AS erased (w, u) ON workspace_id = w AND user_id = u
     ORDER BY message_id FOR UPDATE OF messages`,
    [users.map(({ workspaceId }) => workspaceId), users.map(({ userId }) => userId)],
  )
  // A statement of its own: it sees the links of whoever was waited for.
  await tx.query('DELETE FROM links WHERE message_id = ANY($1::text[])', [rows.map((row) => row.message_id)])
}
