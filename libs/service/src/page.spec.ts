// Pages follow each other without gap or overlap, and refuse cursors that are not theirs.
import { page, pageOf, type KeysetType, type Page } from './page'

const order = ['int4', 'text'] as const
const numbers = Array.from({ length: 7 }, (_, index) => ({ at: index, id: `n${index}` }))
const read = (limit: number, after: readonly unknown[] | null) =>
  numbers.filter(({ at }) => after === null || at > Number(after[0])).slice(0, limit + 1)

it('reads everything once, page by page', () => {
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const current: Page<typeof order> = page({ limit: '3', ...(cursor === null ? {} : { cursor }) }, order)
    const { items, nextCursor } = pageOf(read(current.limit, current.after), current, ({ at, id }) => [at, id])
    seen.push(...items.map(({ id }) => id))
    cursor = nextCursor
  } while (cursor !== null)
  expect(seen).toEqual(numbers.map(({ id }) => id))
})

it('an exactly full last page has no next', () => {
  const current = page({ limit: 7 }, ['int4'])
  expect(pageOf(read(7, null), current, ({ at }) => [at]).nextCursor).toBeNull()
})

const made = (json: string): string => Buffer.from(json).toString('base64url')

it.each(['x', 'W10', made('{"a":1}'), made('[1]'), made('[1,"a\\u0000b"]')])(
  'refuses the cursor %s',
  (cursor) => {
    expect(() => page({ cursor }, order)).toThrow('/cursor is not a cursor of this list')
  },
)

const uuid = '"3fa85f64-5717-4562-b3fc-2c963f66afa6"'
it.each<[KeysetType, string[], string[]]>([
  ['text', ['"x"', '""'], ['1', 'null', '["x"]', '"a\\u0000b"', '"\\ud83d"', '{}']],
  ['uuid', [uuid], ['"x"', '1.5', 'null', '-1', '1e308', '"{3fa85f64-5717-4562-b3fc-2c963f66afa6}"']],
  ['int4', ['0', '2147483647'], ['"1"', '1.5', '2147483648', '-1', '1e308', '1e400', 'null']],
  ['int8', ['0', '9007199254740991'], ['"1"', '1.5', '9007199254740992', '-1', '1e308', 'null']],
  ['instant', ['0', '1767225600000'], ['"2026-01-01T00:00:00Z"', '-1', '7258118400000', '1e308', '10000000000000000000000', 'null']],
])('a keyset value of type %s is what the database takes', (type, taken, refused) => {
  for (const json of taken) expect(page({ cursor: made(`[${json}]`) }, [type]).after).toEqual([JSON.parse(json)])
  for (const json of refused) expect(() => page({ cursor: made(`[${json}]`) }, [type])).toThrow('/cursor is not a cursor of this list')
})

it.each([0, 101, 'ten'])('refuses limit %s', (limit) => {
  expect(() => page({ limit }, order)).toThrow('/limit must be')
})
