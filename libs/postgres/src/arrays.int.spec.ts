import { Pool } from 'pg'
import { specStack, type SpecStack } from '@stepcast/testing'
import { arrayText } from './arrays'

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
  const texts = [
    '', ' ', 'null', 'NULL', 'Null', null, 'plain-1.2.push', 'a b', 'a,b', '{a}', '"', '\\', '\\"', "'", 'line\nbreak', '\ttab', '한국어 🙂', 'a@b', '+82', '(', ';--',
  ]
  const { rows } = await pool.query<{ texts: unknown; numbers: unknown; bools: unknown }>(
    'SELECT $1::text[] AS texts, $2::float8[] AS numbers, $3::bool[] AS bools',
    [arrayText(texts), arrayText([1, -2.5, 1e21, null]), arrayText([true, false, null])],
  )
  expect(rows).toEqual([{ texts, numbers: [1, -2.5, 1e21, null], bools: [true, false, null] }])
  expect((await pool.query('SELECT $1::text[] AS none', [arrayText([])])).rows).toEqual([{ none: [] }])
})
