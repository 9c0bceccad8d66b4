// Retention on a real database: what goes, what stays, and that no turn notices.
import { Pool } from 'pg'
import {
  messageIdOf,
  partitionOf,
  sequenceIdOf,
  templateVersionKey,
  topics,
  type EngagementKind,
  type TemplateChanged,
} from '@stepcast/contracts'
import { silentLog, type KafkaConnection } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import { startService, type RunningService } from '@stepcast/service'
import {
  engagementReported,
  eventually,
  produceEngagements,
  produceSends,
  sendRequested,
  specPartitions,
  specStack,
  watchTopic,
  type SpecStack,
  type WatchedTopic,
} from '@stepcast/testing'
import { AppModule } from './app.module'
import { retire, type RetentionOptions, type Retired } from './retention'
import { ensureChangePartitions } from './sql/changes'
import { dropDay } from './sql/retention'

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let pool: Pool

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
  pool = new Pool({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator', max: 8 })
  // The service retires old days itself when it starts, once a day: it would take the first of ours away.
  await eventually(async () =>
    /last_success_timestamp_seconds\{[^}]*task="retention"/.test(await (await fetch(`${service.url}/metrics`)).text()),
  )
})
afterAll(async () => {
  await pool.end()
  await service.stop()
  await stack.stop()
})

// ── Days long ago ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const daysAgo = (days: number): string => new Date(Date.now() - days * 24 * 3_600_000).toISOString().slice(0, 10)
const tableOf = (day: string): string => `changes_${day.replaceAll('-', '')}`
const uuidOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
// Beyond the partitions that the engine in this spec writes.
const partition = 100

/** A day with sequences that started on it; the first `running` of them have not ended. */
async function makeDay(
  day: string,
  { first, count, running = 0, unpublished = false }: { first: number; count: number; running?: number; unpublished?: boolean },
): Promise<void> {
  await pool.query(`CREATE TABLE ${tableOf(day)} PARTITION OF changes FOR VALUES FROM ('${day}') TO ('${day}'::date + 1)`)
  await pool.query(
    `INSERT INTO cursors (partition, cluster_id, log_position, published_position)
     VALUES ($1, 'spec', 1000000, 1000000) ON CONFLICT DO NOTHING`,
    [partition],
  )
  const ids = Array.from({ length: count }, (_, n) => uuidOf(first + n))
  await pool.query(
    `INSERT INTO sequences (sequence_id, started_on, partition, outcome, template_version, workspace_id, send_id, user_id, template_id)
     SELECT id, $2, $3, CASE WHEN n <= $4 THEN NULL ELSE 0 END, 1, 'w', 'old', 'u' || n, 't'
     FROM unnest($1::uuid[]) WITH ORDINALITY AS h (id, n)`,
    [ids, day, partition, running],
  )
  await pool.query(
    `INSERT INTO changes (started_on, sequence_id, version, partition, position, data)
     SELECT $2, id, 1, $3, $4 + n, '\\x00' FROM unnest($1::uuid[]) WITH ORDINALITY AS c (id, n)`,
    [ids, day, partition, unpublished ? 1_000_000 : first],
  )
}

const options = (more: Partial<RetentionOptions> = {}): RetentionOptions => ({
  pool,
  log: silentLog,
  changesKeptDays: 90,
  headsKeptDays: 30,
  goOn: () => true,
  ...more,
})

async function retired(more: Partial<RetentionOptions> = {}): Promise<Retired> {
  const did = await retire(options(more))
  if (did === null) throw new Error('another process held the lock')
  return did
}

const isThere = async (day: string): Promise<boolean> =>
  (await pool.query('SELECT to_regclass($1) AS name', [tableOf(day)])).rows[0].name !== null
const headsOf = async (day: string): Promise<number> =>
  (await pool.query('SELECT count(*)::int AS count FROM sequences WHERE started_on = $1', [day])).rows[0].count

it('drops a day over 90 days old where no sequence runs; keeps younger ones, and one with a running sequence until that ends', async () => {
  const [old, alive, young] = [daysAgo(92), daysAgo(91), daysAgo(90)]
  await makeDay(old, { first: 1_000, count: 50 })
  await makeDay(alive, { first: 2_000, count: 50, running: 1 })
  await makeDay(young, { first: 3_000, count: 50 })
  expect(await retired()).toMatchObject({ dropped: [old], kept: [{ day: alive, because: 'running' }] })
  expect(await Promise.all([old, alive, young, daysAgo(0)].map(isThere))).toEqual([false, true, true, true])
  expect(await headsOf(old)).toBe(50)
  await pool.query('UPDATE sequences SET outcome = 1 WHERE outcome IS NULL AND started_on = $1', [alive])
  expect(await retired()).toMatchObject({ dropped: [alive], kept: [] })
  expect(await retired({ changesKeptDays: 91 })).toMatchObject({ dropped: [], kept: [] })
  expect(await isThere(young)).toBe(true)
})

it('keeps a day with a change that Kafka may not have, and drops it when it has', async () => {
  const day = daysAgo(100)
  await makeDay(day, { first: 4_000, count: 5, unpublished: true })
  expect(await retired()).toMatchObject({ dropped: [], kept: [{ day, because: 'unpublished' }] })
  await pool.query('UPDATE cursors SET published_position = 2000000, log_position = 2000000 WHERE partition = $1', [partition])
  expect(await retired()).toMatchObject({ dropped: [day] })
})

it('heads stay 30 days after their day was dropped, when all of them had ended, and no other head goes with them', async () => {
  const day = daysAgo(130)
  await makeDay(day, { first: 10_000, count: 5_000 })
  await retired()
  // Dropped 29 days ago: they stay, however long ago they started.
  await pool.query(`UPDATE retired_days SET dropped_at = now() - interval '29 days' WHERE started_on = $1`, [day])
  expect((await retired()).headsPurged).toBe(0)
  expect(await headsOf(day)).toBe(5_000)
  const others = (await pool.query('SELECT count(*)::int AS count FROM sequences WHERE started_on <> $1', [day])).rows[0].count
  await pool.query(`UPDATE retired_days SET dropped_at = now() - interval '31 days' WHERE started_on = $1`, [day])
  expect((await retired()).headsPurged).toBe(5_000)
  expect((await pool.query('SELECT count(*)::int AS count FROM sequences')).rows[0].count).toBe(others)
  expect((await retired()).headsPurged).toBe(0)
})

it('waits for a turn at most 200 ms at a time, and lets other turns pass meanwhile', async () => {
  const day = daysAgo(110)
  await makeDay(day, { first: 20_000, count: 5 })
  const turn = await pool.connect()
  await turn.query('BEGIN')
  const change = (id: number): [string, unknown[]] => [
    `INSERT INTO changes (started_on, sequence_id, version, partition, position, data) VALUES ($1, $2, 1, 0, $3, '\\x00')`,
    [daysAgo(0), uuidOf(id), id],
  ]
  await turn.query(...change(900_001))
  let done = false
  const retiring = retired().finally(() => (done = true))
  let longestMs = 0
  for (let n = 0; n < 100; n++) {
    const startedAt = performance.now()
    await pool.query(...change(910_000 + n))
    longestMs = Math.max(longestMs, performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(done).toBe(false)
  // 200 ms, and room for a busy machine; without a lock timeout it would be as long as the turn.
  expect(longestMs).toBeLessThan(1_000)
  await turn.query('COMMIT')
  turn.release()
  expect((await retiring).dropped).toEqual([day])
  await pool.query('DELETE FROM changes WHERE position >= 900000 AND partition = 0')
})

it('gives up a day that stays locked, and drops it the next time', async () => {
  const day = daysAgo(111)
  await makeDay(day, { first: 21_000, count: 5 })
  const backup = await pool.connect()
  await backup.query('BEGIN')
  await backup.query('LOCK TABLE changes IN ACCESS SHARE MODE')
  const whileLocked = await retired()
  await backup.query('COMMIT')
  backup.release()
  expect(whileLocked).toMatchObject({ dropped: [], kept: [{ day, because: 'busy' }] })
  expect((await retired()).dropped).toEqual([day])
})

it('two orchestrators at the same time do the work once', async () => {
  const day = daysAgo(112)
  await makeDay(day, { first: 22_000, count: 5 })
  const did = await Promise.all([retire(options()), retire(options()), retire(options())])
  expect(did.flatMap((one) => one?.dropped ?? [])).toEqual([day])
  expect(did.filter((one) => one === null).length).toBeGreaterThan(0)
})

// ── What comes late ───────────────────────────────────────────────────────────────────────────────────────────────────────

it('an engagement for a sequence whose day was dropped, even one still in memory, waits as an early one and stops nothing', async () => {
  const producer = await connection.producer()
  const watched: WatchedTopic<'DispatchStep'> = await watchTopic(connection, topics.inAppCommands)
  const template: TemplateChanged = {
    workspaceId: 'w',
    templateId: 'welcome',
    changedAt: Date.now(),
    change: {
      type: 'TemplateApproved',
      version: 1,
      name: 'welcome',
      category: 'Custom',
      variableSchema: '[]',
      channels: JSON.stringify([{ channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } }]),
      config: JSON.stringify({ sequenceEnabled: false }),
    },
  }
  await producer.send(topics.templates, [{ key: templateVersionKey('w', 'welcome', 1), value: template }])
  const send = (userId: string): Promise<void> => produceSends(connection, [sendRequested('welcome', 's', userId)])
  const report = (userId: string, kind: EngagementKind): Promise<void> =>
    produceEngagements(connection, [engagementReported(messageIdOf(sequenceIdOf('w', 's', userId), 1, 'in_app'), kind)])
  const commanded = (userId: string): Promise<unknown> => eventually(() => watched.values().some((command) => command.userId === userId))
  const outcomeOf = async (userId: string): Promise<number | null> =>
    (await pool.query('SELECT outcome FROM sequences WHERE sequence_id = $1', [sequenceIdOf('w', 's', userId)])).rows[0]?.outcome ?? null

  await send('late')
  await commanded('late')
  await report('late', 'requested')
  await eventually(async () => (await outcomeOf('late')) !== null)
  // Said again it changes nothing, but its turn remembers what was published before it.
  await eventually(
    async () => {
      await report('late', 'requested')
      return (await inTransaction(pool, (tx) => dropDay(tx, daysAgo(0)))) === 'dropped'
    },
    { everyMs: 300 },
  )
  await report('late', 'clicked')
  await eventually(async () => ((await pool.query(`SELECT FROM early_engagements WHERE kind = 'clicked'`)).rowCount ?? 0) === 1)

  await ensureChangePartitions(pool)
  const home = partitionOf(sequenceIdOf('w', 's', 'late'), specPartitions)
  const neighbour = Array.from({ length: 100 }, (_, n) => `u${n}`).find(
    (userId) => partitionOf(sequenceIdOf('w', 's', userId), specPartitions) === home,
  )!
  await send(neighbour)
  await commanded(neighbour)
})
