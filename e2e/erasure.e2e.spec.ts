// Erasing a person (rule 22), by canary: words that stand nowhere else go through the whole system with one person; once that person is
// deleted no table holds them, and after their retention no topic.
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sequenceIdOf, topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { startSystem, type System } from '@stepcast/local'
import { startStack, type Stack } from '@stepcast/stack'
import { eventually, searchDatabase, searchFiles, searchTopics, shortenRetention } from '@stepcast/testing'
import { OutsideKafka } from './kafka'
import { makeWorkspace, Sandbox, type Workspace } from './outside'
import { approved, ended, inOneLine, requested, story } from './stage'

const mark = randomBytes(6).toString('hex')
const digits = (): string => String(randomInt(10_000_000, 99_999_999))
const person = {
  userId: `canary-user-${mark}`,
  phoneNumber: `+8210${digits()}`,
  kakaoPhoneNumber: `+8210${digits()}`,
  devices: {
    phone: { platform: 'fcm', token: `canary-phone-${mark}` },
    tablet: { platform: 'apns', token: `canary-tablet-${mark}` },
    lost: { platform: 'fcm', token: `bad_canary-lost-${mark}` },
  },
  variables: { name: `Kanarienvogel ${mark}`, town: `카나리아 ${mark}`, order: `canary-order-${mark}` },
}
/** What must go. The userId is a name that the workspace chose, no personal data by itself: where it stays is told below. */
const words = [
  person.phoneNumber.slice(1),
  person.kakaoPhoneNumber.slice(1),
  ...Object.values(person.devices).map(({ token }) => token),
  ...Object.values(person.variables),
]

let homes: { stack: string; system: string }
let stack: Stack
let system: System
let kafka: OutsideKafka
let connection: KafkaConnection
let shop: Workspace
let sandbox: Sandbox

beforeAll(async () => {
  homes = { stack: mkdtempSync(join(tmpdir(), 'stepcast-erasure-stack-')), system: mkdtempSync(join(tmpdir(), 'stepcast-erasure-')) }
  // What the broker does every few minutes it does here every half second.
  stack = await startStack({ home: homes.stack, brokerSettings: { 'log.retention.check.interval.ms': 500, 'log.cleaner.backoff.ms': 500 } })
  const use = { kafkaBrokers: stack.kafkaBrokers, registryUrl: stack.registryUrl, databaseUrl: stack.databaseUrl }
  system = await startSystem({ home: homes.system, minuteMs: 800, use })
  const env = { ...system.env }
  connection = new KafkaConnection({ kafka: kafkaConfigFromEnv(env, 'canary'), registry: registryConfigFromEnv(env), log: silentLog })
  kafka = await OutsideKafka.connect(stack.kafkaBrokers, stack.registryUrl)
  sandbox = new Sandbox(system.sandboxUrl)
  shop = await makeWorkspace(system.url, system.rootKey, sandbox, 'shop')
}, 240_000)

afterAll(async () => {
  await kafka?.close()
  await connection?.close()
  await system?.stop()
  await stack?.stop()
  for (const home of Object.values(homes)) rmSync(home, { recursive: true, force: true })
}, 90_000)

const url = 'https://shop.example/{{order}}'
const buttons = [{ id: 'go', label: 'Go', url }]
const text = { title: 'Dear {{name}}', body: 'News from {{town}}' }
const inApp = { channelType: 'in_app', content: { ...text, buttons } }
const push = { channelType: 'push', content: { ...text, url, data: { town: '{{town}}' } } }
const sms = { channelType: 'sms', content: { body: `Dear {{name}}, news from {{town}}: ${url}`, trackLinks: true } }
const kakao = { channelType: 'kakao', content: { senderKey: 'shop', templateCode: 'news', body: text.body, buttons } }
const template = (templateId: string, channels: readonly object[], steps: readonly object[] | null) => ({
  templateId,
  name: templateId,
  category: 'Transactional',
  channels,
  variableSchema: Object.keys(person.variables).map((name) => ({ name, type: 'string', required: true, default: null })),
  config: steps === null ? { sequenceEnabled: false } : { sequenceEnabled: true, sequence: { steps } },
})
const path = `/v1/users/${person.userId}`

async function send(templateId: string): Promise<string> {
  const {
    userId,
    variables: { name, ...ofTheSend },
  } = person
  const body = { templateId, receivers: [{ userId, variables: { name } }], variables: ofTheSend }
  return (await shop.server.post('/v1/sends', body, { 'idempotency-key': `canary ${templateId}` })).sequences[0].sequenceId
}

let waiting: string
let link: string
let countsBefore: any

it('a person goes through every channel, and their data are wherever something is to be done with them', async () => {
  const until = (channel: string, stopCondition: string, waitMinutes = 5) => ({ channels: [channel], stopCondition, waitMinutes })
  const throughAll = [until('in_app', 'viewed'), until('push', 'clicked'), until('sms', 'clicked'), { channels: ['kakao'] }]
  await Promise.all([
    approved(shop, template('through', [inApp, push, sms, kakao], throughAll)),
    approved(shop, template('waiting', [inApp, push], [until('in_app', 'viewed', 1440), { channels: ['push'] }])),
    approved(shop, template('throttled', [push, sms, kakao], null)),
  ])
  const { phoneNumber, kakaoPhoneNumber, devices } = person
  const hour = (after: number): string => new Date(Date.now() + (9 + after) * 3_600_000).toISOString().slice(11, 16)
  const profile = { phoneNumber, kakaoPhoneNumber, locale: 'ko-KR', timezone: 'Asia/Seoul' }
  await shop.server.take('PUT', path, profile, { 'idempotency-key': 'canary profile' })
  const preferences = { optOut: { channels: [], categories: ['Marketing'] }, quietHours: { start: hour(6), end: hour(7) } }
  await shop.server.put(`${path}/preferences`, preferences)
  for (const [deviceId, device] of Object.entries(devices)) await shop.server.put(`${path}/devices/${deviceId}`, device)
  const app = await shop.app(person.userId)
  const stream = await app.stream('/v1/feed/stream')

  const through = await send('through')
  expect(await ended(shop, through)).toMatchObject({ outcome: 'exhausted' })
  link = (await sandbox.held(`${through}.3.sms`, phoneNumber)).links[0]!.url
  await app.post(`/v1/feed/${through}.1.in_app/clicked`, { buttonId: 'go' })
  for (const messageId of [`${through}.2.push`, `${through}.3.sms`, `${through}.4.kakao`]) {
    await sandbox.deliver(messageId)
    await sandbox.tap(messageId)
  }
  await story(shop, through, (told) => inOneLine(told).match(/EngagementRecorded\(\d clicked\)/g)?.length === 4)
  await eventually(() => stream.events.some(({ data }) => JSON.stringify(data).includes(person.variables.name)))
  stream.close()
  await eventually(async () => (await shop.server.get(path)).devices.length === 2)

  waiting = await send('waiting')
  await requested(shop, waiting)
  // Nothing gets through any more: three messages wait to be attempted again.
  for (const provider of ['fcm', 'apns', 'twilio', 'solapi']) await sandbox.fault(provider, '429', { retryAfterS: 3_600 })
  const throttled = await send('throttled')
  for (const [channel, targets] of [
    ['push', 2],
    ['sms', 1],
    ['kakao', 1],
  ] as const) {
    await eventually(async () => (await sandbox.arrivals(`${throttled}.1.${channel}`)).length === targets)
  }
  await kafka.produce('stepcast.sends.v1', 'any', {
    workspaceId: 'shop',
    sendId: 'refused',
    userId: person.userId,
    templateId: 'nowhere',
    variables: person.variables,
    requestedAt: Date.now(),
  })
  await eventually(() => kafka.deadLetters.some(({ value }) => value?.includes(person.variables.name)))
  countsBefore = await eventually(async () => {
    const counts = await shop.server.get('/v1/metrics/templates/through')
    return counts.steps?.length === 4 && counts.steps.every(({ channels: [channel] }: any) => channel.clicked === 1) ? counts : null
  })

  expect(await searchDatabase(stack.databaseUrl, words)).toEqual(
    expect.arrayContaining([
      'inapp_dispatcher.messages.content',
      'messenger_dispatcher.links.target',
      'messenger_dispatcher.messages.variables',
      'messenger_dispatcher.users.data',
      'orchestrator.kept_variables.variables',
      'people_svc.devices.token',
      'people_svc.users.kakao_phone_number',
      'people_svc.users.phone_number',
      'push_dispatcher.messages.variables',
      'push_dispatcher.users.data',
      'sms_dispatcher.links.target',
      'sms_dispatcher.messages.variables',
      'sms_dispatcher.users.data',
    ]),
  )
  expect(await searchTopics(connection, words)).toEqual([
    'stepcast.commands.in-app.v1',
    'stepcast.commands.kakao.v1',
    'stepcast.commands.push.v1',
    'stepcast.commands.sms.v1',
    'stepcast.dead-letters.v1',
    'stepcast.sends.v1',
    'stepcast.users.v1',
  ])
}, 180_000)

it('once deleted, no table of any service holds anything of them', async () => {
  const { userId, variables } = person
  const orchestrator = system.services['orchestrator']!
  // A send that is on the topic by then and not read yet, of a producer whose clock is an hour ahead.
  orchestrator.kill('SIGSTOP')
  await kafka.produce('stepcast.sends.v1', 'any', {
    workspaceId: 'shop',
    sendId: 'late',
    userId,
    templateId: 'waiting',
    variables,
    requestedAt: Date.now() + 3_600_000,
  })
  await shop.server.take('DELETE', path)
  orchestrator.kill('SIGCONT')
  await eventually(
    async () => {
      const found = await searchDatabase(stack.databaseUrl, words)
      return found.length === 0 || Promise.reject(new Error(`still there: ${found.join(', ')}`))
    },
    { withinMs: 10_000, everyMs: 200 },
  )
  expect((await shop.server.ask('GET', path)).status).toBe(404)
  expect((await (await shop.app(person.userId)).get('/v1/feed')).items).toEqual([])
  expect(await ended(shop, waiting)).toMatchObject({ outcome: 'cancelled' })
  expect((await fetch(link, { redirect: 'manual' })).status).toBe(410)
})

it('what was on its way comes too late and leaves nothing', async () => {
  const late = sequenceIdOf('shop', 'late', person.userId)
  await eventually(async () => (await shop.server.ask('GET', `/v1/sequences/${late}`)).status === 200)
  // Born cancelled, or commanded in the moment before the cancel was taken up: then the second tombstone removes what came of it.
  expect(await ended(shop, late)).toMatchObject({ outcome: 'cancelled' })
  await eventually(async () => (await searchDatabase(stack.databaseUrl, words)).length === 0, { withinMs: 30_000, everyMs: 500 })
}, 60_000)

it('their userId stays only where a sequence is told apart from others and a cancel remembered', async () => {
  // The erasure itself is remembered until the orchestrator, which stood still, has answered its cancel.
  await eventually(async () => !(await searchDatabase(stack.databaseUrl, [person.userId])).includes('people_svc.erasures.user_id'), {
    withinMs: 30_000,
    everyMs: 500,
  })
  expect(await searchDatabase(stack.databaseUrl, [person.userId])).toEqual([
    'orchestrator.cancels.id',
    'orchestrator.sequences.user_id',
    'orchestrator.tombstones.id',
    'send_svc.sends.answer',
  ])
}, 60_000)

it('no log ever held anything of them', () => {
  for (const home of Object.values(homes)) expect(searchFiles(join(home, 'logs'), [...words, person.userId])).toEqual([])
  expect(searchFiles(join(homes.system, 'logs'), ['/v1/users/:userId'])).toHaveLength(1)
})

it('after their retention no topic holds anything of them', async () => {
  await shortenRetention(connection)
  const producer = await connection.producer()
  const somebody = {
    workspaceId: 'shop',
    userId: 'somebody',
    phoneNumber: null,
    kakaoPhoneNumber: null,
    locale: null,
    timezone: null,
    devices: [],
    optOutChannels: [],
    optOutCategories: [],
    quietHoursStart: null,
    quietHoursEnd: null,
  }
  await eventually(
    async () => {
      // Compaction passes by the segment being written: another change of somebody in each partition begins the next.
      const partitions = await connection.partitionsOf(topics.users.name)
      await producer.send(
        topics.users,
        Array.from({ length: partitions }, (_, partition) => ({
          key: `shop/somebody-${partition}`,
          partition,
          value: { ...somebody, updatedAt: Date.now() },
        })),
      )
      const found = await searchTopics(connection, words)
      return found.length === 0 || Promise.reject(new Error(`still there: ${found.join(', ')}`))
    },
    { withinMs: 120_000, everyMs: 1_500 },
  )
}, 150_000)

it('the counts remain', async () => {
  const { asOf: _before, ...before } = countsBefore
  const { asOf: _after, ...after } = await shop.server.get('/v1/metrics/templates/through')
  expect(after).toEqual(before)
})
