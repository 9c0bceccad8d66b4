// What a new owner asks of a cursor while the last one stands still inside its turn.
import { createPool, inTransaction, migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import type { Pool } from 'pg'
import { migrations } from '../migrations'
import { insertCursor, lockCursor } from './cursor'

let stack: SpecStack
let pool: Pool

beforeAll(async () => {
  stack = await specStack(__filename)
  const settings = { databaseUrl: stack.databaseUrl, schema: 'orchestrator', applicationName: 'spec' }
  await migrate({ ...settings, migrations })
  pool = createPool(settings)
})
afterAll(async () => {
  await pool?.end()
  await stack?.stop()
})

const start = { sends: 5, engagements: 7 }

it('is made where there is none, and left as it is where there is one', async () => {
  await insertCursor(pool, 1, 'cluster', start)
  await insertCursor(pool, 1, 'cluster', { sends: 0, engagements: 0 })
  const cursor = await inTransaction(pool, (tx) => lockCursor(pool, tx, 1))
  expect(cursor).toMatchObject({ clusterId: 'cluster', sendsOffset: 5, engagementsOffset: 7, logPosition: 0 })
})

it('of a turn that has written it and never ends: asking for one does not wait, and locking it ends that turn', async () => {
  await insertCursor(pool, 2, 'cluster', start)
  const stopped = await pool.connect()
  stopped.on('error', () => {})
  await stopped.query('BEGIN')
  await stopped.query('UPDATE cursors SET sends_offset = 9 WHERE partition = 2')
  const askedAt = Date.now()
  await insertCursor(pool, 2, 'cluster', start)
  expect(Date.now() - askedAt).toBeLessThan(1_000)
  expect(await inTransaction(pool, (tx) => lockCursor(pool, tx, 2))).toMatchObject({ sendsOffset: 5 })
  stopped.release(true)
})
