// The database that the last release left behind migrates to today's: the same structure as a new one, its rows in place, its histories read.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { checkout } from '@stepcast/local'
import { createPool, migrate, type Migration } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { migrations as gateway } from '../../../apps/gateway/src/migrations'
import { migrations as inapp } from '../../../apps/inapp-dispatcher/src/tables'
import { migrations as metrics } from '../../../apps/metrics-svc/src/tables'
import { migrations as orchestrator } from '../../../apps/orchestrator/src/migrations'
import { loadSequences } from '../../../apps/orchestrator/src/sql/sequences'
import { storyOf } from '../../../apps/orchestrator/src/story'
import { migrations as people } from '../../../apps/people-svc/src/migrations'
import { migrations as sends } from '../../../apps/send-svc/src/migrations'
import { migrations as templates } from '../../../apps/template-svc/src/migrations'
import { dispatcherMigrations } from '../../../libs/channel/src/migrations'
import { LinksAndStatuses1764000000001 } from '../../../libs/channel/src/paidTables'
import { Unsubscribes1764900000001 } from '../../../libs/channel/src/unsubscribes'
import { releasedFolder } from './oldTree'

const services: Readonly<Record<string, readonly Migration[]>> = {
  gateway,
  inapp_dispatcher: inapp,
  metrics_svc: metrics,
  orchestrator,
  people_svc: people,
  send_svc: sends,
  template_svc: templates,
  push_dispatcher: dispatcherMigrations,
  sms_dispatcher: [...dispatcherMigrations, LinksAndStatuses1764000000001, Unsubscribes1764900000001],
  messenger_dispatcher: [...dispatcherMigrations, LinksAndStatuses1764000000001],
}

let stack: SpecStack
let released: Client
let fresh: Client

async function databaseOf(name: string, prepare: (client: Client) => Promise<void>): Promise<Client> {
  const admin = new Client({ connectionString: stack.databaseUrl })
  await admin.connect()
  const { rows } = await admin.query<{ name: string }>('SELECT current_database() AS name')
  const database = `${rows[0]!.name}_${name}`
  await admin.query(`CREATE DATABASE ${database}`)
  await admin.end()
  const databaseUrl = new URL(stack.databaseUrl)
  databaseUrl.pathname = `/${database}`
  const client = new Client({ connectionString: databaseUrl.toString() })
  await client.connect()
  try {
    await prepare(client)
    for (const [schema, migrations] of Object.entries(services))
      await migrate({ databaseUrl: databaseUrl.toString(), schema, applicationName: 'spec', migrations })
    return client
  } catch (error) {
    await client.end()
    throw error
  }
}

async function drop(client: Client | undefined): Promise<void> {
  if (client === undefined) return
  const { database } = client
  await client.end()
  const admin = new Client({ connectionString: stack.databaseUrl })
  await admin.connect()
  await admin.query(`DROP DATABASE ${database} WITH (FORCE)`)
  await admin.end()
}

beforeAll(async () => {
  stack = await specStack(__filename)
  released = await databaseOf(
    'released',
    async (client) => void (await client.query(readFileSync(join(checkout, releasedFolder, 'database.sql'), 'utf8'))),
  )
  fresh = await databaseOf('fresh', async () => {})
})
afterAll(async () => {
  await drop(released)
  await drop(fresh)
  await stack?.stop()
})

// Partitions of days differ by the day; the order of columns by when they were added.
const structureSql = `
SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS line
FROM information_schema.columns WHERE table_schema = ANY($1) AND table_name !~ '_[0-9]{8}$'
UNION ALL SELECT tgrelid::regclass || ' ' || pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = ANY($1) AND NOT tgisinternal
UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = ANY($1) AND prokind = 'f'
UNION ALL SELECT schemaname || '.' || viewname || ' ' || definition FROM pg_views WHERE schemaname = ANY($1)
UNION ALL SELECT schemaname || '.' || regexp_replace(indexdef, '^CREATE ', '') FROM pg_indexes WHERE schemaname = ANY($1) AND tablename !~ '_[0-9]{8}$'
ORDER BY 1`

it('has the structure of a new installation', async () => {
  const structure = async (client: Client): Promise<string[]> =>
    (await client.query<{ line: string }>(structureSql, [Object.keys(services)])).rows.map(({ line }) => line)
  const now = await structure(released)
  expect(now.length).toBeGreaterThan(200)
  expect(now).toEqual(await structure(fresh))
})

it('has kept its rows', async () => {
  const { rows } = await released.query<{ heads: number; people: number; ledger: number; counted: number }>(
    `SELECT (SELECT count(*)::int FROM orchestrator.sequences) AS heads, (SELECT count(*)::int FROM people_svc.users) AS people,
            (SELECT count(*)::int FROM push_dispatcher.messages) AS ledger, (SELECT count(*)::int FROM metrics_svc.sequences) AS counted`,
  )
  for (const n of Object.values(rows[0]!)) expect(n).toBeGreaterThan(0)
})

it('every stored sequence is read, and its story told', async () => {
  const { rows } = await released.query<{ id: string; workspace: string }>(
    'SELECT sequence_id AS id, workspace_id AS workspace FROM orchestrator.sequences',
  )
  const databaseUrl = new URL(stack.databaseUrl)
  databaseUrl.pathname = `/${released.database}`
  const pool = createPool({ databaseUrl: databaseUrl.toString(), schema: 'orchestrator', applicationName: 'spec' })
  try {
    expect(
      await loadSequences(
        pool,
        rows.map(({ id }) => id),
      ),
    ).toHaveLength(rows.length)
    const states = new Set<string>()
    for (const { id, workspace } of rows) states.add((await storyOf(pool, workspace, id))!.state)
    expect(states).toEqual(new Set(['running', 'ended']))
  } finally {
    await pool.end()
  }
})
