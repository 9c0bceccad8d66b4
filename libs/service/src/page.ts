// Lists by page: `?limit=1..100&cursor=…` in, `{ items, nextCursor }` out, by keyset and never by offset.
import { instantProblem, int4Problem, textProblem } from '@stepcast/contracts'
import { z } from 'zod'
import { parse } from './parse'
import { unreadable } from './problem'

/** The query of every list; extend it with a list's own filters. 50 by default: a screen's worth. */
export const pageQuery = z.object({ limit: z.coerce.number().int().min(1).max(100).default(50), cursor: z.string().max(2_000).optional() })

// What the database may be asked for: another value would be an error of the statement and not an answer.
const keysetTypes = {
  text: (value: unknown): value is string => typeof value === 'string' && textProblem(value) === null,
  uuid: (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value),
  int4: (value: unknown): value is number => typeof value === 'number' && int4Problem(value) === null,
  int8: (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0,
  /** Milliseconds since 1970. */
  instant: (value: unknown): value is number => typeof value === 'number' && instantProblem(value) === null,
}

/** What a value of a keyset is. */
export type KeysetType = keyof typeof keysetTypes
type ValueOf<T extends KeysetType> = (typeof keysetTypes)[T] extends (value: unknown) => value is infer V ? V : never
/** The values of a keyset, as the list is ordered by. */
export type After<Shape extends readonly KeysetType[]> = { readonly [I in keyof Shape]: ValueOf<Shape[I]> }

/** Where a page starts and how long it may be. */
export interface Page<Shape extends readonly KeysetType[]> {
  readonly limit: number
  /** The keyset values of the last item of the page before; null for the first page. */
  readonly after: After<Shape> | null
}

/**
 * Reads `limit` and `cursor` of a query.
 * @param shape what the values of the list's keyset are; a cursor that holds others is refused.
 * @throws Problem 422 for a wrong limit, 400 for a cursor that is not one of this list.
 */
export function page<const Shape extends readonly KeysetType[]>(query: { limit?: unknown; cursor?: unknown }, shape: Shape): Page<Shape> {
  const { limit, cursor } = parse(pageQuery, { limit: query.limit, cursor: query.cursor })
  return { limit, after: cursor === undefined ? null : readCursor(cursor, shape) }
}

/**
 * Makes a page of rows read with `LIMIT page.limit + 1`; the row too many tells that there is a next page.
 * @param keyOf the keyset values of an item, in the order they are compared.
 */
export function pageOf<T, Shape extends readonly KeysetType[]>(
  rows: readonly T[],
  { limit }: Page<Shape>,
  keyOf: (item: T) => After<Shape>,
): { items: T[]; nextCursor: string | null } {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, nextCursor: rows.length > limit && last !== undefined ? writeCursor(keyOf(last)) : null }
}

/** The opaque cursor of keyset values. */
export const writeCursor = (after: readonly (string | number)[]): string => Buffer.from(JSON.stringify(after)).toString('base64url')

function readCursor<Shape extends readonly KeysetType[]>(cursor: string, shape: Shape): After<Shape> {
  try {
    const after = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown
    if (Array.isArray(after) && after.length === shape.length && shape.every((type, i) => keysetTypes[type](after[i]))) {
      return after as unknown as After<Shape>
    }
  } catch {
    // Not base64url or not JSON: all the same to whoever sent it.
  }
  throw unreadable([{ path: '/cursor', message: 'is not a cursor of this list: send back a nextCursor as it was given' }])
}
