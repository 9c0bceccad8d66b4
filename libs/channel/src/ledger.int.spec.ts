// What the ledger's statements read of tables of some size, whatever statistics PostgreSQL has: their own rows, not the rest.
import type { Pool } from 'pg'
import { createPool, inTransaction, migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { ledgerSettings } from './dispatcher'
import { begin, claim, dueWorkspaces, nextDeadlineInMs, overdue, purge } from './ledger'
import { dispatcherMigrations } from './migrations'

const rowsOfEach = 20_000
// Of any plan that looks up what it needs; one that reads the queue, the ledger or its messages from end to end is at 20,000.
const fewRows = 1_000
const take = 40
const leaseMs = 15_000

let stack: SpecStack
let pool: Pool

beforeAll(async () => {
  stack = await specStack(__filename)
})
afterAll(() => stack.stop())
afterEach(() => pool.end())

/** The tables of a dispatcher, where only a spec takes statistics. */
async function openLedger(schema: string): Promise<void> {
  const place = { databaseUrl: stack.databaseUrl, schema, applicationName: 'spec' }
  await migrate({ ...place, migrations: dispatcherMigrations })
  pool = createPool({ ...place, settings: ledgerSettings })
  await pool.query('ALTER TABLE messages SET (autovacuum_enabled = off); ALTER TABLE ledger SET (autovacuum_enabled = off)')
}

/** Messages of one target each that came between two ages, settled or due. */
async function fill(
  name: string,
  state: 'accepted' | 'pending',
  { count, fromDays, toDays }: { count: number; fromDays: number; toDays: number },
): Promise<void> {
  await pool.query(`
    WITH message AS (
      INSERT INTO messages (message_id, workspace_id, user_id, template_id, template_version, variables, expires_at, received_at)
      SELECT md5('${name}' || n), 'w' || n % 4, 'u' || n, 't', 1, '{}', now() + interval '1 hour',
        now() - ${fromDays} * interval '1 day' + n * ${fromDays - toDays} * interval '1 day' / ${count}
      FROM generate_series(1, ${count}) AS n RETURNING message_id, workspace_id, expires_at
    )
    INSERT INTO ledger (message_id, target, provider, workspace_id, state, due_at, deadline_at)
    SELECT message_id, 'phone', 'fcm', workspace_id, '${state}',
      CASE '${state}' WHEN 'pending' THEN now() END, CASE '${state}' WHEN 'pending' THEN expires_at END FROM message`)
}

/** How many rows of messages and ledger some work fetched, by PostgreSQL's count. */
function rowsRead(work: (db: Pool) => Promise<unknown>): Promise<number> {
  return inTransaction(pool, async (tx) => {
    const count = async (): Promise<number> => {
      const { rows } = await tx.query<{ read: number }>(
        `SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int AS read FROM pg_stat_xact_user_tables
         WHERE schemaname = current_schema() AND relname IN ('messages', 'ledger')`,
      )
      return rows[0]!.read
    }
    const before = await count()
    await work(tx as unknown as Pool)
    return (await count()) - before
  })
}

const statisticsOf = ['no hour', 'a quiet hour', 'this hour'] as const

it.each(statisticsOf)('a backlog is sent and what is old goes without reading the rest, with statistics of %s', async (statistics) => {
  await openLedger(statistics.replaceAll(' ', '_'))
  await fill('settled', 'accepted', { count: rowsOfEach, fromDays: 29, toDays: 0 })
  if (statistics === 'a quiet hour') await pool.query('ANALYZE')
  await fill('due', 'pending', { count: rowsOfEach, fromDays: 0, toDays: 0 })
  await fill('old', 'accepted', { count: 50, fromDays: 40, toDays: 31 })
  if (statistics === 'this hour') await pool.query('ANALYZE')

  const shares = [0, 1, 2, 3].map((n) => ({ workspaceId: `w${n}`, take: take / 4 }))
  const claimed = await claim(pool, 'fcm', shares, leaseMs)
  expect(claimed).toHaveLength(take)
  const read = {
    claim: await rowsRead((db) => claim(db, 'fcm', shares, leaseMs)),
    begin: await rowsRead(async (db) => expect((await begin(db, claimed, leaseMs)).size).toBe(take)),
    dueWorkspaces: await rowsRead(async (db) => expect(await dueWorkspaces(db, 'fcm')).toHaveLength(4)),
    overdue: await rowsRead((db) => overdue(db, 500)),
    nextDeadline: await rowsRead(nextDeadlineInMs),
    purge: await rowsRead(async (db) => expect(await purge(db, 2_000)).toBe(50)),
    purgeOfNothing: await rowsRead(async (db) => expect(await purge(db, 2_000)).toBe(0)),
  }
  expect(Object.entries(read).filter(([, rows]) => rows > fewRows)).toEqual([])
})

it('what is old is found at once although the room of what was old before is used again', async () => {
  await openLedger('used_again')
  await fill('old', 'accepted', { count: rowsOfEach, fromDays: 40, toDays: 31 })
  while ((await purge(pool, 5_000)) > 0);
  await pool.query('VACUUM ANALYZE messages')
  await fill('new', 'accepted', { count: rowsOfEach, fromDays: 9, toDays: 0 })
  expect(await rowsRead(async (db) => expect(await purge(db, 2_000)).toBe(0))).toBeLessThan(fewRows)
})

it('what may still be attempted outlives its age', async () => {
  await openLedger('still_open')
  await fill('old', 'accepted', { count: 10, fromDays: 40, toDays: 31 })
  await fill('waits', 'pending', { count: 10, fromDays: 40, toDays: 31 })
  expect(await purge(pool, 2_000)).toBe(10)
  const { rows } = await pool.query('SELECT state, count(*)::int AS targets FROM ledger GROUP BY state')
  expect(rows).toEqual([{ state: 'pending', targets: 10 }])
})
