// What the engine's statements read on tables of some size: as much as they answer, whatever else is there. 200,000 heads as a rule;
// `STEPCAST_PLANS_ROWS=2000000 npx jest --selectProjects integration --testPathPatterns orchestrator/src/plans.int` asks two million.
import { Client, escapeLiteral, type Pool, type QueryConfig } from 'pg'
import { messageIdOf, sequenceIdOf, topics, type CancelScope, type EngagementKind } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { createPool, inTransaction, texts } from '@stepcast/postgres'
import { startService, type RunningService } from '@stepcast/service'
import {
  approveTwoSteps,
  engagementReported,
  eventually,
  produceEngagements,
  produceSends,
  sendRequested,
  specStack,
  watchTopic,
  type SpecStack,
} from '@stepcast/testing'
import { AppModule } from './app.module'
import { readSession, turnSession } from './settings'
import { takeJobs, tombstonesOf } from './sql/cancels'
import { expireEarly } from './sql/early'
import { takeReconsiderations } from './sql/reconsiderations'
import { nextPortions } from './sql/lateTimers'
import { isRunning, stretchesOf } from './sql/retention'
import { agenda, dueTimers } from './sql/timers'
import { deleteOld, isSeen, settleUnseen, unseenOf } from './sql/unseen'
import { listSequences, orderOf, storyOf, type SequenceFilter } from './story'

/** Tables that grow with traffic. */
const growing =
  /^(sequences|changes(_\d+)?|timers|kept_variables|shared_values|shared_uses|early_engagements|tombstones|cancels|cancel_jobs)$/
const rowsOfEach = Number(process.env.STEPCAST_PLANS_ROWS ?? 200_000)

interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
  /** How its connection calls itself: turns and timers, or reads. */
  readonly session: 'orchestrator' | 'orchestrator reads'
}

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly PlanNode[]
}

let stack: SpecStack
let connection: KafkaConnection
/** Listened to like the engine's own. */
let turns: Pool
let reads: Pool
/** The spec's own questions. */
let unheard: Pool
/** By text, of each the one with the most values; what is asked on full tables is kept as often as it is asked. */
const statements = new Map<string, Statement>()
let isFull = false

/** Notes every statement of the orchestrator's connections. */
function listen(): jest.SpyInstance {
  const query = Client.prototype.query as (...args: unknown[]) => unknown
  return jest.spyOn(Client.prototype, 'query').mockImplementation(function (
    this: Client & { connectionParameters: { application_name?: string } },
    ...args: unknown[]
  ) {
    const session = this.connectionParameters.application_name
    if (session !== 'orchestrator' && session !== 'orchestrator reads') return query.apply(this, args)
    const [first, second] = args as [string | QueryConfig, unknown[] | undefined]
    const { text, values = [] } = typeof first === 'string' ? { text: first, values: Array.isArray(second) ? second : [] } : first
    const size = (of: readonly unknown[]): number => String(of).length
    const key = isFull ? `${text} ${String(values)}` : text
    const known = statements.get(key)
    if (known === undefined || size(known.values) < size(values)) statements.set(key, { text, values, session })
    return query.apply(this, args)
  } as typeof Client.prototype.query)
}

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  const pool = (applicationName: Statement['session'], settings: Record<string, string>): Pool =>
    createPool({ databaseUrl: stack.databaseUrl, schema: 'orchestrator', applicationName, max: 2, settings })
  turns = pool('orchestrator', turnSession)
  reads = pool('orchestrator reads', { ...readSession, statement_timeout: '0' })
  unheard = createPool({ databaseUrl: stack.databaseUrl, schema: 'orchestrator', applicationName: 'spec', max: 2 })
  const listening = listen()
  await liveThroughEverything()
  await fill()
  isFull = true
  await askOnFullTables()
  listening.mockRestore()
}, 600_000)
afterAll(async () => {
  await Promise.all([turns?.end(), reads?.end(), unheard?.end()])
  await stack?.stop()
})

// ── Everything the engine does, once ──────────────────────────────────────────────────────────────────────────────────────

const start = (): Promise<RunningService> => startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })

async function liveThroughEverything(): Promise<void> {
  const producer = await connection.producer()
  const inApp = await watchTopic(connection, topics.inAppCommands)
  const pushes = await watchTopic(connection, topics.pushCommands)
  const users = Array.from({ length: 300 }, (_, n) => `u${n}`)
  const report = (sendId: string, kind: EngagementKind, of: readonly string[]): Promise<void> =>
    produceEngagements(
      connection,
      of.map((userId) => engagementReported(messageIdOf(sequenceIdOf('w', sendId, userId), 1, 'in_app'), kind)),
    )
  const send = (sendId: string, to: readonly string[]): Promise<void> =>
    produceSends(
      connection,
      to.map((userId) =>
        sendRequested('welcome', sendId, userId, { variables: { text: userId.padEnd(sendId === 'main' ? 0 : 3_000, ` ${userId}`) } }),
      ),
    )
  const cancel = (scope: CancelScope, id: string): Promise<void> =>
    producer.send(topics.controls, [
      { key: 'w', value: { cancelId: `${scope} ${id}`, workspaceId: 'w', scope, id, requestedBy: 'spec', requestedAt: Date.now() } },
    ])
  const count = async (sql: string): Promise<number> => (await unheard.query(`SELECT count(*)::int AS count FROM ${sql}`)).rows[0].count

  let service = await start()
  await approveTwoSteps(connection, 'welcome')
  await report('early', 'viewed', users.slice(0, 20))
  await eventually(async () => (await count('early_engagements')) === 20)
  await send('early', users)
  await send('main', users)
  await eventually(() => inApp.values().length >= 600)
  await report('main', 'requested', users)
  await report('early', 'requested', users)
  await cancel('sequence', sequenceIdOf('w', 'main', 'u1'))
  await cancel('send', 'early')
  await cancel('user', 'u2')
  await eventually(async () => (await count('cancel_jobs')) === 0 && (await count('tombstones')) === 3)
  await report('main', 'viewed', users.slice(100, 150))
  await service.stop()
  // As a crash leaves it: what was published last is not remembered, and read once more at the next takeover.
  await unheard.query('UPDATE cursors SET published_position = published_position - 1 WHERE published_position > 0')
  // The windows elapse meanwhile: what comes then is late, was published before and is in nobody's memory.
  await new Promise((resolve) => setTimeout(resolve, 6_500))
  service = await start()
  await eventually(() => pushes.values().length > 200)
  await report('main', 'clicked', users.slice(100, 150))
  await eventually(async () => (await count('sequence_variables')) < 300)
  await service.stop()
  // Asked only where there are more than a few.
  await inTransaction(turns, (tx) => tombstonesOf(tx, [{ workspaceId: 'w', scope: 'user', id: 'u2' }]))
  await Promise.all([inApp.stop(), pushes.stop()])
}

/** As many rows as a quiet day leaves, over eight days: those the engine has made in advance too. Half of them are another workspace's. */
async function fill(): Promise<void> {
  const days = `current_date - 4 + (n * 8 / ${rowsOfEach + 1})`
  const database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  await database.query(`
    DO $$ BEGIN FOR n IN 2..4 LOOP
      EXECUTE format('CREATE TABLE %I PARTITION OF changes FOR VALUES FROM (%L) TO (%L)',
        'changes_' || to_char(current_date - n, 'YYYYMMDD'), current_date - n, current_date - n + 1);
    END LOOP; END $$;
    -- A third is one send, a twentieth one user, three of a hundred thousand were cancelled, nothing runs in the huge send.
    INSERT INTO sequences (sequence_id, started_on, partition, outcome, template_version, workspace_id, send_id, user_id, template_id, campaign_id)
      SELECT gen_random_uuid(), ${days}, n % 12, CASE WHEN n % 30000 = 7 THEN 3 WHEN n % 10 > 0 OR n % 3 = 0 THEN 1 END, 1,
        CASE WHEN n % 2 = 0 THEN 'w' ELSE 'other' END, CASE WHEN n % 3 = 0 THEN 'huge' ELSE 'send' || n % 2000 END,
        CASE WHEN n % 20 IN (0, 1) THEN 'crowd' ELSE 'user' || n % 50000 END, 't' || n % 5, CASE WHEN n % 10 IN (4, 5) THEN 'campaign' || n % 7 END
      FROM generate_series(1, ${rowsOfEach}) AS n;
    INSERT INTO changes (started_on, sequence_id, version, partition, position, data)
      SELECT started_on, sequence_id, version, partition, row_number() OVER () - 100000000, decode(repeat('00', 100), 'hex')
      FROM sequences, generate_series(10, 11) AS version;
    INSERT INTO timers (partition, due_at, sequence_id)
      SELECT partition, (extract(epoch FROM now()) * 1000)::bigint - 100000 + row_number() OVER (), sequence_id FROM sequences;
    INSERT INTO kept_variables (sequence_id, variables) SELECT sequence_id, '{ "who": "somebody" }' FROM sequences ON CONFLICT DO NOTHING;
    INSERT INTO shared_values SELECT partition, gen_random_uuid(), 'long' FROM sequences LIMIT 50000;
    INSERT INTO shared_uses SELECT gen_random_uuid(), 'text', partition, digest FROM shared_values;
    INSERT INTO early_engagements (sequence_id, message_id, kind, received_at, report, origin)
      SELECT gen_random_uuid(), 'm' || n, 'viewed', now() - n * interval '800 ms', '{}', '{}' FROM generate_series(1, ${rowsOfEach}) AS n;
    INSERT INTO tombstones (workspace_id, scope, id, requested_at, recorded_at, seen)
      SELECT 'w', CASE WHEN n % 20 = 0 THEN 'send' ELSE 'user' END, 'cancelled' || n, 0, now() - n % 40 * interval '1 day', n % 20 > 0
      FROM generate_series(1, ${rowsOfEach}) AS n;
    INSERT INTO cancels (cancel_id, workspace_id, scope, id, requested_by, requested_at, recorded_at)
      SELECT 'c' || n, 'w', 'user', 'cancelled' || n, 'spec', 0, now() - n % 40 * interval '1 day' FROM generate_series(1, ${rowsOfEach}) AS n`)
  // As autovacuum would by then; what the young table has no statistics of is asked below all the same.
  for (const table of [
    'sequences',
    'changes',
    'timers',
    'kept_variables',
    'shared_values',
    'shared_uses',
    'early_engagements',
    'tombstones',
    'cancels',
  ])
    await database.query(`VACUUM ANALYZE ${table}`)
  await database.end()
}

/** Every list filter, campaign jobs, timers, housekeeping, retention: for what is there in plenty, what is rare and what is not there. */
async function askOnFullTables(): Promise<void> {
  const filters: SequenceFilter[] = [
    {},
    { outcome: 'cancelled' },
    { outcome: 'running' },
    { templateId: 't1' },
    { templateId: 'nope' },
    { templateId: 't1', outcome: 'cancelled' },
    ...['huge', 'send2', 'nope'].flatMap((sendId) => [
      { sendId },
      { sendId, outcome: 'running' } as const,
      { sendId, templateId: 'nope' },
      { sendId, userId: 'crowd' },
    ]),
    ...['crowd', 'user8', 'nope'].flatMap((userId) => [
      { userId },
      { userId, outcome: 'cancelled' } as const,
      { userId, templateId: 'nope' },
    ]),
    ...['campaign4', 'nope'].flatMap((campaignId) => [
      { campaignId },
      { campaignId, outcome: 'cancelled' } as const,
      { campaignId, userId: 'crowd' },
    ]),
    { sequenceId: sequenceIdOf('w', 'main', 'u1') },
  ]
  const middle = '80000000-0000-5000-8000-000000000000'
  for (const workspaceId of ['w', 'other', 'nobody']) {
    for (const filter of filters) {
      await listSequences(reads, workspaceId, filter, null, 100)
      await listSequences(reads, workspaceId, filter, orderOf(filter).shape.length === 1 ? [middle] : ['send5', middle], 100)
    }
  }
  // Its filled changes say nothing; the questions are what is wanted.
  await storyOf(reads, 'w', sequenceIdOf('w', 'main', 'u1')).catch(() => {})
  for (const [scope, id] of [
    ['campaign', 'campaign4'],
    ['campaign', 'nope'],
    ['user', 'crowd'],
    ['user', 'nope'],
    ['send', 'huge'],
    ['send', 'nope'],
    ['sequence', middle],
  ] as const) {
    await turns.query(
      'INSERT INTO cancel_jobs (partition, workspace_id, cancel_id, scope, id, requested_at) VALUES (5, $1, $2, $3, $4, 0)',
      ['w', `${scope} ${id}`, scope, id],
    )
    await inTransaction(turns, (tx) => takeJobs(tx, 5))
    await turns.query('DELETE FROM cancel_jobs')
    await isSeen(turns, { workspaceId: 'w', scope, id })
  }
  for (const userId of ['crowd', 'nope'])
    await turns.query(`INSERT INTO users (workspace_id, user_id, data) VALUES ('w', $1, '{"timezone": null}')`, [userId])
  for (const userId of ['crowd', 'nope', null]) {
    await turns.query(`INSERT INTO reconsiderations (partition, workspace_id, user_id) VALUES (5, 'w', $1)`, [userId])
    await inTransaction(turns, (tx) => takeReconsiderations(tx, 5, 1_000))
    await turns.query('DELETE FROM reconsiderations')
  }
  await turns.query('DELETE FROM users')
  await unseenOf(turns, 'w', 10_000)
  const asked = Array.from({ length: 12 }, (_, partition) => ({ partition, from: 0 }))
  await agenda(turns, asked)
  await nextPortions(turns, asked, Date.now(), 500, 2_000)
  await inTransaction(turns, (tx) => dueTimers(tx, 5, Date.now(), 2_000))
  await inTransaction(turns, (tx) => expireEarly(tx))
  await settleUnseen(turns, 2_000)
  for (const table of ['tombstones', 'cancels'] as const) await deleteOld(turns, table, 30, 2_000)
  const day = new Date(Date.now() + 2 * 24 * 3_600_000).toISOString().slice(0, 10)
  await isRunning(turns, day)
  await stretchesOf(turns, day)
}

// ── What PostgreSQL makes of it ───────────────────────────────────────────────────────────────────────────────────────────

const isExplainable = ({ text }: Statement): boolean => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(text)
const concernsGrowing = ({ text }: Statement): boolean =>
  /\b(sequences|changes|timers|kept_variables|shared_values|shared_uses|early_engagements|tombstones|cancels|cancel_jobs)\b/.test(text)
const shortOf = ({ text, values }: Statement): string => `${text.replace(/\s+/g, ' ').slice(0, 240)} [${String(values).slice(0, 80)}]`

const literalOf = (value: unknown): string =>
  value === null || value === undefined
    ? 'NULL'
    : value instanceof Buffer
      ? `'\\x${value.toString('hex')}'`
      : escapeLiteral(Array.isArray(value) ? texts(value.map(String)) : String(value))

/** The plan as executed, in a session as the statement's own; nothing stays of what it does. */
async function executed({ text, values, session }: Statement): Promise<PlanNode> {
  const client = await (session === 'orchestrator' ? turns : reads).connect()
  try {
    await client.query('BEGIN')
    // What was inserted once is inserted again.
    if (/INSERT INTO changes/.test(text))
      await client.query('DELETE FROM changes WHERE started_on = ANY ($1::date[]) AND sequence_id = ANY ($2::uuid[])', [
        values[2],
        values[3],
      ])
    if (/INSERT INTO kept_variables/.test(text))
      await client.query('DELETE FROM kept_variables WHERE sequence_id = ANY ($1::uuid[])', [values[0]])
    if (/sequences WHERE started_on/.test(text)) await client.query('SET LOCAL enable_seqscan = off')
    await client.query(`PREPARE asked AS ${text}`)
    const { rows } = await client.query(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked${values.length === 0 ? '' : ` (${values.map(literalOf).join(', ')})`}`,
    )
    return rows[0]['QUERY PLAN'][0].Plan
  } finally {
    await client.query('ROLLBACK')
    await client.query('DEALLOCATE ALL')
    client.release()
  }
}

const nodesOf = (plan: PlanNode): PlanNode[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

/** Rows of growing tables that were looked at, also those that a filter left out. */
const rowsRead = (plan: PlanNode): number =>
  nodesOf(plan)
    .filter((node) => growing.test(node['Relation Name'] ?? '') && node['Node Type'].endsWith('Scan'))
    .reduce(
      (sum, node) =>
        sum +
        node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)),
      0,
    )

/** What a statement may answer or is asked about: its limit, or its longest array. */
function sizeOf({ text, values }: Statement): number {
  const limits = [...text.matchAll(/(?:LIMIT|FIRST) (\$?)(\d+)/g)].map(([, isValue, number]) =>
    isValue ? Number(values[Number(number) - 1]) : Number(number),
  )
  const arrays = values.map((value) =>
    Array.isArray(value) ? value.length : typeof value === 'string' && value.startsWith('{') ? value.split(',').length : 1,
  )
  // Of each of several partitions so many.
  if (text.includes('LATERAL')) return Math.max(1, ...limits) * Math.max(1, ...arrays)
  return Math.max(1, ...limits, ...arrays)
}

/** A day's worth is what retention may read; a takeover asks the summaries of each day's changes, some thousand rows each. */
const allowance = (statement: Statement): number => {
  if (/sequences WHERE started_on|sequences\s+WHERE started_on/.test(statement.text)) return rowsOfEach / 8 + 20_000
  if (/FROM changes WHERE partition/.test(statement.text)) return 60_000
  return 5 * sizeOf(statement) + 500
}

it('every statement of the engine and every list filter reads at most a constant times what it answers, whatever else is there', async () => {
  const asked = [...statements.values()].filter((statement) => isExplainable(statement) && concernsGrowing(statement))
  const tooMuch: string[] = []
  for (const statement of asked) {
    const plan = await executed(statement)
    const [rows, blocks] = [rowsRead(plan), plan['Shared Hit Blocks'] + plan['Shared Read Blocks']]
    const allowed = allowance(statement)
    // Blocks too: entries of an index that a condition skips are no rows. A look-up or an insert touches some ten, on each index.
    if (rows > allowed || blocks > 50 * allowed) tooMuch.push(`${rows} rows, ${blocks} blocks of ${allowed} allowed: ${shortOf(statement)}`)
  }
  expect(tooMuch).toEqual([])
  // What is counted on being here: without these the spec would say nothing.
  expect(asked.length).toBeGreaterThanOrEqual(80)
}, 600_000)

it('a page by a rare outcome tells how far it got, and going on finds all there are', async () => {
  const found: string[] = []
  let [after, pages]: [readonly string[] | null, number] = [null, 0]
  do {
    const page = await listSequences(reads, 'other', { outcome: 'cancelled' }, after, 100)
    found.push(...page.items.map(({ sequenceId }) => sequenceId))
    after = page.next
    pages++
  } while (after !== null)
  const { rows } = await turns.query(`SELECT sequence_id FROM sequences WHERE workspace_id = 'other' AND outcome = 3`)
  expect([...found].sort()).toEqual(rows.map(({ sequence_id }) => sequence_id as string).sort())
  expect(rows.length).toBeGreaterThan(2)
  expect(pages).toBeGreaterThan(1)
}, 120_000)
