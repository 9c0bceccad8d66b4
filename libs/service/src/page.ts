// Lists by page: `?limit=1..100&cursor=…` in, `{ items, nextCursor }` out, by keyset and never by offset.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { instantProblem, int4Problem, textProblem } from '@stepcast/contracts'
import { z } from 'zod'
import { digits } from './fields'
import { parse } from './parse'
import { unreadable } from './problem'

/** The query of every list; extend it with a list's own filters. 50 by default: a screen's worth. */
export const pageQuery = z.object({ limit: digits(1, 100).default(50), cursor: z.string().max(2_000).optional() })

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

/** What a list is ordered by. */
export interface Keyset<Shape extends readonly KeysetType[]> {
  /** The list's name: a cursor is good for the list that gave it and for no other. */
  readonly list: string
  readonly shape: Shape
}

/** Declares what a list is ordered by. */
export const keyset = <const Shape extends readonly KeysetType[]>(list: string, ...shape: Shape): Keyset<Shape> => ({ list, shape })

/** Where a page starts and how long it may be. */
export interface Page<Shape extends readonly KeysetType[]> {
  readonly limit: number
  /** The keyset values of the last item of the page before; null for the first page. */
  readonly after: After<Shape> | null
}

/**
 * Reads `limit` and `cursor` of a query.
 * @throws Problem 422 for a wrong limit, 400 for a cursor that this list has not given.
 */
export function page<const Shape extends readonly KeysetType[]>(
  query: { limit?: unknown; cursor?: unknown },
  keys: Keyset<Shape>,
): Page<Shape> {
  const { limit, cursor } = parse(pageQuery, { limit: query.limit, cursor: query.cursor })
  return { limit, after: cursor === undefined ? null : readCursor(cursor, keys) }
}

// A page that is read into memory by a phone or a script, and held here for everybody who asks at the same time.
const maxPageBytes = 1024 * 1024

/**
 * Makes a page of rows read with `LIMIT page.limit + 1`; the row too many tells that there is a next page. It ends before 1 MB of JSON, after
 * one item at least.
 * @param keyOf the keyset values of a row, in the order they are compared
 * @param itemOf what is answered of a row; the row itself unless given
 */
export function pageOf<T, Shape extends readonly KeysetType[], I = T>(
  rows: readonly T[],
  { limit }: Page<Shape>,
  { list }: Keyset<Shape>,
  keyOf: (row: T) => After<Shape>,
  itemOf: (row: T) => I = (row) => row as unknown as I,
): { items: I[]; nextCursor: string | null } {
  const items: I[] = []
  let bytes = 0
  for (const row of rows.slice(0, limit)) {
    const item = itemOf(row)
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1
    if (bytes > maxPageBytes && items.length > 0) break
    items.push(item)
  }
  const last = rows[items.length - 1]
  return { items, nextCursor: rows.length > items.length && last !== undefined ? writeCursor(list, keyOf(last)) : null }
}

// Made of the installation's secret when a service starts. Cursors hold nothing secret; what is signed is that we have made them.
let cursorKey = ''

/** Called by the frame: what cursors are signed with. All services of an installation have the same. */
export function signCursorsWith(secret: string): void {
  cursorKey = secret
}

// Twelve bytes: whoever guesses one has only named a place in his own list.
const macBytes = 12
const macOf = (list: string, values: Buffer): Buffer =>
  createHmac('sha256', cursorKey).update(`cursor of ${list}\n`).update(values).digest().subarray(0, macBytes)

/** The opaque cursor of keyset values of a list. */
export function writeCursor(list: string, after: readonly (string | number)[]): string {
  const values = Buffer.from(JSON.stringify(after))
  return Buffer.concat([macOf(list, values), values]).toString('base64url')
}

function readCursor<Shape extends readonly KeysetType[]>(cursor: string, { list, shape }: Keyset<Shape>): After<Shape> {
  const bytes = Buffer.from(cursor, 'base64url')
  const [mac, values] = [bytes.subarray(0, macBytes), bytes.subarray(macBytes)]
  if (mac.length === macBytes && timingSafeEqual(mac, macOf(list, values))) {
    const after = JSON.parse(values.toString()) as unknown
    // Ours, but perhaps of another version.
    if (Array.isArray(after) && after.length === shape.length && shape.every((type, i) => keysetTypes[type](after[i]))) {
      return after as unknown as After<Shape>
    }
  }
  throw unreadable([{ path: '/cursor', message: 'is not a cursor of this list: send back a nextCursor as it was given' }])
}
