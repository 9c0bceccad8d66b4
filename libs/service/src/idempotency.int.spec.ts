// Rule 16 on a real database: one write per key, however often and however concurrently it is asked for.
import { createPool } from '@stepcast/postgres'
import { type SpecStack, specStack } from '@stepcast/testing'
import type { Pool } from 'pg'
import { fingerprintOf, idempotencyTableSql, idempotent } from './idempotency'

const caller = { workspaceId: 'demo' }
let stack: SpecStack
let pool: Pool

beforeAll(async () => {
  stack = await specStack(__filename)
  pool = createPool({ databaseUrl: stack.databaseUrl, schema: 'public', applicationName: 'spec' })
  await pool.query(`${idempotencyTableSql} CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, name text)`)
})
afterAll(async () => {
  await pool?.end()
  await stack?.stop()
})
beforeEach(() => pool.query('TRUNCATE idempotency_keys, orders'))

const order = (key: string | null, name = 'a', wait = Promise.resolve(), workspaceId = 'demo', route = 'POST /v1/orders') =>
  idempotent(pool, { workspaceId }, route, key, fingerprintOf({ name }), async (tx) => {
    await wait
    const {
      rows: [made],
    } = await tx.query<{ id: number }>('INSERT INTO orders (name) VALUES ($1) RETURNING id', [name])
    return { id: made!.id, name }
  })
const orders = async (): Promise<number> => (await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM orders')).rows[0]!.n

it('the same key gives the first answer again', async () => {
  const first = await order('k')
  expect(await order('k')).toEqual(first)
  expect(await orders()).toBe(1)
})

it('another body is refused', async () => {
  await order('k')
  await expect(order('k', 'b')).rejects.toMatchObject({ status: 422 })
})

it('in flight is a conflict, and exactly one of many is done', async () => {
  let go!: () => void
  const wait = new Promise<void>((resolve) => (go = resolve))
  const all = Array.from({ length: 8 }, () =>
    order('k', 'a', wait).then(
      () => 200,
      (error: { status: number }) => error.status,
    ),
  )
  const settled = Promise.all(all.slice(0)).then((answers) => answers.sort())
  setTimeout(go, 300)
  expect(await settled).toEqual([200, ...Array.from({ length: 7 }, () => 409)])
  expect(await orders()).toBe(1)
})

it('what failed is not kept: the key may be tried again', async () => {
  await expect(idempotent(pool, caller, 'r', 'k', 'f', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await idempotent(pool, caller, 'r', 'k', 'f', () => Promise.resolve('yes'))).toBe('yes')
})

it('a key belongs to its workspace and its call; without one everything is new', async () => {
  await order('k')
  await order('k', 'a', undefined, 'other')
  await order('k', 'a', undefined, 'demo', 'POST /v1/others')
  await order(null)
  await order(null)
  expect(await orders()).toBe(5)
})

it('keys are kept 30 days, and cleared by those that come after', async () => {
  await order('young')
  await order('old')
  await pool.query(`UPDATE idempotency_keys SET created_at = now() - interval '30 days 1 second' WHERE key = 'old'`)
  await pool.query(`UPDATE idempotency_keys SET created_at = now() - interval '29 days' WHERE key = 'young'`)
  await order('new')
  expect((await pool.query('SELECT key FROM idempotency_keys ORDER BY key')).rows).toEqual([{ key: 'new' }, { key: 'young' }])
})

it('the order of fields makes no other body', () => {
  expect(fingerprintOf({ a: 1, b: { c: [1, 2], d: null } })).toBe(fingerprintOf({ b: { d: null, c: [1, 2] }, a: 1 }))
  expect(fingerprintOf({ a: [1, 2] })).not.toBe(fingerprintOf({ a: [2, 1] }))
})
