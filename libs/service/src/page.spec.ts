// Pages follow each other without gap or overlap, and refuse cursors that are not theirs.
import { keyset, page, pageOf, writeCursor, type Keyset, type KeysetType, type Page } from './page'

const order = keyset('numbers', 'int4', 'text')
const numbers = Array.from({ length: 7 }, (_, index) => ({ at: index, id: `n${index}` }))
const read = (limit: number, after: readonly unknown[] | null) =>
  numbers.filter(({ at }) => after === null || at > Number(after[0])).slice(0, limit + 1)

it('reads everything once, page by page', () => {
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const current: Page<typeof order.shape> = page({ limit: '3', ...(cursor === null ? {} : { cursor }) }, order)
    const { items, nextCursor } = pageOf(read(current.limit, current.after), current, order, ({ at, id }) => [at, id])
    seen.push(...items.map(({ id }) => id))
    cursor = nextCursor
  } while (cursor !== null)
  expect(seen).toEqual(numbers.map(({ id }) => id))
})

it('an exactly full last page has no next', () => {
  const byNumber = keyset('numbers', 'int4')
  const current = page({ limit: 7 }, byNumber)
  expect(pageOf(read(7, null), current, byNumber, ({ at }) => [at]).nextCursor).toBeNull()
})

it('a page ends before 1 MB of JSON, after one item at least, and goes on from there', () => {
  const rows = Array.from({ length: 6 }, (_, at) => ({ at, text: 'x'.repeat(at === 3 ? 2_000_000 : 300_000) }))
  const byNumber = keyset('large', 'int4')
  const seen: number[][] = []
  let cursor: string | null = null
  do {
    const current: Page<typeof byNumber.shape> = page({ limit: '5', ...(cursor === null ? {} : { cursor }) }, byNumber)
    const from = current.after === null ? 0 : current.after[0] + 1
    const { items, nextCursor } = pageOf(rows.slice(from, from + 6), current, byNumber, ({ at }) => [at])
    seen.push(items.map(({ at }) => at))
    cursor = nextCursor
  } while (cursor !== null)
  expect(seen).toEqual([[0, 1, 2], [3], [4, 5]])
})

it('what is answered of a row is measured, not the row', () => {
  const rows = Array.from({ length: 6 }, (_, at) => ({ at, text: 'x'.repeat(300_000) }))
  const byNumber = keyset('large', 'int4')
  expect(
    pageOf(
      rows,
      page({ limit: '6' }, byNumber),
      byNumber,
      ({ at }) => [at],
      ({ at }) => at,
    ).items,
  ).toHaveLength(6)
})

const plain = (json: string): string => Buffer.from(json).toString('base64url')
/** As this list would give it, whatever it holds. */
const made = (list: string, json: string): string => writeCursor(list, JSON.parse(json) as [])

it.each([
  'x',
  'W10',
  plain('{"a":1}'),
  plain('[1]'),
  plain('[1,"a"]'),
  made('numbers', '[1]'),
  made('numbers', '[1,"a\\u0000b"]'),
  made('others', '[1,"a"]'),
  '',
  '%',
])('refuses the cursor %s', (cursor) => {
  expect(() => page({ cursor }, order)).toThrow('/cursor is not a cursor of this list')
})

it('refuses its own cursor with a letter changed', () => {
  const cursor = made('numbers', '[1,"a"]')
  expect(page({ cursor }, order).after).toEqual([1, 'a'])
  for (let i = 0; i < cursor.length; i++) {
    const changed = cursor.slice(0, i) + (cursor[i] === 'A' ? 'B' : 'A') + cursor.slice(i + 1)
    expect(() => page({ cursor: changed }, order)).toThrow('/cursor is not a cursor of this list')
  }
})

const uuid = '"3fa85f64-5717-4562-b3fc-2c963f66afa6"'
it.each<[KeysetType, string[], string[]]>([
  ['text', ['"x"', '""'], ['1', 'null', '["x"]', '"a\\u0000b"', '"\\ud83d"', '{}']],
  ['uuid', [uuid], ['"x"', '1.5', 'null', '-1', '1e308', '"{3fa85f64-5717-4562-b3fc-2c963f66afa6}"']],
  ['int4', ['0', '2147483647'], ['"1"', '1.5', '2147483648', '-1', '1e308', '1e400', 'null']],
  ['int8', ['0', '9007199254740991'], ['"1"', '1.5', '9007199254740992', '-1', '1e308', 'null']],
  ['instant', ['0', '1767225600000'], ['"2026-01-01T00:00:00Z"', '-1', '7258118400000', '1e308', '10000000000000000000000', 'null']],
])('a keyset value of type %s is what the database takes', (type, taken, refused) => {
  const keys: Keyset<readonly KeysetType[]> = keyset<readonly KeysetType[]>('one', type)
  for (const json of taken) expect(page({ cursor: made('one', `[${json}]`) }, keys).after).toEqual([JSON.parse(json)])
  for (const json of refused) expect(() => page({ cursor: made('one', `[${json}]`) }, keys)).toThrow('/cursor is not a cursor of this list')
})

it.each(['0', '101', 'ten', '0x10', '1e2', ' 1', '1 ', '+1', '-1', '1.0', ['1', '2'], ''])('refuses limit %j', (limit) => {
  expect(() => page({ limit }, order)).toThrow('/limit must be')
})
