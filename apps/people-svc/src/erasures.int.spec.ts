// The second half of an erasure, with a real orchestrator that comes late and a real dispatcher that was faster.
import { messageIdOf, sequenceIdOf, topics, type DispatchStep } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { contextHeader, contextKey, signContext } from '@stepcast/service'
import { approveTwoSteps, eventually, readTopic, SpecProcesses, specStack, type SpecProcess, type SpecStack } from '@stepcast/testing'
import { Client } from 'pg'

let stack: SpecStack
let processes: SpecProcesses
let connection: KafkaConnection
let database: Client
let orchestrator: SpecProcess
let people: SpecProcess

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  processes = new SpecProcesses(stack)
  ;[orchestrator] = await Promise.all([processes.start('orchestrator'), processes.start('inapp-dispatcher')])
  people = await processes.start('people-svc', { env: { ORCHESTRATOR_URL: orchestrator.url, SMS_DISPATCHER_URL: 'http://127.0.0.1:9' } })
  await approveTwoSteps(connection, 'news')
  database = new Client({ connectionString: stack.databaseUrl })
  await database.connect()
}, 120_000)
afterAll(async () => {
  await database?.end()
  await processes?.stop()
  await stack?.stop()
})

async function call(method: string, userId: string, body?: object): Promise<number> {
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET!), {
    workspaceId: 'w',
    scopes: ['send', 'read'],
    userId: null,
    via: 'api_key',
    keyId: 'ak_1',
  })
  const response = await fetch(`${people.url}/v1/users/${userId}`, {
    method,
    headers: { [contextHeader]: context, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return response.status
}

let sends = 0
/** A command as the orchestrator makes it of a send: answers its messageId. */
async function commanded(userId: string): Promise<string> {
  const sendId = `send-${++sends}`
  const sequenceId = sequenceIdOf('w', sendId, userId)
  const messageId = messageIdOf(sequenceId, 1, 'in_app')
  const value: DispatchStep = {
    action: 'send',
    workspaceId: 'w',
    messageId,
    sequenceId,
    sendId,
    step: 1,
    channelType: 'in_app',
    userId,
    templateId: 'news',
    templateVersion: 1,
    campaignId: null,
    variables: {},
    windowMs: null,
    commandedAt: Date.now(),
    expiresAt: Date.now() + 3_600_000,
  }
  await (await connection.producer()).send(topics.inAppCommands, [{ key: sequenceId, value }])
  return messageId
}

async function item(messageId: string): Promise<{ user_id: string | null; content: object | null } | undefined> {
  return (await database.query('SELECT user_id, content FROM inapp_dispatcher.messages WHERE message_id = $1', [messageId])).rows[0]
}
const inFeed = (messageId: string): Promise<boolean> => eventually(async () => (await item(messageId)) !== undefined)

/** What the topic says of a user: each state's number, null where they were erased. */
const told = async (userId: string): Promise<(string | null)[]> =>
  (await readTopic(connection, topics.users)).filter(({ key }) => key === `w/${userId}`).map(({ value }) => value && value.phoneNumber)

const open = async (): Promise<number> => (await database.query('SELECT FROM people_svc.erasures')).rowCount!

it('when it is answered nothing of before is commanded any more, and who comes back keeps what comes then', async () => {
  await call('PUT', 'ada', { phoneNumber: '+821011112222' })
  const before = await commanded('ada')
  await inFeed(before)
  expect(await call('DELETE', 'ada')).toBe(204)
  expect(await open()).toBe(0)
  expect(await told('ada')).toEqual(['+821011112222', null, null])
  const after = await commanded('ada')
  await inFeed(after)
  expect(await item(after)).toMatchObject({ user_id: 'ada', content: expect.anything() })
  expect(await item(before)).toEqual({ user_id: null, content: null })
})

it('what is commanded after a dispatcher has heard of it and before the cancel is in force is erased too', async () => {
  await call('PUT', 'bob', { phoneNumber: '+821011113333' })
  await orchestrator.stop()
  expect(await call('DELETE', 'bob')).toBe(204)
  expect(await told('bob')).toEqual(['+821011113333', null])
  const straggler = await commanded('bob')
  await inFeed(straggler)
  expect(await item(straggler)).toMatchObject({ user_id: 'bob', content: expect.anything() })
  // They come back meanwhile: their new profile is not lost with what is left of the old one.
  expect(await call('PUT', 'bob', { phoneNumber: '+821011114444' })).toBe(200)
  // An erasure that is refused for ever keeps nobody waiting.
  await database.query(`INSERT INTO people_svc.erasures VALUES (gen_random_uuid(), 'w', '', 'spec', '2000-01-01')`)

  await orchestrator.start()
  await eventually(async () => (await item(straggler))!.user_id === null, { withinMs: 30_000 })
  expect(await item(straggler)).toEqual({ user_id: null, content: null })
  expect(await told('bob')).toEqual(['+821011113333', null, '+821011114444', null, '+821011114444'])
  expect(await call('GET', 'bob')).toBe(200)
  expect((await database.query('SELECT user_id FROM people_svc.erasures')).rows).toEqual([{ user_id: '' }])
  await database.query('DELETE FROM people_svc.erasures')
}, 60_000)

it('two who erase one person at a time, and one who asks again, leave nothing open', async () => {
  expect(await Promise.all(['DELETE', 'DELETE', 'DELETE'].map((method) => call(method, 'cleo')))).toEqual([204, 204, 204])
  expect(await open()).toBe(0)
  expect(new Set(await told('cleo'))).toEqual(new Set([null]))
})
