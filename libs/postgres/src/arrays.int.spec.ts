import { Pool } from 'pg'
import { specStack, type SpecStack } from '@stepcast/testing'
import { ints, nullable, texts, uuids } from './arrays'

let stack: SpecStack
let pool: Pool

beforeAll(async () => {
  stack = await specStack(__filename)
  pool = new Pool({ connectionString: stack.databaseUrl })
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

it('reaches PostgreSQL as it was, whatever is in it', async () => {
  const all = [
    '',
    ' ',
    'null',
    'NULL',
    'Null',
    null,
    'plain-1.2.push',
    'a b',
    'a,b',
    '{a}',
    '"',
    '\\',
    '\\"',
    "'",
    'line\nbreak',
    '\ttab',
    '한국어 🙂',
    'a@b',
    '+82',
    '(',
    ';--',
  ]
  const { rows } = await pool.query<{ texts: unknown; numbers: unknown; bools: unknown }>(
    'SELECT $1::text[] AS texts, $2::float8[] AS numbers, $3::bool[] AS bools',
    [texts(all), nullable([1, -2.5, 1e21, null]), nullable([true, false, null])],
  )
  expect(rows).toEqual([{ texts: all, numbers: [1, -2.5, 1e21, null], bools: [true, false, null] }])
  expect((await pool.query('SELECT $1::text[] AS none', [texts([])])).rows).toEqual([{ none: [] }])
  const ids = ['623f8d79-cdc6-5760-8ab0-ef346563ba6c', '623f8d79-cdc6-5760-8ab0-ef346563ba6d']
  expect((await pool.query('SELECT $1::uuid[] AS ids, $2::int[] AS ints', [uuids(ids), ints([1, -2])])).rows).toEqual([
    { ids, ints: [1, -2] },
  ])
})
