import { Socket } from 'node:net'
import { Client, type Pool } from 'pg'
import { specStack, type SpecStack } from '@stepcast/testing'
import { createPool, inTransaction, withPatience } from './index'

let stack: SpecStack
let pool: Pool
const clients: Client[] = []
beforeAll(async () => {
  stack = await specStack(__filename)
  pool = createPool({ databaseUrl: stack.databaseUrl, schema: 'public', applicationName: 'spec' })
  await pool.query('CREATE TABLE things (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO things SELECT generate_series(1, 9)')
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})))
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

/** A session that holds a row; `ended` tells whether it was disconnected. */
async function holding(id: number): Promise<{ client: Client; ended: () => boolean }> {
  const client = new Client({ connectionString: stack.databaseUrl })
  let isEnded = false
  client.on('error', () => (isEnded = true))
  clients.push(client)
  await client.connect()
  await client.query('BEGIN')
  await client.query(`SELECT FROM things WHERE id = ${id} FOR UPDATE`)
  return { client, ended: () => isEnded }
}

/** How long the row is waited for, milliseconds. */
async function waitFor(id: number): Promise<number> {
  const before = Date.now()
  await inTransaction(pool, (tx) => withPatience(pool, tx, () => tx.query(`SELECT FROM things WHERE id = ${id} FOR UPDATE`)))
  return Date.now() - before
}

it('a holder at work is left alone, however long its transaction takes', async () => {
  const { client, ended } = await holding(1)
  const waited = waitFor(1)
  for (const end = Date.now() + 7_000; Date.now() < end; ) await client.query('SELECT pg_sleep(0.2)')
  await client.query('COMMIT')
  expect(await waited).toBeGreaterThan(6_000)
  expect(ended()).toBe(false)
})

it('so is one statement of several seconds', async () => {
  const { client, ended } = await holding(2)
  const waited = waitFor(2)
  await client.query('SELECT pg_sleep(7)')
  await client.query('COMMIT')
  expect(await waited).toBeGreaterThan(6_000)
  expect(ended()).toBe(false)
})

it('who stands still inside its transaction is ended', async () => {
  const { ended } = await holding(3)
  expect(await waitFor(3)).toBeLessThan(8_000)
  expect(ended()).toBe(true)
})

it('who was stopped while the server writes to it is ended', async () => {
  const { client } = await holding(4)
  // As a stopped process: nothing is read from the socket any more.
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  client.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)").catch(() => {})
  stream.pause()
  expect(await waitFor(4)).toBeLessThan(12_000)
})

it('who stands still behind the holder is ended, the holder goes on', async () => {
  const still = await holding(5)
  const middle = await holding(6)
  const blocked = middle.client.query('UPDATE things SET n = 1 WHERE id = 5')
  const waited = waitFor(6)
  await blocked
  await middle.client.query('COMMIT')
  expect(await waited).toBeLessThan(10_000)
  expect([still.ended(), middle.ended()]).toEqual([true, false])
})
