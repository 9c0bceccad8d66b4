// Migrations one at a time: whoever waits says for whom, a lock ends with its holder, and a pool that shares sessions is refused.
import { Client } from 'pg'
import { eventually, specStack, startTransactionPooler, type SpecStack } from '@stepcast/testing'
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { DatabaseOutOfReach, migrate } from './index'

class Slow1700000000001 implements MigrationInterface {
  name = 'Slow1700000000001'
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE slow (id int); SELECT pg_sleep(2)')
  }
  async down(): Promise<void> {}
}

class Concurrently1700000000002 implements MigrationInterface {
  name = 'Concurrently1700000000002'
  transaction = false
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE things (id int)')
    await runner.query('CREATE INDEX CONCURRENTLY things_by_id ON things (id)')
  }
  async down(): Promise<void> {}
}

let stack: SpecStack
beforeAll(async () => {
  stack = await specStack(__filename)
})
afterAll(() => stack.stop())

const settings = (schema: string, said: string[] = []) => ({
  databaseUrl: stack.databaseUrl,
  schema,
  applicationName: `${schema} spec`,
  onWait: (sentence: string) => void said.push(sentence),
})

it('whoever waits for another process says for which, and both are done', async () => {
  const said: string[] = []
  const first = migrate({ ...settings('one'), migrations: [Slow1700000000001] })
  await new Promise((resolve) => setTimeout(resolve, 500))
  await Promise.all([first, migrate({ ...settings('two', said), migrations: [Slow1700000000001] })])
  expect(said).toEqual([expect.stringMatching(/^waiting for another process' migrations \(pid \d+, one spec migrations\)$/)])
})

it('an index made concurrently waits neither for whoever waits nor for the lock itself', async () => {
  const before = Date.now()
  await Promise.all(['a', 'b', 'c', 'd'].map((schema) => migrate({ ...settings(schema), migrations: [Concurrently1700000000002] })))
  expect(Date.now() - before).toBeLessThan(15_000)
})

it('the lock ends with the transaction of its holder, not with a session that a pool keeps', async () => {
  const holder = migrate({ ...settings('three'), migrations: [Slow1700000000001] })
  const watcher = new Client({ connectionString: stack.databaseUrl })
  await watcher.connect()
  const locks = async (): Promise<number> =>
    (
      await watcher.query(
        `SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      )
    ).rowCount ?? 0
  await eventually(async () => (await locks()) === 1)
  // Its process dies.
  await watcher.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'three spec migrations' AND state LIKE 'idle in%'`,
  )
  await eventually(async () => (await locks()) === 0)
  await holder.catch(() => {})
  await watcher.end()
})

it.each(['refuse', 'drop', 'pass'] as const)(
  'a pool in transaction mode (options: %s) is refused before anything is made',
  async (options) => {
    const pooler = await startTransactionPooler(stack.databaseUrl, options)
    await expect(migrate({ ...settings(`pooled_${options}`), databaseUrl: pooler.url, migrations: [Slow1700000000001] })).rejects.toThrow(
      DatabaseOutOfReach,
    )
    await pooler.stop()
    const client = new Client({ connectionString: stack.databaseUrl })
    await client.connect()
    expect((await client.query(`SELECT FROM pg_namespace WHERE nspname = 'pooled_${options}'`)).rowCount).toBe(0)
    await client.end()
  },
)
