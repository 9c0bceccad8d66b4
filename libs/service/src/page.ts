// Lists by page: `?limit=1..100&cursor=…` in, `{ items, nextCursor }` out, by keyset and never by offset.
import { z } from 'zod'
import { parse } from './parse'
import { unreadable } from './problem'

/** The query of every list; extend it with a list's own filters. 50 by default: a screen's worth. */
export const pageQuery = z.object({ limit: z.coerce.number().int().min(1).max(100).default(50), cursor: z.string().max(2_000).optional() })

/** A value of a keyset, as it was ordered by. */
export type KeysetValue = string | number | null

/** Where a page starts and how long it may be. */
export interface Page {
  readonly limit: number
  /** The keyset values of the last item of the page before; null for the first page. */
  readonly after: readonly KeysetValue[] | null
}

/**
 * Reads `limit` and `cursor` of a query.
 * @param keys how many values the list's keyset has; a cursor of another list is refused.
 * @throws Problem 422 for a wrong limit, 400 for a cursor that is not one of ours.
 */
export function page(query: unknown, keys?: number): Page {
  const { limit, cursor } = parse(pageQuery, query)
  return { limit, after: cursor === undefined ? null : readCursor(cursor, keys) }
}

/**
 * Makes a page of rows read with `LIMIT page.limit + 1`; the row too many tells that there is a next page.
 * @param keyOf the keyset values of an item, in the order they are compared.
 */
export function pageOf<T>(
  rows: readonly T[],
  { limit }: Page,
  keyOf: (item: T) => readonly KeysetValue[],
): { items: T[]; nextCursor: string | null } {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, nextCursor: rows.length > limit && last !== undefined ? writeCursor(keyOf(last)) : null }
}

/** The opaque cursor of keyset values. */
export const writeCursor = (after: readonly KeysetValue[]): string => Buffer.from(JSON.stringify(after)).toString('base64url')

function readCursor(cursor: string, keys: number | undefined): readonly KeysetValue[] {
  const isCursor = z
    // PostgreSQL's text has no NUL, so no key of ours has.
    .array(z.union([z.string().regex(/^[^\0]*$/), z.number(), z.null()]))
    .min(1)
    .max(8)
  try {
    const after = isCursor.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
    if (keys === undefined || after.length === keys) return after
  } catch {
    // Not base64url, not JSON or not a keyset: all the same to whoever sent it.
  }
  throw unreadable([{ path: '/cursor', message: 'is not a cursor of this list: send back a nextCursor as it was given' }])
}
