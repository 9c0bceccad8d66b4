// After an outage of the orchestrator: receipts first, and what is long due goes out at a bounded pace.
import { Client } from 'pg'
import { messageIdOf, sequenceIdOf, topics, type DispatchStep, type EngagementKind } from '@stepcast/contracts'
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

/** Timers a second that the orchestrator of this spec may catch up. */
const perSecond = 100
let stack: SpecStack
let connection: KafkaConnection
let pushes: WatchedTopic<'DispatchStep'>
let inApp: WatchedTopic<'DispatchStep'>
let service: RunningService | null = null

const start = async (): Promise<void> => {
  service = await startService({
    name: 'orchestrator',
    module: AppModule,
    env: { ...stack.env, STEPCAST_CATCH_UP_PER_SECOND: String(perSecond) },
    ownsProcess: false,
  })
}
const stop = async (): Promise<void> => {
  await service?.stop()
  service = null
}
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  ;[pushes, inApp] = await Promise.all([watchTopic(connection, topics.pushCommands), watchTopic(connection, topics.inAppCommands)])
  await approveTwoSteps(connection, 'welcome')
})
afterAll(async () => {
  await stop()
  await stack.stop()
})

const send = (sendId: string, users: readonly string[]): Promise<void> =>
  produceSends(
    connection,
    users.map((userId) => sendRequested('welcome', sendId, userId)),
  )

async function report(sendId: string, users: readonly string[], kind: EngagementKind): Promise<void> {
  await produceEngagements(
    connection,
    // A millisecond apart, so that timers are not all due at the same one: those fire together.
    users.map((userId, n) =>
      engagementReported(messageIdOf(sequenceIdOf('w', sendId, userId), 1, 'in_app'), kind, { occurredAt: Date.now() - n }),
    ),
  )
}

const commandsOf = (watched: WatchedTopic<'DispatchStep'>, sendId: string): DispatchStep[] =>
  watched.values().filter((command) => command.sendId === sendId && command.action === 'send')

/** Sends, waits for the first step's windows to begin, stops the orchestrator within them and lets them elapse. */
async function outlastWindows(sendId: string, users: readonly string[]): Promise<void> {
  await start()
  await send(sendId, users)
  await eventually(() => commandsOf(inApp, sendId).length >= users.length)
  // A receipt's time is never before its command's: reported at once, the timers of one turn would all be due together.
  await sleep(users.length)
  await report(sendId, users, 'requested')
  const database = new Client({ connectionString: stack.databaseUrl })
  await database.connect()
  // The command's own deadline is an hour away: whoever waits for less than a minute waits for the window.
  await eventually(
    async () =>
      (
        await database.query(
          `SELECT count(*)::int AS count FROM orchestrator.timers WHERE due_at < extract(epoch FROM now()) * 1000 + 30000`,
        )
      ).rows[0].count >= users.length,
  )
  await database.end()
  await stop()
  expect(commandsOf(pushes, sendId)).toEqual([])
  await sleep(6_500)
}

it('receipts that waited on the topic while the windows elapsed are stored before any timer fires: nobody gets step 2', async () => {
  const users = Array.from({ length: 300 }, (_, n) => `reader-${n}`)
  await outlastWindows('read', [...users, 'ignorant'])
  await report('read', users, 'viewed')
  await start()
  // Only who did not look gets the push.
  await eventually(() => commandsOf(pushes, 'read').length > 0)
  await sleep(2_000)
  expect([...new Set(commandsOf(pushes, 'read').map(({ userId }) => userId))]).toEqual(['ignorant'])
  await stop()
})

it(`timers long due are fired at the pace that is set, ${perSecond} a second, and every one of them`, async () => {
  const users = Array.from({ length: 500 }, (_, n) => `late-${n}`)
  await outlastWindows('many', users)
  await start()
  await eventually(() => new Set(commandsOf(pushes, 'many').map(({ userId }) => userId)).size === users.length)
  const firedAt = [...new Map(commandsOf(pushes, 'many').map(({ userId, commandedAt }) => [userId, commandedAt])).values()].sort(
    (a, b) => a - b,
  )
  const busiestSecond = Math.max(...firedAt.map((at, n) => firedAt.slice(n).filter((later) => later - at < 1_000).length))
  // A tenth of a second's worth more at the beginning, and a turn's share of timers that are due together.
  expect(busiestSecond).toBeLessThanOrEqual(perSecond * 2)
  expect(firedAt.at(-1)! - firedAt[0]!).toBeGreaterThan((users.length / perSecond - 1) * 1_000 * 0.8)
  await stop()
})
