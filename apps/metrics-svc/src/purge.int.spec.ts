// The purge deletes everything that is old and nothing else, at a rate the engine does not reach.
import type { Pool } from 'pg'
import { createPool, migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { keptDays, purge } from './purge'
import { migrations, schema } from './tables'

const now = new Date('2026-11-28T12:00:00Z')

let stack: SpecStack
let pool: Pool
beforeAll(async () => {
  stack = await specStack(__filename)
  await migrate({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec', migrations })
  pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec', max: 3 })
})
afterAll(async () => {
  await pool?.end()
  await stack?.stop()
})
// Old and young lie side by side, as they do once the space of old rows is used again; every other row started at one moment.
const fill = (old: number, young: number): Promise<unknown> =>
  pool.query(
    `TRUNCATE sequences;
   INSERT INTO sequences (sequence_id, workspace_id, template_id, template_version, send_id, campaign_id, source, requested_at, started_at, state)
   SELECT gen_random_uuid(), 'w' || n % 3, 't' || n % 7, 1, 's', NULL, 'http', at, at, 'e d' FROM generate_series(1, ${old + young}) AS n,
     LATERAL (SELECT CASE WHEN n % ${(old + young) / young} = 0 THEN '2026-11-28 12:00Z'::timestamptz - interval '${keptDays} days'
       ELSE '2026-11-28 11:59:59.999Z'::timestamptz - interval '${keptDays} days' - (n % 2) * n * interval '1 ms' END AS at) AS started`,
  )

const left = async (): Promise<number> => (await pool.query('SELECT count(*) AS n FROM sequences')).rows[0].n

it('deletes 100,000 rows at once, and keeps to the millisecond what is not old yet', async () => {
  const [old, young] = [100_000, 25_000]
  await fill(old, young)
  const startedAt = performance.now()
  expect(await purge(pool, now)).toBe(old)
  const perSecond = (old / (performance.now() - startedAt)) * 1_000
  expect(await left()).toBe(young)
  // The engine's peak: 6,400 starts a second.
  expect(perSecond).toBeGreaterThan(6_400)
  expect(await purge(pool, now)).toBe(0)
})

it('is no more than what two of them delete, and waits for nobody', async () => {
  const old = 16_000
  await fill(old, 4_000)
  const fold = await pool.connect()
  await fold.query(
    `BEGIN; UPDATE sequences SET state = 'e d 1.in_app:r' WHERE sequence_id = (SELECT sequence_id FROM sequences ORDER BY started_at LIMIT 1)`,
  )
  const [one, other] = await Promise.all([purge(pool, now), purge(pool, now)])
  expect(one + other).toBe(old - 1)
  await fold.query('COMMIT')
  fold.release()
  expect(await purge(pool, now)).toBe(1)
})

it('stops after a statement when it is told to', async () => {
  const [old, young] = [40_000, 10_000]
  await fill(old, young)
  let statements = 0
  const deleted = await purge(pool, now, () => statements++ < 2)
  expect(deleted).toBeGreaterThan(0)
  expect(deleted).toBeLessThanOrEqual(10_000)
  expect(await left()).toBe(old + young - deleted)
})
