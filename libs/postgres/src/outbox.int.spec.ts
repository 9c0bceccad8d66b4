import type { Pool } from 'pg'
import { topics, type WorkspaceChanged } from '@stepcast/contracts'
import { keepUnpublishable } from '@stepcast/kafka'
import { eventually, readDeadLetters, specStack, watchTopic, type SpecStack, type WatchedTopic } from '@stepcast/testing'
import { createPool, enqueue, enqueueTogether, inTransaction, migrate, OutboxRelay, outboxTableSql, type OutboxProducer } from './index'

let stack: SpecStack
let pool: Pool
let watched: WatchedTopic<'WorkspaceChanged'>

class Tables1 {
  readonly name = 'Tables1763800000000'
  async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
    await runner.query(outboxTableSql)
  }
  async down(): Promise<void> {}
}

beforeAll(async () => {
  stack = await specStack(__filename)
  const settings = { databaseUrl: stack.databaseUrl, schema: 'spec_svc', applicationName: 'spec' }
  // Two processes of a service may start together.
  await Promise.all([migrate({ ...settings, migrations: [Tables1] }), migrate({ ...settings, migrations: [Tables1] })])
  pool = createPool(settings)
  watched = await watchTopic(stack.connection(), topics.workspaces)
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

const record = (workspaceId: string, n: number): { topic: typeof topics.workspaces; key: string; value: WorkspaceChanged } => ({
  topic: topics.workspaces,
  key: workspaceId,
  value: { workspaceId, settings: String(n), updatedAt: n },
})

function relayOf(producer?: () => Promise<OutboxProducer>): OutboxRelay {
  const connection = stack.connection()
  return new OutboxRelay({
    pool,
    producer: producer ?? (() => connection.producer()),
    topics: [topics.workspaces],
    onError: () => {},
    setAside: keepUnpublishable(connection),
  })
}

it('what is committed is published in order per key and acknowledged, what is rolled back never', async () => {
  const relays = [relayOf(), relayOf()]
  relays.forEach((relay) => relay.start())
  await expect(
    inTransaction(pool, async (tx) => {
      await enqueue(tx, [record('rolled-back', 1)])
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  // Two processes write and relay at once.
  await Promise.all(
    relays.map(async (relay, writer) => {
      for (let n = 0; n < 30; n++) {
        const ids = await inTransaction(pool, (tx) => enqueue(tx, [record(`w${writer}`, n)]))
        expect(await relay.published(ids)).toBe(true)
      }
    }),
  )
  await eventually(() => watched.values().length >= 60)
  for (const writer of ['w0', 'w1']) {
    const seen = watched
      .values()
      .filter(({ workspaceId }) => workspaceId === writer)
      .map(({ updatedAt }) => updatedAt)
    expect([...new Set(seen)]).toEqual(Array.from({ length: 30 }, (_, n) => n))
  }
  expect(watched.values().some(({ workspaceId }) => workspaceId === 'rolled-back')).toBe(false)
  await Promise.all(relays.map((relay) => relay.stop()))
})

it('while Kafka is away the writer is told so in time, and the record is published later', async () => {
  let away = true
  const connection = stack.connection()
  const relay = relayOf(async () => {
    if (away) throw new Error('Kafka is away')
    return connection.producer()
  })
  relay.start()
  const ids = await inTransaction(pool, (tx) => enqueue(tx, [record('later', 1)]))
  const before = Date.now()
  expect(await relay.published(ids, { timeoutMs: 300 })).toBe(false)
  expect(Date.now() - before).toBeLessThan(2_000)
  away = false
  relay.kick()
  await eventually(() => watched.values().some(({ workspaceId }) => workspaceId === 'later'))
  await relay.stop()
})

it('records stored together are published in their order, with their own traces, between those before and after', async () => {
  const relay = relayOf()
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await inTransaction(pool, async (tx) => {
    await enqueue(tx, [record('together', 1)])
    const [second, third] = [record('together', 2), record('together', 3)]
    await enqueueTogether(tx, topics.workspaces, [{ ...second, traceparent }, third])
    await enqueueTogether(tx, topics.workspaces, [])
    await enqueue(tx, [record('together', 4)])
  })
  relay.start()
  const mine = (): WatchedTopic<'WorkspaceChanged'>['records'] => watched.records.filter(({ key }) => key === 'together')
  await eventually(() => mine().length === 4)
  expect(mine().map(({ value }) => value!.updatedAt)).toEqual([1, 2, 3, 4])
  expect(mine().map(({ headers }) => headers.traceparent === traceparent)).toEqual([false, true, false, false])
  // Acknowledged first, deleted after.
  await eventually(async () => (await pool.query('SELECT FROM outbox')).rowCount === 0)
  await relay.stop()
})

// As a row of another version may be: it does not fit the schema.
const unpublishable = (workspaceId: string): ReturnType<typeof record> => ({
  ...record(workspaceId, 1),
  value: { workspaceId, settings: 5, updatedAt: 1 } as never,
})
const lettersOf = async (key: string): Promise<string[]> =>
  (await readDeadLetters(stack.connection()))
    .filter((letter) => letter.key === key)
    .map(({ headers, value }) => `${headers.topic} ${headers.partition} ${headers.reason} ${String(value)}`)

it('a row that Kafka will never take goes aside, those before and behind are published in order, its writer is told at once', async () => {
  const relay = relayOf()
  const ids = await inTransaction(pool, async (tx) => [
    ...(await enqueue(
      tx,
      Array.from({ length: 400 }, (_, n) => record('behind', n)),
    )),
    ...(await enqueue(tx, [unpublishable('bad')])),
    ...(await enqueue(
      tx,
      Array.from({ length: 300 }, (_, n) => record('behind', 400 + n)),
    )),
  ])
  relay.start()
  const before = Date.now()
  expect(await relay.published([ids[400]!], { timeoutMs: 30_000 })).toBe(false)
  expect(Date.now() - before).toBeLessThan(20_000)
  expect(await relay.published([ids[700]!], { timeoutMs: 30_000 })).toBe(true)
  const mine = (): number[] =>
    watched
      .values()
      .filter(({ workspaceId }) => workspaceId === 'behind')
      .map(({ updatedAt }) => updatedAt)
  await eventually(() => mine().includes(699))
  expect([...new Set(mine())]).toEqual(Array.from({ length: 700 }, (_, n) => n))
  expect(await lettersOf('bad')).toEqual(['stepcast.workspaces.v1 -1 unprocessable {"settings":5,"updatedAt":1,"workspaceId":"bad"}'])
  expect((await pool.query('SELECT FROM outbox')).rowCount).toBe(0)
  await relay.stop()
})

it('of records stored together only the one at fault goes aside', async () => {
  const relay = relayOf()
  await inTransaction(pool, (tx) =>
    enqueueTogether(tx, topics.workspaces, [record('three', 1), unpublishable('bad-of-three'), record('three', 3)]),
  )
  relay.start()
  await eventually(async () => (await pool.query('SELECT FROM outbox')).rowCount === 0)
  await eventually(() => watched.values().filter(({ workspaceId }) => workspaceId === 'three').length >= 2)
  expect(
    watched
      .values()
      .filter(({ workspaceId }) => workspaceId === 'three')
      .map(({ updatedAt }) => updatedAt),
  ).toEqual([1, 3])
  expect(await lettersOf('bad-of-three')).toHaveLength(1)
  await relay.stop()
})

it('an outage of any length sets nothing aside', async () => {
  const connection = stack.connection()
  let tries = 0
  const relay = relayOf(async () => {
    if (++tries <= 6) throw Object.assign(new Error('Kafka is away'), { retriable: true })
    return connection.producer()
  })
  relay.start()
  const ids = await inTransaction(pool, (tx) => enqueue(tx, [record('patient', 1)]))
  expect(await relay.published(ids, { timeoutMs: 30_000 })).toBe(true)
  expect(await lettersOf('patient')).toEqual([])
  await relay.stop()
})
