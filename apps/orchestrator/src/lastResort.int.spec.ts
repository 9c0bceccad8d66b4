// One input of each kind that no turn can work off, planted in the spec's own database: it goes aside alone, once, and its neighbours go on.
import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { messageIdOf, partitionOf, sequenceIdOf, topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { startService, type RunningService } from '@stepcast/service'
import {
  approveTwoSteps,
  engagementReported,
  eventually,
  produceEngagements,
  produceSends,
  sendRequested,
  specPartitions,
  specStack,
  watchDeadLetters,
  watchTopic,
  type SpecStack,
  type WatchedDeadLetters,
  type WatchedTopic,
} from '@stepcast/testing'
import { AppModule } from './app.module'

let stack: SpecStack
let connection: KafkaConnection
let database: Client
let inApp: WatchedTopic<'DispatchStep'>
let pushes: WatchedTopic<'DispatchStep'>
let dead: WatchedDeadLetters
let service: RunningService

const start = async (): Promise<void> => {
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
}
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  ;[inApp, pushes, dead] = await Promise.all([
    watchTopic(connection, topics.inAppCommands),
    watchTopic(connection, topics.pushCommands),
    watchDeadLetters(connection),
  ])
  // Long enough for a slow machine to stop the service and spoil what is stored before the first timer fires.
  await Promise.all([approveTwoSteps(connection, 'short', 15), approveTwoSteps(connection, 'long', 1440)])
  await start()
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  // An error of the input's kind, as PostgreSQL gives it for a text it cannot hold.
  await database.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'invalid byte sequence for encoding "UTF8": 0x00' USING ERRCODE = '22021'; END $$;
    CREATE TRIGGER refuse_heads BEFORE INSERT ON sequences FOR EACH ROW WHEN (NEW.user_id LIKE 'poison%') EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse_changes BEFORE INSERT ON changes FOR EACH ROW WHEN (position('venom'::bytea IN NEW.data) > 0) EXECUTE FUNCTION refuse()`)
})
afterAll(async () => {
  await database.end()
  await service.stop()
  await stack.stop()
})

const idOf = (sendId: string, userId: string): string => sequenceIdOf('w', sendId, userId)
/** Who was commanded a step of a send, as often as it was commanded. */
const commanded = (watched: WatchedTopic<'DispatchStep'>, sendId: string): string[] =>
  watched
    .values()
    .filter((command) => command.sendId === sendId && command.action === 'send')
    .map(({ userId }) => userId)
    .sort()
const unprocessable = (topic: string): typeof dead.letters =>
  dead.letters.filter(({ headers }) => headers.reason === 'unprocessable' && headers.topic === topic)
const users = (count: number): string[] => Array.from({ length: count }, (_, n) => `user-${String(n).padStart(3, '0')}`)
/** A user whose sequence of this send lives in partition 0, where neighbours are. */
function inPartition0(sendId: string, name: string): string {
  for (let n = 0; ; n++) if (partitionOf(idOf(sendId, `${name}-${n}`), specPartitions) === 0) return `${name}-${n}`
}
const outcomes = async (sendId: string): Promise<Record<string, number>> => {
  const { rows } = await database.query<{ outcome: number | null; count: number }>(
    'SELECT outcome, count(*)::int AS count FROM sequences WHERE send_id = $1 GROUP BY outcome',
    [sendId],
  )
  return Object.fromEntries(rows.map(({ outcome, count }) => [String(outcome), count]))
}

it('a send: one dead letter, with its bytes and origin but none of the error’s words; every other is started once', async () => {
  const poison = inPartition0('sends', 'poison')
  const good = users(300)
  const all = [...good.slice(0, 200), poison, ...good.slice(200)]
  await produceSends(
    connection,
    all.map((userId) => sendRequested('long', 'sends', userId)),
  )
  await eventually(() => new Set(commanded(inApp, 'sends')).size === good.length, { withinMs: 60_000 })
  await eventually(() => unprocessable(topics.sends.name).length === 1)
  // What comes behind goes on, and nothing is repeated.
  await produceSends(connection, [sendRequested('long', 'sends', 'latecomer')])
  await eventually(() => commanded(inApp, 'sends').includes('latecomer'))
  expect(commanded(inApp, 'sends')).toEqual(['latecomer', ...good])
  const [{ headers, value }] = unprocessable(topics.sends.name) as [(typeof dead.letters)[number]]
  expect(headers.detail).toContain('22021')
  expect(headers.detail).not.toContain('UTF8')
  expect(value!.includes(poison)).toBe(true)
  expect(dead.letters.filter(({ headers: { reason } }) => reason === 'unprocessable')).toHaveLength(1)
})

it('letters that the same turns write are written once, however often they are tried', async () => {
  const refused = { messageId: messageIdOf(idOf('sends', 'user-000'), 2, 'push') }
  // Of step 2, which was never commanded: a letter of the turn itself.
  const partition = partitionOf(idOf('sends', 'user-000'), specPartitions)
  const poisoned = users(300).find((userId) => userId !== 'user-000' && partitionOf(idOf('sends', userId), specPartitions) === partition)!
  await produceEngagements(connection, [
    engagementReported(refused.messageId, 'viewed'),
    engagementReported(messageIdOf(idOf('sends', poisoned), 1, 'in_app'), 'viewed', { detail: { note: 'venom' } }),
  ])
  await eventually(() => unprocessable(topics.engagements.name).length === 1)
  await sleep(1_000)
  expect(dead.letters.filter(({ headers: { reason } }) => reason === 'step_never_commanded')).toHaveLength(1)
  expect(unprocessable(topics.engagements.name)).toHaveLength(1)
})

it('several reports, one beside the other: a letter each, and all their neighbours count', async () => {
  const good = users(120)
  await produceSends(
    connection,
    good.map((userId) => sendRequested('long', 'reports', userId)),
  )
  await eventually(() => commanded(inApp, 'reports').length === good.length)
  const before = unprocessable(topics.engagements.name).length
  const bad = new Set(good.slice(40, 44))
  await produceEngagements(
    connection,
    good.map((userId) =>
      engagementReported(messageIdOf(idOf('reports', userId), 1, 'in_app'), 'viewed', bad.has(userId) ? { detail: { note: 'venom' } } : {}),
    ),
  )
  // 0: stopped by what was reported.
  await eventually(async () => (await outcomes('reports'))['0'] === good.length - bad.size, { withinMs: 60_000 })
  await eventually(() => unprocessable(topics.engagements.name).length === before + bad.size)
  expect(await outcomes('reports')).toEqual({ 0: good.length - bad.size, null: bad.size })
})

/** Makes the stored history of a sequence unreadable while nobody remembers it. */
async function spoil(sequenceId: string): Promise<void> {
  await service.stop()
  // Everything is published, though the last turn could not say so: what is spoilt here was good when Kafka got it.
  await database.query('UPDATE cursors SET published_position = log_position')
  await database.query(`UPDATE changes SET data = '\\xffffff' WHERE sequence_id = $1`, [sequenceId])
  await start()
}

it('a timer whose sequence cannot be read: it waits ten minutes, all others fire', async () => {
  const good = users(60)
  const poison = inPartition0('timers', 'spoilt')
  await produceSends(
    connection,
    [...good, poison].map((userId) => sendRequested('short', 'timers', userId)),
  )
  await eventually(() => commanded(inApp, 'timers').length === good.length + 1)
  await produceEngagements(
    connection,
    [...good, poison].map((userId) => engagementReported(messageIdOf(idOf('timers', userId), 1, 'in_app'), 'requested')),
  )
  await eventually(
    async () =>
      (await database.query('SELECT FROM timers WHERE due_at < extract(epoch FROM now()) * 1000 + 60000')).rowCount === good.length + 1,
  )
  await spoil(idOf('timers', poison))
  await eventually(() => new Set(commanded(pushes, 'timers')).size === good.length, { withinMs: 60_000 })
  await eventually(async () => {
    const { rows } = await database.query<{ minutes: number }>(
      'SELECT (due_at / 1000 - extract(epoch FROM now())) / 60 AS minutes FROM timers WHERE sequence_id = $1',
      [idOf('timers', poison)],
    )
    return rows.length === 1 && rows[0]!.minutes > 8 && rows[0]!.minutes <= 10
  })
  expect(commanded(pushes, 'timers')).toEqual(good)
})

it('a cancel that reaches a sequence that cannot be read: it passes by that one, and cancels all others', async () => {
  const good = users(60)
  const poison = inPartition0('jobs', 'spoilt')
  await produceSends(
    connection,
    [...good, poison].map((userId) => sendRequested('long', 'jobs', userId)),
  )
  await eventually(() => commanded(inApp, 'jobs').length === good.length + 1)
  await spoil(idOf('jobs', poison))
  const cancel = {
    workspaceId: 'w',
    scope: 'send',
    id: 'jobs',
    cancelId: randomUUID(),
    requestedBy: 'spec',
    requestedAt: Date.now(),
  } as const
  await (await connection.producer()).send(topics.controls, [{ key: 'w', value: cancel }])
  // 3: cancelled.
  await eventually(async () => (await outcomes('jobs'))['3'] === good.length, { withinMs: 60_000 })
  await eventually(async () => (await database.query('SELECT FROM cancel_jobs')).rowCount === 0)
  expect(await outcomes('jobs')).toEqual({ 3: good.length, null: 1 })
})

it('outages are never counted: of what was under way when connections broke again and again nothing goes aside but the one', async () => {
  const before = dead.letters.length
  const poison = inPartition0('outages', 'poison')
  const good = users(300)
  let breaking = true
  const breaks = (async () => {
    while (breaking) {
      await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'orchestrator' AND datname = current_database()`,
      )
      await sleep(150)
    }
  })()
  for (let from = 0; from < good.length; from += 30) {
    const some = [...good.slice(from, from + 30), ...(from === 150 ? [poison] : [])]
    await produceSends(
      connection,
      some.map((userId) => sendRequested('long', 'outages', userId)),
    )
    await sleep(500)
  }
  breaking = false
  await breaks
  await eventually(() => new Set(commanded(inApp, 'outages')).size === good.length, { withinMs: 60_000 })
  await eventually(() => dead.letters.length > before, { withinMs: 60_000 })
  await sleep(1_000)
  expect(dead.letters.slice(before).map(({ headers, value }) => [headers.reason, value!.includes(poison)])).toEqual([
    ['unprocessable', true],
  ])
  const { rows } = await database.query<{ user_id: string }>(`SELECT user_id FROM sequences WHERE send_id = 'outages' ORDER BY user_id`)
  expect(rows.map((row) => row.user_id)).toEqual(good)
})
