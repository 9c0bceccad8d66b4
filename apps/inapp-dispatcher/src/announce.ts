// Tells every instance which items of whom are new or changed, by PostgreSQL's NOTIFY when the transaction commits.
import { createHash } from 'node:crypto'
import type { Pool, PoolClient } from 'pg'

/** The channel; names of channels are shared by a whole database. */
export const announcements = 'inapp_dispatcher_feed'

/** An item and whose it is. */
export interface Announced {
  readonly messageId: string
  readonly workspaceId: string
  readonly userId: string
}

// A payload holds less than 8,000 bytes; an entry takes 47 + 1 + 12 + 1.
const entriesAtOnce = 120

/** A short name of a user's feed: instances without that user need not look, and no person is named. 48 bits: a collision costs a query. */
export const feedOf = (workspaceId: string, userId: string): string =>
  createHash('sha256').update(`${workspaceId}/${userId}`).digest('hex').slice(0, 12)

/** Announces items. */
export async function announce(db: Pool | PoolClient, items: readonly Announced[]): Promise<void> {
  const entries = items.map(({ messageId, workspaceId, userId }) => `${messageId}@${feedOf(workspaceId, userId)}`)
  const payloads = Array.from({ length: Math.ceil(entries.length / entriesAtOnce) }, (_, index) =>
    entries.slice(index * entriesAtOnce, (index + 1) * entriesAtOnce).join(','),
  )
  if (payloads.length > 0) await db.query(`SELECT pg_notify('${announcements}', payload) FROM unnest($1::text[]) AS payload`, [payloads])
}

/** Reads a payload. */
export const readAnnouncement = (payload: string): { messageId: string; feed: string }[] =>
  payload.split(',').map((entry) => {
    const at = entry.lastIndexOf('@')
    return { messageId: entry.slice(0, at), feed: entry.slice(at + 1) }
  })
