// Variables are personal: whatever becomes of the process, those of ended sequences are gone within seconds.
import { Client } from 'pg'
import { topics, type EngagementKind } from '@stepcast/contracts'
import { consumeRecords, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import {
  approveTwoSteps,
  engagementReported,
  eventually,
  produceEngagements,
  produceSends,
  sendRequested,
  SpecProcesses,
  specStack,
  type SpecProcess,
  type SpecStack,
} from '@stepcast/testing'

let stack: SpecStack
let connection: KafkaConnection
let processes: SpecProcesses
let orchestrator: SpecProcess
let database: Client
let readers: RunningConsumer

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  processes = new SpecProcesses(stack)
  await approveTwoSteps(connection, 'order', 1440)
  orchestrator = await processes.start('orchestrator')
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  // Everybody reads at once, which ends the sequence.
  readers = await consumeRecords(connection, {
    topic: topics.inAppCommands,
    groupId: 'readers',
    handle: (records) =>
      produceEngagements(
        connection,
        records.flatMap(({ value }) =>
          value!.action === 'send' ? [engagementReported(value!.messageId, 'viewed' satisfies EngagementKind)] : [],
        ),
      ),
  })
})
afterAll(async () => {
  await readers.stop()
  await processes.stop()
  await database.end()
  await stack.stop()
})

const count = async (sql: string): Promise<number> => (await database.query(`SELECT count(*)::int AS count FROM ${sql}`)).rows[0].count
const leftOver = (): Promise<number> => count('sequence_variables JOIN sequences USING (sequence_id) WHERE outcome IS NOT NULL')
const allEnded = async (total: number): Promise<boolean> =>
  (await count('sequences')) === total && (await count('sequences WHERE outcome IS NULL')) === 0

let sent = 0
/** One in ten has something large that is theirs alone. */
async function send(many: number): Promise<void> {
  await produceSends(
    connection,
    Array.from({ length: many }, () => {
      const userId = `user-${sent++}`
      return sendRequested('order', `send-${sent % 7}`, userId, {
        variables: { text: sent % 10 === 0 ? userId.repeat(500) : `the name of ${userId}` },
      })
    }),
  )
}

it('killed under load, again and again: once it is back and all have ended, nothing of theirs is left', async () => {
  let killed = 0
  for (let round = 0; round < 4; round++) {
    let loading = true
    const load = (async () => {
      while (loading) {
        await send(60)
        await sleep(50)
      }
    })()
    await sleep(1_000 + round * 137)
    // At the end of a burst what ended last waits for company for half a second: then it dies.
    if (round % 2 === 0) {
      loading = false
      await load
    }
    await eventually(async () => (await leftOver()) > 0, { everyMs: 1 }).catch(() => {})
    orchestrator.kill('SIGKILL')
    await orchestrator.ended()
    killed += await leftOver()
    loading = false
    await load
    await orchestrator.start()
  }
  await eventually(() => allEnded(sent), { withinMs: 60_000 })
  await eventually(async () => (await leftOver()) === 0, { withinMs: 10_000 })
  expect([await count('kept_variables'), await count('shared_uses'), await count('shared_values')]).toEqual([0, 0, 0])
  // Some were there to be forgotten when it was killed: else this spec says nothing.
  expect(killed).toBeGreaterThan(0)
})

it('asked to end under load: what has ended is forgotten before it leaves', async () => {
  await send(500)
  await eventually(async () => (await count('sequences WHERE outcome IS NOT NULL')) > sent - 300, { everyMs: 10 })
  await orchestrator.stop()
  expect(await leftOver()).toBe(0)
  await orchestrator.start()
  await eventually(() => allEnded(sent), { withinMs: 60_000 })
  await eventually(async () => (await count('kept_variables')) === 0, { withinMs: 10_000 })
})

it('what an earlier version left behind goes within seconds after a start', async () => {
  await orchestrator.stop()
  await database.query(`INSERT INTO sequence_variables (sequence_id, variables) SELECT sequence_id, '{"text":"left"}' FROM sequences`)
  expect(await leftOver()).toBe(sent)
  await orchestrator.start()
  await eventually(async () => (await leftOver()) === 0, { withinMs: 15_000 })
})
