// Pages follow each other without gap or overlap, and refuse cursors that are not theirs.
import { page, pageOf } from './page'

const numbers = Array.from({ length: 7 }, (_, index) => ({ at: index, id: `n${index}` }))
const read = (limit: number, after: readonly unknown[] | null) =>
  numbers.filter(({ at }) => after === null || at > Number(after[0])).slice(0, limit + 1)

it('reads everything once, page by page', () => {
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const current = page({ limit: '3', ...(cursor === null ? {} : { cursor }) }, 2)
    const { items, nextCursor } = pageOf(read(current.limit, current.after), current, ({ at, id }) => [at, id])
    seen.push(...items.map(({ id }) => id))
    cursor = nextCursor
  } while (cursor !== null)
  expect(seen).toEqual(numbers.map(({ id }) => id))
})

it('an exactly full last page has no next', () => {
  const current = page({ limit: 7 })
  expect(pageOf(read(7, null), current, ({ at }) => [at]).nextCursor).toBeNull()
})

const made = (json: string): string => Buffer.from(json).toString('base64url')

it.each(['x', 'W10', made('{"a":1}'), made('[1]'), made('[1,"a\\u0000b"]')])(
  'refuses the cursor %s',
  (cursor) => {
    expect(() => page({ cursor }, 2)).toThrow('/cursor is not a cursor of this list')
  },
)

it.each([0, 101, 'ten'])('refuses limit %s', (limit) => {
  expect(() => page({ limit })).toThrow('/limit must be')
})
