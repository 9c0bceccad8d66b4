import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import {
  deadLetterTopic,
  messageIdOf,
  partitionOf,
  sequenceIdOf,
  templateVersionKey,
  topics,
  userKey,
  type DispatchStep,
  type EngagementKind,
  type SendRequested,
  type SequenceChanged,
  type TemplateChanged,
} from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { contextHeader, contextKey, expectEveryRouteScoped, signContext, startService, type RunningService } from '@stepcast/service'
import {
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
let service: RunningService
let watched: {
  inAppCommands: WatchedTopic<'DispatchStep'>
  pushCommands: WatchedTopic<'DispatchStep'>
  sequences: WatchedTopic<'SequenceChanged'>
}
let dead: WatchedDeadLetters

const start = (): Promise<RunningService> => startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  const [inAppCommands, pushCommands, sequences] = await Promise.all([
    watchTopic(connection, topics.inAppCommands),
    watchTopic(connection, topics.pushCommands),
    watchTopic(connection, topics.sequences),
  ])
  watched = { inAppCommands, pushCommands, sequences }
  dead = await watchDeadLetters(connection)
  service = await start()
  await approve('welcome', twoSteps('viewed'))
})
afterAll(async () => {
  await service.stop()
  await stack.stop()
})

// ── What an outsider does ─────────────────────────────────────────────────────────────────────────────────────────────────

const twoSteps = (stopCondition: string, waitMinutes = 5): object => ({
  sequenceEnabled: true,
  sequence: {
    steps: [
      { channels: ['in_app'], stopCondition, waitMinutes },
      { channels: ['push'], stopCondition: null, waitMinutes: null },
    ],
    onFailure: 'advance',
    lateSignal: 'stop',
    dispatchTtlMinutes: 60,
  },
})

async function approve(templateId: string, config: object, version = 1, workspaceId = 'w'): Promise<void> {
  const value: TemplateChanged = {
    workspaceId,
    templateId,
    changedAt: Date.now(),
    change: {
      type: 'TemplateApproved',
      version,
      name: templateId,
      category: 'Custom',
      variableSchema: JSON.stringify([{ name: 'who', type: 'string', required: templateId === 'greeting', default: null }]),
      channels: JSON.stringify([
        { channelType: 'in_app', content: { title: 't', body: 'b', imageUrl: null, buttons: [] } },
        { channelType: 'push', content: { title: 't', body: 'b', url: null, data: {} } },
      ]),
      config: JSON.stringify(config),
    },
  }
  await (await connection.producer()).send(topics.templates, [{ key: templateVersionKey(workspaceId, templateId, version), value }])
}

const sendOf = (sendId: string, userId: string, more: Partial<SendRequested> = {}): SendRequested =>
  sendRequested('welcome', sendId, userId, more)

async function report(messageId: string, kind: EngagementKind, more: { workspaceId?: string; reason?: string } = {}): Promise<void> {
  await produceEngagements(connection, [engagementReported(messageId, kind, more)])
}

const commands = async (sequenceId: string, channel: 'inAppCommands' | 'pushCommands'): Promise<DispatchStep[]> =>
  watched[channel].values().filter((command) => command.sequenceId === sequenceId)

const commanded = (sequenceId: string, channel: 'inAppCommands' | 'pushCommands'): Promise<DispatchStep[]> =>
  eventually(async () => {
    const found = await commands(sequenceId, channel)
    return found.length > 0 ? found : null
  })

const changesOf = async (sequenceId: string): Promise<SequenceChanged[]> => {
  const changes = watched.sequences.values().filter((change) => change.sequenceId === sequenceId)
  return [...new Map(changes.map((change) => [change.version, change])).values()]
}

const eventsOf = async (sequenceId: string): Promise<string[]> =>
  (await changesOf(sequenceId)).sort((a, b) => a.version - b.version).flatMap(({ events }) => events.map((event) => event.type))

const ended = (sequenceId: string): Promise<SequenceChanged['events'][number]> =>
  eventually(async () => (await changesOf(sequenceId)).flatMap(({ events }) => events).find(({ type }) => type === 'SequenceEnded'))

async function get(path: string, init: RequestInit = {}, workspaceId = 'w'): Promise<{ status: number; body: Record<string, unknown> }> {
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET!), {
    workspaceId,
    scopes: ['read', 'send', 'admin'],
    userId: null,
    via: 'api_key',
    keyId: 'ak_1',
  })
  const response = await fetch(`${service.url}${path}`, { ...init, headers: { [contextHeader]: context } })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

// ── What must come of it ──────────────────────────────────────────────────────────────────────────────────────────────────

it('every route declares its scope', () => expectEveryRouteScoped(service.app))

it('viewed in time stops the sequence: no push is ever commanded, and the story says why', async () => {
  const sequenceId = sequenceIdOf('w', 's1', 'u1')
  await produceSends(connection, [sendOf('s1', 'u1', { variables: { who: 'Ada' } })])
  const [command] = await commanded(sequenceId, 'inAppCommands')
  expect(command).toMatchObject({
    action: 'send',
    messageId: messageIdOf(sequenceId, 1, 'in_app'),
    step: 1,
    channelType: 'in_app',
    windowMs: 5_000,
    variables: { who: 'Ada' },
  })
  await report(command!.messageId, 'requested')
  await report(command!.messageId, 'viewed')
  expect(await ended(sequenceId)).toMatchObject({ outcome: 'stopped', step: 1, engagement: 'viewed' })
  const { body } = await get(`/v1/sequences/${sequenceId}`)
  expect(body).toMatchObject({ sequenceId, sendId: 's1', userId: 'u1', state: 'ended', outcome: 'stopped', step: 1 })
  expect((body.history as { why: string }[]).every(({ why }) => why.length > 10)).toBe(true)
  expect((await get(`/v1/sequences/${sequenceId}`, {}, 'other')).status).toBe(404)
  await new Promise((resolve) => setTimeout(resolve, 5_500))
  expect(await commands(sequenceId, 'pushCommands')).toEqual([])
})

it('ignored, the push is commanded exactly once, after the window and not before', async () => {
  const sequenceId = sequenceIdOf('w', 's2', 'u2')
  await produceSends(connection, [sendOf('s2', 'u2'), sendOf('s2', 'u2')])
  const [inApp] = await commanded(sequenceId, 'inAppCommands')
  await report(inApp!.messageId, 'requested')
  const [push] = await commanded(sequenceId, 'pushCommands')
  const changes = await changesOf(sequenceId)
  const requested = changes.flatMap(({ events }) => events).find(({ type }) => type === 'EngagementRecorded')
  expect(push!.commandedAt - (requested as { occurredAt: number }).occurredAt).toBeGreaterThanOrEqual(5_000)
  await report(push!.messageId, 'requested')
  expect(await ended(sequenceId)).toMatchObject({ outcome: 'exhausted' })
  expect(await eventsOf(sequenceId)).toEqual([
    'SequenceStarted',
    'StepCommanded',
    'EngagementRecorded',
    'StepEnded',
    'StepCommanded',
    'EngagementRecorded',
    'StepEnded',
    'SequenceEnded',
  ])
  expect(await commands(sequenceId, 'inAppCommands')).toHaveLength(1)
  expect(await commands(sequenceId, 'pushCommands')).toHaveLength(1)
})

it('a thousand sends and engagements with random keys, each twice, make a thousand sequences; positions are gapless per partition', async () => {
  const users = Array.from({ length: 1_000 }, (_, n) => `many-${n}`)
  const sends = users.map((userId) => sendOf('s3', userId))
  await produceSends(connection, [...sends, ...sends])
  const ids = users.map((userId) => sequenceIdOf('w', 's3', userId))
  const wanted = new Set(ids)
  const found = await eventually(async () => {
    const all = watched.inAppCommands.values().filter(({ sequenceId }) => wanted.has(sequenceId))
    return all.length >= 1_000 ? all : null
  })
  expect(new Set(found.map(({ messageId }) => messageId)).size).toBe(1_000)
  const producer = await connection.producer()
  const seen = ids.map((sequenceId) => ({
    key: 'any',
    value: engagementReported(messageIdOf(sequenceId, 1, 'in_app'), 'viewed'),
  }))
  await producer.send(topics.engagements, [...seen, ...seen])
  await eventually(async () => {
    const { body } = await get('/v1/sequences?sendId=s3&outcome=running&limit=1')
    return (body.items as unknown[]).length === 0
  })
  // The topic's partition is the home partition; every position stands there, duplicates only from republishing.
  await eventually(async () => {
    const { records } = watched.sequences
    for (let partition = 0; partition < specPartitions; partition++) {
      const here = records.filter((record) => record.partition === partition)
      const positions = [...new Set(here.map(({ value }) => value!.logPosition))].sort((a, b) => a - b)
      if (!positions.every((position, index) => position === index + 1)) return false
      if (!here.every(({ value, key }) => value!.logPartition === partition && partitionOf(key!, specPartitions) === partition))
        return false
    }
    return records.filter(({ value }) => value!.sendId === 's3').length >= 2_000
  })
})

it('what cannot start becomes a dead letter with its reason and origin, its neighbours start', async () => {
  const producer = await connection.producer()
  const before = dead.letters.length
  await produceSends(connection, [
    sendOf('s4', 'u', { templateId: 'nobody' }),
    sendOf('s4', 'u', { workspaceId: 'elsewhere' }),
    sendOf('s4', 'u', { templateVersion: 9 }),
    sendOf('s4', 'bad\nuser'),
    sendOf('s4', 'u-big', { variables: { who: 'x'.repeat(70_000) } }),
    sendOf('s4', 'good'),
  ])
  await producer.sendRaw(topics.sends.name, [
    { key: null, value: Buffer.from('{"not":"avro"}') },
    { key: 'k', value: Buffer.from([0, 0, 9, 9, 9, 1, 2]) },
    { key: 'k', value: randomBytes(300) },
    { key: 'k', value: null },
  ])
  await commanded(sequenceIdOf('w', 's4', 'good'), 'inAppCommands')
  const letters = await eventually(async () => {
    return dead.letters.length - before >= 9 ? dead.letters.slice(before) : null
  })
  const reasons = letters.map(({ headers }) => headers.reason).sort()
  expect(reasons).toEqual(
    expect.arrayContaining(['unknown_template', 'invalid_send', 'variables_too_large', 'not_avro', 'unknown_schema', 'null_value']),
  )
  for (const { headers } of letters) {
    expect(headers).toMatchObject({
      topic: expect.stringMatching(/^stepcast\./),
      partition: expect.stringMatching(/^\d+$/),
      offset: expect.stringMatching(/^\d+$/),
    })
  }
  expect(deadLetterTopic.name).toBe('stepcast.dead-letters.v1')
})

it('a missing required variable is refused by name; an archived template refuses new sends only', async () => {
  await approve('greeting', twoSteps('clicked'))
  await produceSends(connection, [sendOf('s5', 'u', { templateId: 'greeting' })])
  await eventually(async () =>
    dead.letters.some(({ headers }) => headers.reason === 'missing_variables' && headers.detail!.includes('who')),
  )
  await approve('old', twoSteps('viewed'))
  await produceSends(connection, [sendOf('s6', 'before', { templateId: 'old' })])
  await commanded(sequenceIdOf('w', 's6', 'before'), 'inAppCommands')
  const value: TemplateChanged = {
    workspaceId: 'w',
    templateId: 'old',
    changedAt: Date.now(),
    change: { type: 'TemplateArchived', archivedAt: Date.now() },
  }
  await (await connection.producer()).send(topics.templates, [{ key: 'w/old', value }])
  await produceSends(connection, [sendOf('s6', 'after', { templateId: 'old' })])
  await eventually(async () => dead.letters.some(({ headers }) => headers.reason === 'archived_template'))
})

it('approve-then-send at once always works, and the latest version is taken', async () => {
  await approve('quick', twoSteps('viewed'), 1)
  await approve('quick', twoSteps('clicked'), 2)
  await produceSends(connection, [sendOf('s7', 'u', { templateId: 'quick' })])
  const [command] = await commanded(sequenceIdOf('w', 's7', 'u'), 'inAppCommands')
  expect(command!.templateVersion).toBe(2)
})

it('an engagement that comes before its send is kept and applied; one of another workspace or of a step never commanded is a dead letter', async () => {
  const early = sequenceIdOf('w', 's8', 'early')
  await report(messageIdOf(early, 1, 'in_app'), 'clicked')
  await new Promise((resolve) => setTimeout(resolve, 500))
  await produceSends(connection, [sendOf('s8', 'early'), sendOf('s8', 'other')])
  expect(await ended(early)).toMatchObject({ outcome: 'stopped', engagement: 'clicked' })
  const other = sequenceIdOf('w', 's8', 'other')
  await commanded(other, 'inAppCommands')
  await report(messageIdOf(other, 2, 'push'), 'clicked')
  await report(messageIdOf(other, 1, 'in_app'), 'clicked', { workspaceId: 'x' })
  await report('nonsense', 'clicked')
  await eventually(async () => {
    const reasons = new Set(dead.letters.map(({ headers }) => headers.reason))
    return ['step_never_commanded', 'wrong_workspace', 'invalid_message_id'].every((reason) => reasons.has(reason))
  })
})

it('a cancelled sequence commands nothing any more; what was not begun is withdrawn; a send cancelled before fan-out is born cancelled', async () => {
  const sequenceId = sequenceIdOf('w', 's9', 'u')
  await produceSends(connection, [sendOf('s9', 'u')])
  await commanded(sequenceId, 'inAppCommands')
  expect((await get(`/v1/sequences/${sequenceId}/cancel`, { method: 'POST' })).status).toBe(200)
  expect(await ended(sequenceId)).toMatchObject({ outcome: 'cancelled' })
  await eventually(async () => (await commands(sequenceId, 'inAppCommands')).some(({ action }) => action === 'withdraw'))
  await (await connection.producer()).send(topics.controls, [
    {
      key: 'w',
      value: { cancelId: 'c1', workspaceId: 'w', scope: 'send', id: 's10', requestedBy: 'spec', requestedAt: Date.now() },
    },
  ])
  await eventually(async () => {
    const sendId = 's10'
    const userId = `probe-${Date.now()}`
    await produceSends(connection, [sendOf(sendId, userId)])
    const born = sequenceIdOf('w', sendId, userId)
    await ended(born).catch(() => null)
    return (await eventsOf(born)).join() === 'SequenceStarted,SequenceEnded'
  })
})

it('quiet hours just set defer the push, in-app is exempt; nothing else is kept of a person', async () => {
  const local = (ms: number): string => new Date(ms).toISOString().slice(11, 16)
  await (await connection.producer()).send(topics.users, [
    {
      key: userKey('w', 'sleeper'),
      value: {
        workspaceId: 'w',
        userId: 'sleeper',
        phoneNumber: '+15550100',
        kakaoPhoneNumber: null,
        locale: null,
        timezone: 'UTC',
        devices: [],
        optOutChannels: [],
        optOutCategories: [],
        quietHoursStart: local(Date.now() - 3_600_000),
        quietHoursEnd: local(Date.now() + 3_600_000),
        updatedAt: Date.now(),
      },
    },
  ])
  await approve('loud', {
    ...twoSteps('viewed'),
    sequence: {
      steps: [{ channels: ['in_app', 'push'], stopCondition: null, waitMinutes: null }],
      onFailure: 'advance',
      lateSignal: 'stop',
      dispatchTtlMinutes: 60,
    },
  })
  await produceSends(connection, [sendOf('s11', 'sleeper', { templateId: 'loud' })])
  const sequenceId = sequenceIdOf('w', 's11', 'sleeper')
  await commanded(sequenceId, 'inAppCommands')
  const deferred = await eventually(async () =>
    (await changesOf(sequenceId)).flatMap(({ events }) => events).find(({ type }) => type === 'StepDeferred'),
  )
  expect(deferred).toMatchObject({ channels: ['push'], reason: expect.any(String) })
  expect(await commands(sequenceId, 'pushCommands')).toEqual([])
  const database = new Client({ connectionString: stack.databaseUrl })
  await database.connect()
  const { rows } = await database.query('SELECT data FROM orchestrator.users')
  await database.end()
  expect(rows).toHaveLength(1)
  expect(JSON.stringify(rows)).not.toContain('15550100')
})

it('a restart in the middle of a window: the timer still fires, once', async () => {
  const sequenceId = sequenceIdOf('w', 's12', 'u')
  await produceSends(connection, [sendOf('s12', 'u')])
  const [inApp] = await commanded(sequenceId, 'inAppCommands')
  await report(inApp!.messageId, 'requested')
  await eventually(async () => (await eventsOf(sequenceId)).includes('EngagementRecorded'))
  await service.stop()
  await new Promise((resolve) => setTimeout(resolve, 6_000))
  service = await start()
  await commanded(sequenceId, 'pushCommands')
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const distinct = new Set((await commands(sequenceId, 'pushCommands')).map(({ messageId, action }) => `${messageId} ${action}`))
  expect([...distinct]).toEqual([`${messageIdOf(sequenceId, 2, 'push')} send`])
  expect((await eventsOf(sequenceId)).filter((type) => type === 'StepCommanded')).toHaveLength(2)
})
