// Reading over HTTP: every filter, times that no date holds, questions that take too long, and turns that do not notice any of it.
import { Client } from 'pg'
import { messageIdOf, ScratchEncoder, sequenceIdOf, topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { contextHeader, contextKey, signContext, startService, type RunningService } from '@stepcast/service'
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
import { decodeChange, writeChange } from './changeCodec'

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let database: Client
let commands: WatchedTopic<'DispatchStep'>

const users = ['ann', 'bob', 'cid']

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  commands = await watchTopic(connection, topics.inAppCommands)
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  await approveTwoSteps(connection, 'order', 1440)
  await approveTwoSteps(connection, 'news', 1440)
  await produceSends(connection, [
    ...users.map((userId) => sendRequested('order', 'one', userId)),
    ...users.map((userId) => sendRequested('news', 'two', userId, { campaignId: 'spring' })),
  ])
  await eventually(() => commands.values().length >= 6, { withinMs: 60_000 })
})
afterAll(async () => {
  await database?.end()
  await service?.stop()
  await stack?.stop()
})

async function call(method: string, path: string, workspaceId = 'w'): Promise<{ status: number; body: any }> {
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET!), {
    workspaceId,
    scopes: ['read', 'send'],
    userId: null,
    via: 'api_key',
    keyId: 'ak',
  })
  const response = await fetch(`${service.url}${path}`, {
    method,
    headers: { [contextHeader]: context, 'content-type': 'application/json' },
  })
  return { status: response.status, body: await response.json() }
}

const list = (query: string, workspaceId?: string) => call('GET', `/v1/sequences?${query}`, workspaceId)

async function everyPage(query: string, limit: number): Promise<string[]> {
  const ids: string[] = []
  let cursor = ''
  do {
    const { status, body } = await list(`${query}&limit=${limit}${cursor}`)
    expect(status).toBe(200)
    ids.push(...body.items.map(({ sequenceId }: { sequenceId: string }) => sequenceId))
    cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`
  } while (cursor !== '')
  return ids
}

const idsOf = (sendId: string): string[] => users.map((userId) => sequenceIdOf('w', sendId, userId))

it.each([
  ['', () => [...idsOf('one'), ...idsOf('two')]],
  ['sendId=one', () => idsOf('one')],
  ['userId=ann', () => [sequenceIdOf('w', 'one', 'ann'), sequenceIdOf('w', 'two', 'ann')]],
  ['sendId=one&userId=ann', () => [sequenceIdOf('w', 'one', 'ann')]],
  ['campaignId=spring', () => idsOf('two')],
  ['templateId=order', () => idsOf('one')],
  ['outcome=running', () => [...idsOf('one'), ...idsOf('two')]],
  ['outcome=cancelled', () => []],
  ['userId=ann&templateId=news&outcome=running', () => [sequenceIdOf('w', 'two', 'ann')]],
  [`sequenceId=${sequenceIdOf('w', 'one', 'bob')}`, () => [sequenceIdOf('w', 'one', 'bob')]],
  [`sequenceId=${sequenceIdOf('w', 'one', 'nobody')}`, () => []],
  [`sequenceId=${sequenceIdOf('w', 'one', 'bob')}&sendId=two`, () => []],
  ['sequenceId=no-uuid', () => []],
])('a list by %j holds each of its sequences once, by pages of any length', async (query, expected) => {
  for (const limit of [1, 2, 100]) expect((await everyPage(query, limit)).sort()).toEqual([...expected()].sort())
})

it('lists hold nothing of another workspace, and what is no cursor of a list is refused', async () => {
  expect((await list('', 'stranger')).body).toEqual({ items: [], nextCursor: null })
  expect((await list(`sequenceId=${sequenceIdOf('w', 'one', 'bob')}`, 'stranger')).body.items).toEqual([])
  for (const cursor of ['["x"]', '["one","x"]', '[1]', '["one",null]', '["a","b","c"]', 'nonsense']) {
    const encoded = Buffer.from(cursor).toString('base64url')
    expect({ cursor, status: (await list(`cursor=${encoded}`)).status }).toEqual({ cursor, status: 400 })
    expect({ cursor, status: (await list(`sendId=one&cursor=${encoded}`)).status }).toEqual({ cursor, status: 400 })
  }
  expect((await list('sendId=%00')).status).toBeLessThan(500)
})

it('a receipt with a time that no date holds is told as a number, and its sequence is cancelled', async () => {
  const id = sequenceIdOf('w', 'one', 'cid')
  await produceEngagements(connection, [engagementReported(messageIdOf(id, 1, 'in_app'), 'requested')])
  await eventually(async () => (await call('GET', `/v1/sequences/${id}`)).body.history.length >= 3)
  // As it was stored before such times were refused.
  const { rows } = await database.query('SELECT started_on, version, data FROM changes WHERE sequence_id = $1 ORDER BY version', [id])
  for (const { started_on: day, version, data } of rows) {
    const { recordedAt, events } = decodeChange(data)
    const changed = events.map((event) =>
      'occurredAt' in event ? { ...event, occurredAt: 9e15 } : 'requestedAt' in event ? { ...event, requestedAt: 8.9e15 } : event,
    )
    const scratch = new ScratchEncoder()
    const to = writeChange(scratch, 0, { recordedAt, events: changed as typeof events })
    await database.query('UPDATE changes SET data = $4 WHERE started_on = $1 AND sequence_id = $2 AND version = $3', [
      day,
      id,
      version,
      Buffer.from(scratch.buffer.subarray(0, to)),
    ])
  }
  const { status, body } = await call('GET', `/v1/sequences/${id}`)
  expect(status).toBe(200)
  expect(body.history.find(({ type }: { type: string }) => type === 'SequenceStarted').requestedAt).toBe('8900000000000000')
  expect(body.history.find(({ type }: { type: string }) => type === 'EngagementRecorded').occurredAt).toBe('9000000000000000')
  expect((await call('POST', `/v1/sequences/${id}/cancel`)).status).toBe(200)
  await eventually(async () => (await call('GET', `/v1/sequences/${id}`)).body.outcome === 'cancelled')
})

it('reads that get no answer end after 5 s with a sentence; sends start meanwhile', async () => {
  // An old day is locked: whoever reads its stories waits, and no turn has anything to do with it.
  const day = new Date(Date.now() - 24 * 3_600_000).toISOString().slice(0, 10)
  const id = sequenceIdOf('w', 'old', 'u')
  await database.query(
    `INSERT INTO sequences (sequence_id, started_on, partition, outcome, template_version, workspace_id, send_id, user_id, template_id)
     VALUES ($1, $2, 0, 1, 1, 'w', 'old', 'u', 'order')`,
    [id, day],
  )
  await database.query(`BEGIN; LOCK TABLE changes_${day.replaceAll('-', '')} IN ACCESS EXCLUSIVE MODE`)
  const reading = Promise.all(Array.from({ length: 16 }, () => call('GET', `/v1/sequences/${id}`)))
  const startedAt = Date.now()
  await produceSends(connection, [sendRequested('order', 'meanwhile', 'u')])
  await eventually(() => commands.values().some(({ sequenceId }) => sequenceId === sequenceIdOf('w', 'meanwhile', 'u')), {
    withinMs: 20_000,
    everyMs: 20,
  })
  const tookMs = Date.now() - startedAt
  const answers = await reading
  await database.query('COMMIT')
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503))
  expect(answers.some(({ body }) => body.detail.includes('longer than 5 s'))).toBe(true)
  // The first reads had not ended by then.
  expect(tookMs).toBeLessThan(5_000)
})
