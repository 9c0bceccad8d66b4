// The plans of the engine's statements on tables of some size: an index for everything that is looked up, nothing read from end to end.
import { Client, Pool, type QueryConfig } from 'pg'
import {
  messageIdOf,
  sequenceIdOf,
  topics,
  type CancelScope,
  type EngagementKind,
} from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import { startService, type RunningService } from '@stepcast/service'
import {
  approveTwoSteps, engagementReported, eventually, produceEngagements, produceSends, sendRequested, specStack, watchTopic, type SpecStack,
} from '@stepcast/testing'
import { AppModule } from './app.module'
import { expireEarly } from './sql/early'
import { exceptionsQuestion } from './sql/exceptions'
import { listSequences } from './story'

/** Tables that grow with traffic. */
const growing = /^(sequences|changes(_\d+)?|timers|kept_variables|shared_values|shared_uses|early_engagements|tombstones)$/
const rowsOfEach = 200_000
/** How the orchestrator's connections call themselves. */
const orchestrator = 'orchestrator'

interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
  /** Prepared once and executed often: PostgreSQL may settle on a plan that fits any values. */
  readonly isNamed: boolean
}

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly Plans?: readonly PlanNode[]
}

let stack: SpecStack
let connection: KafkaConnection
let pool: Pool
/** Listened to like the engine's own. */
let listened: Pool
const statements = new Map<string, Statement>()

/** Notes every statement of the orchestrator's connections; of the same text the one with the most values. */
function listen(): jest.SpyInstance {
  const query = Client.prototype.query as (...args: unknown[]) => unknown
  return jest.spyOn(Client.prototype, 'query').mockImplementation(function (
    this: Client & { connectionParameters: { application_name?: string } },
    ...args: unknown[]
  ) {
    if (this.connectionParameters.application_name !== orchestrator) return query.apply(this, args)
    const [first, second] = args as [string | QueryConfig, unknown[] | undefined]
    const {
      text,
      values = [],
      name,
    } = typeof first === 'string' ? { text: first, values: Array.isArray(second) ? second : [], name: undefined } : first
    const size = (of: readonly unknown[]): number => String(of).length
    const known = statements.get(text)
    if (known === undefined || size(known.values) < size(values)) statements.set(text, { text, values, isNamed: name !== undefined })
    return query.apply(this, args)
  } as typeof Client.prototype.query)
}

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  pool = new Pool({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator', max: 4 })
  listened = new Pool({
    connectionString: stack.databaseUrl,
    options: '-c search_path=orchestrator',
    max: 1,
    application_name: orchestrator,
  })
  const listening = listen()
  await liveThroughEverything()
  listening.mockRestore()
  await fill()
}, 300_000)
afterAll(async () => {
  await Promise.all([pool.end(), listened.end()])
  await stack.stop()
})

// ── Everything the engine does, once ──────────────────────────────────────────────────────────────────────────────────────

const start = (): Promise<RunningService> => startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })

async function liveThroughEverything(): Promise<void> {
  const producer = await connection.producer()
  const inApp = await watchTopic(connection, topics.inAppCommands)
  const pushes = await watchTopic(connection, topics.pushCommands)
  const users = Array.from({ length: 300 }, (_, n) => `u${n}`)
  const report = (sendId: string, kind: EngagementKind, of: readonly string[]): Promise<void> =>
    produceEngagements(connection, of.map((userId) => engagementReported(messageIdOf(sequenceIdOf('w', sendId, userId), 1, 'in_app'), kind)))
  const send = (sendId: string, to: readonly string[]): Promise<void> =>
    produceSends(connection, to.map((userId) => sendRequested('welcome', sendId, userId, { variables: { text: userId.padEnd(sendId === 'main' ? 0 : 3_000, ` ${userId}`) } })))
  const cancel = (scope: CancelScope, id: string): Promise<void> =>
    producer.send(topics.controls, [
      { key: 'w', value: { cancelId: `${scope} ${id}`, workspaceId: 'w', scope, id, requestedBy: 'spec', requestedAt: Date.now() } },
    ])
  const count = async (sql: string): Promise<number> => (await pool.query(`SELECT count(*)::int AS count FROM ${sql}`)).rows[0].count

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
  await pool.query('UPDATE cursors SET published_position = published_position - 1 WHERE published_position > 0')
  // The windows elapse meanwhile: what comes then is late, was published before and is in nobody's memory.
  await new Promise((resolve) => setTimeout(resolve, 6_500))
  service = await start()
  await eventually(() => pushes.values().length > 200)
  await report('main', 'clicked', users.slice(100, 150))
  await eventually(async () => (await count('sequence_variables')) < 300)
  await service.stop()
  await inTransaction(listened, (tx) => expireEarly(tx))
  for (const filter of [{ sendId: 'main' }, { userId: 'u1' }])
    await listSequences(listened, 'w', filter as Parameters<typeof listSequences>[2], null, 100)
  await Promise.all([inApp.stop(), pushes.stop()])
}

/** As many rows as a quiet day leaves, over eight days: those the engine has made in advance too. */
async function fill(): Promise<void> {
  await pool.query(`
    DO $$ BEGIN FOR n IN 2..4 LOOP
      EXECUTE format('CREATE TABLE %I PARTITION OF changes FOR VALUES FROM (%L) TO (%L)',
        'changes_' || to_char(current_date - n, 'YYYYMMDD'), current_date - n, current_date - n + 1);
    END LOOP; END $$;
    INSERT INTO sequences (sequence_id, started_on, partition, outcome, template_version, workspace_id, send_id, user_id, template_id)
      SELECT gen_random_uuid(), current_date + 3 - n % 8, n % 12, CASE WHEN n % 10 > 0 THEN 1 END, 1, 'w', 'send' || n % 200,
        'user' || n % 50000, 't'
      FROM generate_series(1, ${rowsOfEach}) AS n;
    INSERT INTO changes (started_on, sequence_id, version, partition, position, data)
      SELECT started_on, sequence_id, version, partition, 1000000 + row_number() OVER (), decode(repeat('00', 100), 'hex')
      FROM sequences, generate_series(10, 11) AS version;
    INSERT INTO timers (partition, due_at, sequence_id)
      SELECT partition, (extract(epoch FROM now()) * 1000)::bigint - 100000 + row_number() OVER (), sequence_id FROM sequences;
    INSERT INTO kept_variables (sequence_id, variables) SELECT sequence_id, '{ "who": "somebody" }' FROM sequences ON CONFLICT DO NOTHING;
    INSERT INTO shared_values SELECT partition, gen_random_uuid(), 'long' FROM sequences LIMIT 50000;
    INSERT INTO shared_uses SELECT gen_random_uuid(), 'text', partition, digest FROM shared_values;
    INSERT INTO early_engagements (sequence_id, message_id, kind, received_at, report, origin)
      SELECT gen_random_uuid(), 'm' || n, 'viewed', now() - n * interval '400 ms', '{}', '{}' FROM generate_series(1, ${rowsOfEach}) AS n;
    INSERT INTO tombstones (workspace_id, scope, id, requested_at)
      SELECT 'w', 'user', 'cancelled' || n, 0 FROM generate_series(1, ${rowsOfEach}) AS n`)
  for (const table of ['sequences', 'changes', 'timers', 'kept_variables', 'shared_values', 'shared_uses', 'early_engagements', 'tombstones'])
    await pool.query(`ANALYZE ${table}`)
}

// ── What PostgreSQL makes of it ───────────────────────────────────────────────────────────────────────────────────────────

const isExplainable = ({ text }: Statement): boolean => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(text)
const concernsGrowing = ({ text }: Statement): boolean =>
  /\b(sequences|changes|timers|kept_variables|shared_values|shared_uses|early_engagements|tombstones)\b/.test(text)

async function plansOf({ text, values, isNamed }: Statement): Promise<PlanNode[]> {
  const explained = async (question: string, parameters?: readonly unknown[]): Promise<PlanNode> =>
    (await pool.query(`EXPLAIN (${question}) ${text}`, parameters as unknown[])).rows[0]['QUERY PLAN'][0].Plan
  const plans = [await explained('FORMAT JSON', values)]
  if (isNamed) plans.push(await explained('FORMAT JSON, GENERIC_PLAN'))
  return plans
}

const nodesOf = (plan: PlanNode): PlanNode[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
const shortOf = ({ text }: Statement): string => text.replace(/\s+/g, ' ').slice(0, 120)

it('no statement of the engine reads a growing table from end to end, and each finds its rows by the index made for it', async () => {
  const asked = [...statements.values()].filter(
    (statement) => isExplainable(statement) && concernsGrowing(statement) && statement.text !== exceptionsQuestion,
  )
  const scans: string[] = []
  const used = new Set<string>()
  for (const statement of asked) {
    for (const plan of await plansOf(statement)) {
      for (const node of nodesOf(plan)) {
        if (node['Node Type'].endsWith('Seq Scan') && growing.test(node['Relation Name'] ?? ''))
          scans.push(`${node['Relation Name']}: ${shortOf(statement)}`)
        // Each day of changes has indexes of its own.
        if (node['Index Name']) used.add(node['Index Name'].replace(/^changes_\d+_/, 'changes_day_'))
      }
    }
  }
  expect(scans).toEqual([])
  expect([...used]).toEqual(
    expect.arrayContaining([
      'sequences_pkey',
      'sequences_of_send',
      'sequences_of_user',
      'changes_day_pkey',
      'changes_day_partition_position_idx',
      'timers_due',
      'sequence_variables_pkey',
      'shared_values_pkey',
      'shared_uses_pkey',
      'shared_uses_of_value',
      'early_engagements_pkey',
      'early_engagements_by_age',
      'tombstones_pkey',
    ]),
  )
  // What is counted on being here: without these the spec would say nothing.
  expect(asked.length).toBeGreaterThanOrEqual(15)
})
