// Large variables, of a send or each receiver's own: no process dies of them, and the database holds what is the same once.
import { Client } from 'pg'
import { topics } from '@stepcast/contracts'
import { consumeRecords, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import {
  approveTwoSteps,
  engagementReported,
  eventually,
  produceEngagements,
  produceSends,
  sendRequested,
  specPartitions,
  SpecProcesses,
  specStack,
  type SpecProcess,
  type SpecStack,
} from '@stepcast/testing'

const bytes = 60_000
/** Of the texts that are all others: long enough for all to be there before the first elapses. */
const windowMs = 40_000
/** With the heap of a process far below what a build that keeps a copy for each sequence would need. */
const env = { NODE_OPTIONS: '--max-old-space-size=128', STEPCAST_MINUTE_MS: '1000' }

let stack: SpecStack
let connection: KafkaConnection
let processes: SpecProcesses
let orchestrator: SpecProcess
let database: Client
const readers: RunningConsumer[] = []
/** Who was commanded which step with the right text; counted, not kept. */
const commanded = new Map<string, Set<string>>()
let wrong = 0
const textOf = (sendId: string, userId: string): string =>
  (sendId === 'own' ? `${userId} ` : 'the same ').padEnd(bytes, `${sendId} ${sendId === 'own' ? userId : ''}`)

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  processes = new SpecProcesses(stack)
  await Promise.all([approveTwoSteps(connection, 'one', 15), approveTwoSteps(connection, 'own', windowMs / 1_000)])
  orchestrator = await processes.start('orchestrator', { env })
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  for (const topic of [topics.inAppCommands, topics.pushCommands]) {
    readers.push(
      await consumeRecords(connection, {
        topic,
        groupId: `readers-${topic.name}`,
        maxRecords: 200,
        handle: async (records) => {
          for (const { value } of records) {
            const { sendId, userId, step, variables } = value!
            if (variables.text !== textOf(sendId, userId)) wrong++
            const name = `${sendId} ${step}`
            if (!commanded.has(name)) commanded.set(name, new Set())
            commanded.get(name)!.add(userId)
          }
          await produceEngagements(
            connection,
            records.map(({ value }) => engagementReported(value!.messageId, 'requested')),
          )
        },
      }),
    )
  }
})
afterAll(async () => {
  await Promise.all(readers.map((reader) => reader.stop()))
  await processes.stop()
  await database.end()
  await stack.stop()
})

async function send(sendId: string, receivers: number): Promise<void> {
  for (let from = 0; from < receivers; from += 40) {
    const users = Array.from({ length: Math.min(40, receivers - from) }, (_, n) => `user-${from + n}`)
    await produceSends(
      connection,
      users.map((userId) => sendRequested(sendId, sendId, userId, { variables: { text: textOf(sendId, userId) } })),
    )
  }
}
const stepped = (sendId: string, step: number): number => commanded.get(`${sendId} ${step}`)?.size ?? 0
const count = async (table: string): Promise<number> => (await database.query(`SELECT count(*)::int AS count FROM ${table}`)).rows[0].count
const gone = async (): Promise<boolean> =>
  (await count('kept_variables')) + (await count('shared_uses')) + (await count('shared_values')) === 0

it('1,500 receivers of one text: all get both steps, the process lives, the text stands once a partition', async () => {
  await send('one', 1_500)
  await eventually(() => stepped('one', 1) === 1_500, { withinMs: 90_000 })
  expect(await count('shared_values')).toBe(specPartitions)
  await eventually(() => stepped('one', 2) === 1_500, { withinMs: 90_000 })
  await eventually(gone, { withinMs: 20_000 })
  expect(wrong).toBe(0)
  expect(orchestrator.log()).not.toContain('heap limit')
}, 240_000)

it('500 texts, each another, and all timers due together in a process that has just begun: likewise', async () => {
  await send('own', 500)
  await eventually(() => stepped('own', 1) === 500, { withinMs: 90_000 })
  await orchestrator.stop()
  expect(await count('shared_values')).toBe(500)
  await new Promise((resolve) => setTimeout(resolve, windowMs))
  await orchestrator.start()
  await eventually(() => stepped('own', 2) === 500, { withinMs: 90_000 })
  await eventually(gone, { withinMs: 20_000 })
  expect(wrong).toBe(0)
  expect(orchestrator.log()).not.toContain('heap limit')
}, 240_000)
