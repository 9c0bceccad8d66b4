// Housekeeping begins at start and goes on until done; and what the queue of timers costs while an old snapshot keeps its dead rows.
import type { Pool } from 'pg'
import { Registry } from 'prom-client'
import { deadLetterTopic, sequenceIdOf, topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { createPool, migrate } from '@stepcast/postgres'
import { eventually, specStack, type SpecStack } from '@stepcast/testing'
import { Housekeeping } from './housekeeping'
import { EngineMetrics } from './metrics'
import { migrations } from './migrations'
import { turnSession } from './settings'
import { agenda } from './sql/timers'

let stack: SpecStack
let connection: KafkaConnection
let pool: Pool

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  const settings = { databaseUrl: stack.databaseUrl, schema: 'orchestrator', applicationName: 'spec' }
  await migrate({ ...settings, migrations })
  pool = createPool({ ...settings, settings: turnSession })
})
afterAll(async () => {
  await pool?.end()
  await stack?.stop()
})

const housekeeping = (): Housekeeping =>
  new Housekeeping({
    turn: { pool, connection },
    metrics: new EngineMetrics(new Registry()),
    settings: { changesKeptDays: 90, headsKeptDays: 30 },
    sweep: async () => {},
  })
const count = async (what: string): Promise<number> => (await pool.query(`SELECT count(*)::int AS count FROM ${what}`)).rows[0].count

it('at start everything over its time goes, however much of it there is, and nothing else', async () => {
  await pool.query(
    `INSERT INTO early_engagements (sequence_id, message_id, kind, received_at, report, record_value, origin)
     SELECT gen_random_uuid(), 'm' || n, 'viewed', now() - CASE WHEN n <= 2000 THEN 25 ELSE 23 END * interval '1 hour', '{}', '\\x00',
       jsonb_build_object('topic', '${topics.engagements.name}', 'partition', 0, 'offset', n, 'timestamp', 1, 'headers', '{}'::jsonb) FROM generate_series(1, 2010) AS n`,
  )
  await pool.query(
    `INSERT INTO sequences (sequence_id, started_on, partition, template_version, workspace_id, send_id, user_id, template_id)
     VALUES ($1, current_date, 0, 1, 'w', 'came', 'u', 't')`,
    [sequenceIdOf('w', 'came', 'u')],
  )
  await pool.query(
    `INSERT INTO tombstones (workspace_id, scope, id, requested_at, recorded_at, seen)
     SELECT 'w', scope, id, 0, now() - age::interval, seen FROM (VALUES
       ('send', 'came', '25 hours', false), ('sequence', '${sequenceIdOf('w', 'came', 'u')}', '25 hours', false), ('send', 'came-not', '25 hours', false),
       ('sequence', '${sequenceIdOf('w', 'no', 'u')}', '25 hours', false), ('send', 'young', '23 hours', false), ('send', 'known', '29 days', true),
       ('send', 'old', '31 days', true)) AS t (scope, id, age, seen)`,
  )
  await pool.query(
    `INSERT INTO tombstones (workspace_id, scope, id, requested_at, recorded_at) SELECT 'w', 'user', 'u' || n, 0, now() - interval '31 days' FROM generate_series(1, 5000) AS n`,
  )
  const house = housekeeping()
  house.start()
  try {
    await eventually(async () => (await count('early_engagements')) === 10 && (await count('tombstones')) === 4, { withinMs: 60_000 })
  } finally {
    await house.stop()
  }
  const { rows } = await pool.query('SELECT id, seen FROM tombstones ORDER BY id')
  expect(rows).toEqual(
    expect.arrayContaining([
      { id: 'came', seen: true },
      { id: sequenceIdOf('w', 'came', 'u'), seen: true },
      { id: 'known', seen: true },
      { id: 'young', seen: false },
    ]),
  )
  const letters = [...(await connection.endOffsets(deadLetterTopic.name)).values()].reduce((sum, end) => sum + end, 0)
  expect(letters).toBe(2000)
})

it('one task that fails keeps none of the others', async () => {
  await pool.query('ALTER TABLE early_engagements RENAME TO mislaid')
  await pool.query(
    `INSERT INTO tombstones (workspace_id, scope, id, requested_at, recorded_at) VALUES ('w', 'user', 'again', 0, now() - interval '31 days')`,
  )
  const house = housekeeping()
  house.start()
  try {
    await eventually(async () => (await count(`tombstones WHERE id = 'again'`)) === 0, { withinMs: 30_000 })
  } finally {
    await house.stop()
    await pool.query('ALTER TABLE mislaid RENAME TO early_engagements')
  }
})

it('while a snapshot is open, 50,000 timers that have fired are not read again', async () => {
  const now = Date.now()
  await pool.query(
    `INSERT INTO timers (due_at, sequence_id, partition) SELECT $1::bigint + n, gen_random_uuid(), 1 FROM generate_series(1, 50000) AS n`,
    [now],
  )
  await pool.query('ANALYZE timers')
  const backup = await pool.connect()
  await backup.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ')
  await backup.query('SELECT count(*) FROM timers')
  try {
    await pool.query('DELETE FROM timers WHERE due_at <= $1', [now + 49_990])
    const blocks = async (from: number): Promise<number> => {
      const { rows } = await pool.query(
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT due_at FROM timers t WHERE t.partition = 1 AND t.due_at >= ${from} ORDER BY due_at LIMIT 1`,
      )
      const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } = rows[0]['QUERY PLAN'][0].Plan
      return hit + read
    }
    const { agendas } = await agenda(pool, [{ partition: 1, from: 0 }])
    expect(agendas).toMatchObject([{ nextDueAt: now + 49_991 }])
    const [without, withBound] = [await blocks(0), await blocks(agendas[0]!.nextDueAt!)]
    console.info(`blocks read to find the next timer: ${without} from the beginning, ${withBound} from the last one known`)
    expect(withBound).toBeLessThan(20)
    expect(without).toBeGreaterThan(10 * withBound)
    expect((await agenda(pool, [{ partition: 1, from: now + 49_991 }])).agendas).toMatchObject([{ nextDueAt: now + 49_991 }])
  } finally {
    await backup.query('COMMIT')
    backup.release()
  }
})
