// Variables are personal: the engine keeps them as long as a step may need them, and not a moment for company's sake.
import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { messageIdOf, sequenceIdOf, topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
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
  type WatchedTopic,
} from '@stepcast/testing'
import { AppModule } from './app.module'

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let commands: WatchedTopic<'DispatchStep'>
let database: Client

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  commands = await watchTopic(connection, topics.inAppCommands)
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  await approveTwoSteps(connection, 'order')
})
afterAll(async () => {
  await database.end()
  await service.stop()
  await stack.stop()
})

const kept = async (): Promise<string[]> =>
  (await database.query<{ text: string }>(`SELECT variables->>'text' AS text FROM sequence_variables`)).rows.map(({ text }) => text)

async function start(userId: string): Promise<void> {
  await produceSends(connection, [sendRequested('order', 'names', userId, { variables: { text: userId } })])
  // The first waits for the engine to take over its partitions.
  await eventually(() => commands.values().some((command) => command.userId === userId), { withinMs: 60_000 })
  expect(await kept()).toContain(userId)
}

it('those of a sequence that has ended go within a second of its end, though nothing else happens in its partition', async () => {
  await start('ada')
  await produceEngagements(connection, [engagementReported(messageIdOf(sequenceIdOf('w', 'names', 'ada'), 1, 'in_app'), 'viewed')])
  const ended = await eventually(
    async () =>
      (await database.query(`SELECT FROM sequences WHERE user_id = 'ada' AND outcome IS NOT NULL`)).rowCount === 1 ? Date.now() : null,
    { everyMs: 10 },
  )
  await eventually(async () => !(await kept()).includes('ada'), { everyMs: 10 })
  // A second is promised; the rest is room on a busy machine.
  expect(Date.now() - ended).toBeLessThan(2_000)
})

it.each([
  ['short', 'VAL'],
  ['long', 'x'.repeat(5_000)],
])('one called __proto__ comes from Kafka to the command of every step: %s', async (size, value) => {
  const templateId = `proto-${size}`
  await approveTwoSteps(connection, templateId, 5, [{ name: '__proto__', type: 'string', required: true, default: null }])
  const variables = JSON.parse(JSON.stringify({ NAME: value }).replace('NAME', '__proto__')) as Record<string, string>
  await produceSends(connection, [sendRequested(templateId, 'proto', size, { variables })])
  const command = await eventually(() => commands.values().find(({ userId }) => userId === size), { withinMs: 60_000 })
  expect(Object.entries(command.variables)).toEqual([['__proto__', value]])
})

it('those of a person who is erased likewise, while their neighbour’s stay', async () => {
  await start('grace')
  await start('neighbour')
  const grace = { workspaceId: 'w', scope: 'user', id: 'grace' } as const
  const cancel = { ...grace, cancelId: randomUUID(), requestedBy: 'spec', requestedAt: Date.now() }
  await (await connection.producer()).send(topics.controls, [{ key: 'w', value: cancel }])
  await eventually(async () => !(await kept()).includes('grace'), { withinMs: 8_000 })
  expect(await kept()).toContain('neighbour')
})
