// Quiet hours on the real broker and database: a step waits for their end, and everything else goes on meanwhile (rule 21).
import { Client } from 'pg'
import {
  messageIdOf,
  sequenceIdOf,
  templateVersionKey,
  topics,
  userKey,
  type DispatchStep,
  type SequenceChanged,
  type UserChanged,
} from '@stepcast/contracts'
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

const minute = 60_000
const hour = 60 * minute
const workspaceTimezone = 'Asia/Seoul'
// Quiet hours end on a whole minute of the real clock: the next one that leaves time for the window of step 1, which is 5 s.
const soon = (): number => Math.ceil((Date.now() + 20_000) / minute) * minute

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let pushes: WatchedTopic<'DispatchStep'>
let sequences: WatchedTopic<'SequenceChanged'>
let database: Client

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  ;[pushes, sequences] = await Promise.all([watchTopic(connection, topics.pushCommands), watchTopic(connection, topics.sequences)])
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

/** A template that begins with a push. */
async function approvePush(templateId: string): Promise<void> {
  const steps = [{ channels: ['push'], stopCondition: null, waitMinutes: null }]
  await (await connection.producer()).send(topics.templates, [
    {
      key: templateVersionKey('w', templateId, 1),
      value: {
        workspaceId: 'w',
        templateId,
        changedAt: Date.now(),
        change: {
          type: 'TemplateApproved',
          version: 1,
          name: templateId,
          category: 'Custom',
          variableSchema: '[]',
          channels: JSON.stringify([{ channelType: 'push', content: { title: 't', body: 'b', url: null, data: {} } }]),
          config: JSON.stringify({
            sequenceEnabled: true,
            sequence: { steps, onFailure: 'advance', lateSignal: 'stop', dispatchTtlMinutes: 1440 },
          }),
        },
      },
    },
  ])
}

const clockAt = (instant: number, timeZone: string): string =>
  new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(instant)

/** Gives a user quiet hours since an hour ago; answers when Kafka has them, as people-svc does. */
async function sleeps(userId: string, until: number, timezone: string | null = 'UTC'): Promise<void> {
  const zone = timezone ?? workspaceTimezone
  const quietHoursEnd = clockAt(until, zone)
  await (await connection.producer()).send(topics.users, [
    {
      key: userKey('w', userId),
      value: {
        workspaceId: 'w',
        userId,
        phoneNumber: null,
        kakaoPhoneNumber: null,
        locale: null,
        timezone,
        devices: [],
        optOutChannels: [],
        optOutCategories: [],
        quietHoursStart: clockAt(Date.now() - hour, zone),
        quietHoursEnd,
        updatedAt: Date.now(),
      },
    },
  ])
}

type Event = SequenceChanged['events'][number]
function eventsOf(userId: string): readonly Event[] {
  const changes = sequences.values().filter((change) => change.userId === userId)
  const once = new Map(changes.map((change) => [change.version, change]))
  return [...once.values()].sort((a, b) => a.version - b.version).flatMap(({ events }) => events)
}
const detailOf = (event: Event): string =>
  event.type === 'EngagementRecorded' ? ` ${event.kind}` : event.type === 'StepEnded' ? ` ${event.reason}` : ''
const inShort = (userId: string): string =>
  eventsOf(userId)
    .map((event) => event.type + detailOf(event))
    .join(', ')
const deferrals = (userId: string): number[] =>
  eventsOf(userId).flatMap((event) => (event.type === 'StepDeferred' ? [Number(event.until)] : []))
const pushesTo = (userId: string): DispatchStep[] =>
  pushes.values().filter((command) => command.userId === userId && command.action === 'send')
const inApp = (userId: string): string => messageIdOf(sequenceIdOf('w', 'night', userId), 1, 'in_app')

const userWithout = (userId: string): UserChanged => ({
  workspaceId: 'w',
  userId,
  phoneNumber: null,
  kakaoPhoneNumber: null,
  locale: null,
  timezone: null,
  devices: [],
  optOutChannels: [],
  optOutCategories: [],
  quietHoursStart: null,
  quietHoursEnd: null,
  updatedAt: Date.now(),
})

it('quiet hours set the moment before a send are kept, however many people were imported ahead of them', async () => {
  await approvePush('alarm')
  const people = Array.from({ length: 20_000 }, (_, n) => `imported-${n}`)
  const asleep = Array.from({ length: 12 }, (_, n) => `asleep-${n}`)
  await (await connection.producer()).send(
    topics.users,
    people.map((userId) => ({ key: userKey('w', userId), value: userWithout(userId) })),
  )
  const end = Date.now() + 2 * hour
  await Promise.all(asleep.map((userId) => sleeps(userId, end)))
  await produceSends(
    connection,
    [...asleep, 'awake'].map((userId) => sendRequested('alarm', 'now', userId)),
  )
  await eventually(() => [...asleep, 'awake'].every((userId) => eventsOf(userId).length > 0), { withinMs: 60_000 })
  expect(asleep.map(inShort)).toEqual(asleep.map(() => 'SequenceStarted, StepDeferred'))
  expect(inShort('awake')).toBe('SequenceStarted, StepCommanded')
})

it('a cancel is answered and a receipt that disturbs nobody counts while quiet hours are not known yet', async () => {
  // Whoever follows the users stands still.
  await approvePush('alarm-2')
  await produceSends(
    connection,
    ['first', 'second'].map((userId) => sendRequested('order', 'calm', userId)),
  )
  await eventually(() => ['first', 'second'].every((userId) => eventsOf(userId).length > 0))
  const locker = new Client({ connectionString: stack.databaseUrl })
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE orchestrator.users IN SHARE MODE')
  try {
    await sleeps('third', Date.now() + 2 * hour)
    await produceSends(connection, [sendRequested('alarm-2', 'calm', 'third')])
    await (await connection.producer()).send(topics.controls, [
      {
        key: 'w',
        value: { cancelId: 'calm', workspaceId: 'w', scope: 'user', id: 'first', requestedBy: 'spec', requestedAt: Date.now() },
      },
    ])
    const second = messageIdOf(sequenceIdOf('w', 'calm', 'second'), 1, 'in_app')
    await produceEngagements(connection, [engagementReported(second, 'viewed')])
    await eventually(() => ['first', 'second'].every((userId) => inShort(userId).endsWith('SequenceEnded')))
    expect(eventsOf('third')).toEqual([])
  } finally {
    await locker.query('COMMIT')
    await locker.end()
  }
  await eventually(() => eventsOf('third').length > 0)
  expect(inShort('third')).toBe('SequenceStarted, StepDeferred')
})

it('the step goes when they end, engagements count and stop it meanwhile, and whoever changed their mind is asked again', async () => {
  const end = soon()
  const everyone = ['sleeper', 'riser', 'turner', 'seoul']
  await (await connection.producer()).send(topics.workspaces, [
    {
      key: 'w',
      value: { workspaceId: 'w', settings: JSON.stringify({ timezone: workspaceTimezone }), updatedAt: Date.now() },
    },
  ])
  await eventually(async () => (await database.query('SELECT FROM workspaces')).rowCount === 1)
  await Promise.all([sleeps('sleeper', end), sleeps('riser', end), sleeps('turner', end), sleeps('seoul', end, null)])
  await produceSends(
    connection,
    everyone.map((userId) => sendRequested('order', 'night', userId)),
  )
  await eventually(() => everyone.every((userId) => eventsOf(userId).length > 0))
  await produceEngagements(
    connection,
    everyone.map((userId) => engagementReported(inApp(userId), 'requested')),
  )
  // The window of step 1 elapses as ever.
  await eventually(() => everyone.every((userId) => deferrals(userId).length === 1))
  expect(everyone.map(deferrals)).toEqual(everyone.map(() => [end]))

  await produceEngagements(connection, [engagementReported(inApp('riser'), 'viewed'), engagementReported(inApp('sleeper'), 'delivered')])
  await sleeps('turner', end + 2 * hour)
  await eventually(() => inShort('riser').includes('SequenceEnded') && inShort('sleeper').includes('delivered'))
  expect(everyone.flatMap(pushesTo)).toEqual([])
  expect(Date.now()).toBeLessThan(end)

  await eventually(() => pushesTo('sleeper').length + pushesTo('seoul').length === 2, { withinMs: 90_000, everyMs: 100 })
  for (const { commandedAt } of [...pushesTo('sleeper'), ...pushesTo('seoul')]) {
    expect(Number(commandedAt)).toBeGreaterThanOrEqual(end)
    expect(Number(commandedAt)).toBeLessThan(end + 5_000)
  }
  await eventually(() => deferrals('turner').length === 2 && inShort('sleeper').endsWith('StepCommanded'))
  expect(deferrals('turner')).toEqual([end, end + 2 * hour])
  expect(inShort('sleeper')).toBe(
    'SequenceStarted, StepCommanded, EngagementRecorded requested, StepEnded waitElapsed, StepDeferred, EngagementRecorded delivered, ' +
      'StepCommanded',
  )
  expect(inShort('riser')).toBe(
    'SequenceStarted, StepCommanded, EngagementRecorded requested, StepEnded waitElapsed, StepDeferred, EngagementRecorded viewed, ' +
      'StepEnded superseded, SequenceEnded',
  )
  expect(everyone.filter((userId) => pushesTo(userId).length > 0)).toEqual(['sleeper', 'seoul'])
}, 150_000)

it('taken away or changed while a step waits for their end: it waits no longer than it would now, and never goes inside the new ones', async () => {
  await approvePush('alarm-3')
  const setTimezone = async (timezone: string): Promise<void> => {
    await (await connection.producer()).send(topics.workspaces, [
      {
        key: 'w',
        value: { workspaceId: 'w', settings: JSON.stringify({ timezone }), updatedAt: Date.now() },
      },
    ])
  }
  await setTimezone('Asia/Seoul')
  await eventually(async () => (await database.query(`SELECT FROM workspaces WHERE settings->>'timezone' = 'Asia/Seoul'`)).rowCount === 1)
  const end = Math.ceil(Date.now() / minute) * minute + 2 * hour
  const ofZone = {
    away: 'UTC',
    earlier: 'UTC',
    later: 'UTC',
    'other-hours': 'UTC',
    'other-zone': 'UTC',
    same: 'UTC',
    'of-workspace': null,
    gone: 'UTC',
  }
  const everyone = Object.keys(ofZone)
  await Promise.all(Object.entries(ofZone).map(([userId, zone]) => sleeps(userId, end, zone)))
  await produceSends(
    connection,
    everyone.map((userId) => sendRequested('alarm-3', 'changing', userId)),
  )
  await eventually(() => everyone.every((userId) => deferrals(userId).length === 1))
  expect(everyone.map(deferrals)).toEqual(everyone.map(() => [end]))

  const tell = async (userId: string, more: Partial<UserChanged> | null): Promise<void> => {
    const value = more === null ? null : { ...userWithout(userId), timezone: 'UTC', ...more }
    await (await connection.producer()).send(topics.users, [{ key: userKey('w', userId), value }])
  }
  const since = clockAt(Date.now() - hour, 'UTC')
  const changedAt = Date.now()
  await Promise.all([
    tell('away', {}),
    tell('earlier', { quietHoursStart: since, quietHoursEnd: clockAt(end - hour, 'UTC') }),
    tell('later', { quietHoursStart: since, quietHoursEnd: clockAt(end + hour, 'UTC') }),
    tell('other-hours', { quietHoursStart: clockAt(end, 'UTC'), quietHoursEnd: clockAt(end + hour, 'UTC') }),
    tell('other-zone', { quietHoursStart: since, quietHoursEnd: clockAt(end, 'UTC'), timezone: 'Pacific/Kiritimati' }),
    tell('same', { quietHoursStart: since, quietHoursEnd: clockAt(end, 'UTC'), locale: 'ko' }),
    // Erased: whoever knows of no quiet hours any more must not take that for their end.
    tell('gone', null),
    setTimezone('America/Los_Angeles'),
  ])
  const awake = ['away', 'other-hours', 'other-zone', 'of-workspace']
  await eventually(() => [...awake].every((userId) => pushesTo(userId).length === 1) && deferrals('earlier').length === 2, {
    withinMs: 15_000,
    everyMs: 50,
  })
  expect(Date.now() - changedAt).toBeLessThan(10_000)
  // Time for whatever else might be sent.
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  expect(everyone.filter((userId) => pushesTo(userId).length > 0).sort()).toEqual([...awake].sort())
  expect(deferrals('earlier')).toEqual([end, end - hour])
  for (const userId of ['later', 'same', 'gone']) expect(deferrals(userId)).toEqual([end])
  for (const userId of awake) expect(inShort(userId)).toBe('SequenceStarted, StepDeferred, StepCommanded')
  expect((await database.query('SELECT FROM reconsiderations')).rowCount).toBe(0)
}, 60_000)
