// The push channel on real Kafka and PostgreSQL, against the provider sandbox: what a command leads to, whatever goes wrong.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import type { AccountOf } from '@stepcast/accounts'
import { Dispatch, dispatcherMigrations, dispatchOf, startDispatcher, type Commanded, type DispatcherOptions } from '@stepcast/channel'
import {
  messageIdOf,
  sequenceIdOf,
  topics,
  userKey,
  type Device,
  type DispatchStep,
  type EngagementReported,
  type UserChanged,
} from '@stepcast/contracts'
import { consumeRecords, silentLog, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { sandboxAccounts } from '@stepcast/local'
import { createPool, migrate } from '@stepcast/postgres'
import { contextHeader, contextKey, expectEveryRouteScoped, signContext, type CallerContext, type RunningService } from '@stepcast/service'
import { templateApproved } from '@stepcast/template'
import { eventually, giveAccounts, readDeadLetters, specStack, type SpecStack } from '@stepcast/testing'
import type { Arrival } from '../../provider-sandbox/src/arrivals'
import { startSandbox, type RunningSandbox } from '../../provider-sandbox/src/start'
import { ApnsKind } from './apns'
import { configFromEnv, type Config } from './config'
import { pushDispatcher } from './dispatch'
import { FcmKind } from './fcm'

const timeoutMs = 700
const minuteMs = 1_000
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const { schema } = pushDispatcher

/** The dispatcher as it is, but trusting the sandbox's certificate: NODE_EXTRA_CA_CERTS is read only when a process starts. */
const trusting = ({ ca }: RunningSandbox): DispatcherOptions<'push', Config> => ({
  ...pushDispatcher,
  kinds: ({ fcmEndpoint, fcmTokenEndpoint, apnsEndpoint, concurrency: connections }) => [
    new FcmKind({ endpoint: fcmEndpoint, tokenEndpoint: fcmTokenEndpoint, connections, ca }),
    new ApnsKind({ endpoint: apnsEndpoint, connections, ca }),
  ],
})
const endpoints = ({ tlsUrl }: RunningSandbox): Record<string, string> => ({
  FCM_ENDPOINT: tlsUrl,
  FCM_TOKEN_ENDPOINT: `${tlsUrl}/token`,
  APNS_ENDPOINT: tlsUrl,
})

interface Sent {
  readonly command: DispatchStep
  readonly messageId: string
}

describe('push-dispatcher', () => {
  let stack: SpecStack
  let sandbox: RunningSandbox
  let accounts: AccountOf
  let people: Server
  let service: RunningService
  let connection: KafkaConnection
  let reader: RunningConsumer
  let env: Record<string, string>
  const reports: (EngagementReported & { key: string | null; traceparent: string | undefined })[] = []
  const removed: { url: string; context: string; body: any }[] = []
  let users = 0

  const call = async (
    method: string,
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: any }> => {
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? null : JSON.parse(text) }
  }
  const as = async (caller: Partial<CallerContext>): Promise<Record<string, string>> => ({
    [contextHeader]: await signContext(contextKey(env.STEPCAST_INTERNAL_SECRET), {
      workspaceId: 'demo',
      scopes: [],
      userId: null,
      via: 'user_token',
      keyId: null,
      ...caller,
    }),
  })
  const fault = (mode: string, more: object = {}): Promise<unknown> =>
    call('POST', `${sandbox.url}/faults`, { provider: 'fcm', mode, rate: 1, count: 1, ...more })
  const arrivals = async ({ messageId }: Sent): Promise<Arrival[]> =>
    (await call('GET', `${sandbox.url}/log?messageId=${messageId}`)).body.items
  const answers = async (sent: Sent): Promise<string[]> => (await arrivals(sent)).map(({ answer }) => answer)
  const kinds = ({ messageId }: Sent): string[] =>
    reports.filter((report) => report.messageId === messageId).map(({ kind, reason }) => (reason === null ? kind : `${kind}(${reason})`))
  const reported = (sent: Sent, ...expected: string[]): Promise<unknown> =>
    eventually(() => kinds(sent).length >= expected.length && (expect(kinds(sent)).toEqual(expected), true), { withinMs: 20_000 })
  const quiet = (ms = 400): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

  const device = (deviceId: string, token = `token-${deviceId}`, platform: Device['platform'] = 'fcm'): Device => ({
    deviceId,
    platform,
    token,
    updatedAt: Date.now(),
  })
  const putUser = async (devices: readonly Device[], changes: Partial<UserChanged> = {}): Promise<UserChanged> => {
    const user: UserChanged = {
      workspaceId: 'demo',
      userId: `user-${++users}`,
      phoneNumber: null,
      kakaoPhoneNumber: null,
      locale: null,
      timezone: null,
      devices,
      optOutChannels: [],
      optOutCategories: [],
      quietHoursStart: null,
      quietHoursEnd: null,
      updatedAt: Date.now(),
      ...changes,
    }
    await (await connection.producer()).send(topics.users, [{ key: userKey(user.workspaceId, user.userId), value: user }])
    return user
  }
  const commandFor = (
    { workspaceId, userId }: Pick<UserChanged, 'workspaceId' | 'userId'>,
    changes: Partial<DispatchStep> = {},
  ): DispatchStep => {
    const sendId = randomUUID()
    const sequenceId = sequenceIdOf(workspaceId, sendId, userId)
    return {
      action: 'send',
      workspaceId,
      messageId: messageIdOf(sequenceId, 2, 'push'),
      sequenceId,
      sendId,
      step: 2,
      channelType: 'push',
      userId,
      templateId: 'shipped',
      templateVersion: 1,
      campaignId: null,
      variables: { orderNo: '42' },
      commandedAt: Date.now(),
      expiresAt: Date.now() + 60_000,
      windowMs: 60_000,
      ...changes,
    }
  }
  const produce = async (...commands: DispatchStep[]): Promise<void> =>
    (await connection.producer()).send(
      topics.pushCommands,
      commands.map((value) => ({ key: value.sequenceId, value, headers: { traceparent } })),
    )
  const command = async (user: Pick<UserChanged, 'workspaceId' | 'userId'>, changes: Partial<DispatchStep> = {}): Promise<Sent> => {
    const one = commandFor(user, changes)
    await produce(one)
    return { command: one, messageId: one.messageId }
  }
  const approve = async (workspaceId: string, templateId = 'shipped', content: object = {}): Promise<void> =>
    (await connection.producer()).send(topics.templates, [
      {
        key: `${workspaceId}/${templateId}/1`,
        value: {
          workspaceId,
          templateId,
          changedAt: Date.now(),
          change: templateApproved(1, {
            name: 'Shipped',
            category: 'Transactional',
            variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
            channels: [{ channelType: 'push', content: { title: 'Shipped', body: 'Order {{orderNo}}', url: null, data: {}, ...content } }],
            config: { sequenceEnabled: false, sequence: null },
          }),
        },
      },
    ])

  beforeAll(async () => {
    stack = await specStack(__filename)
    connection = stack.connection()
    sandbox = await startSandbox({ LOG_LEVEL: 'silent' }, false)
    people = createServer((request, response) => {
      let body = ''
      request
        .on('data', (chunk: Buffer) => (body += chunk.toString()))
        .on('end', () => {
          removed.push({ url: request.url!, context: String(request.headers[contextHeader]), body: JSON.parse(body) })
          // Away at the first ask: a removal is owed until it is done.
          response.writeHead(removed.length === 1 ? 503 : 200).end()
        })
    }).listen(0)
    accounts = sandboxAccounts()
    env = {
      ...stack.env,
      ...endpoints(sandbox),
      PUSH_TIMEOUT_MS: String(timeoutMs),
      // Three quarters of them, 48, are the most that one workspace gets.
      PUSH_CONCURRENCY: '64',
      STEPCAST_MINUTE_MS: String(minuteMs),
      PEOPLE_SVC_URL: `http://127.0.0.1:${(people.address() as AddressInfo).port}`,
    }
    await approve('demo')
    await approve('throttled')
    await approve('demo', 'bare', { body: '{{orderNo}}' })
    // Approved before such an address was refused.
    await approve('demo', 'led', { url: 'https://shop.example{{orderNo}}' })
    for (const workspaceId of ['demo', 'throttled']) await giveAccounts(connection, env, workspaceId, accounts)
    service = await startDispatcher(trusting(sandbox), { env, ownsProcess: false })
    reader = await consumeRecords(connection, {
      topic: topics.engagements,
      groupId: 'spec',
      handle: async (records) =>
        void reports.push(...records.map(({ key, value, headers }) => ({ ...value!, key, traceparent: headers.traceparent }))),
    })
  })
  afterAll(async () => {
    await reader.stop()
    await service.stop()
    await sandbox.stop()
    people.close()
    await stack.stop()
  })
  afterEach(async () => {
    await call('DELETE', `${sandbox.url}/faults`)
  })

  it('declares a scope for every route', () => expectEveryRouteScoped(service.app))

  it('hands a push to FCM once and reports it requested', async () => {
    const sent = await command(await putUser([device('phone')]))
    await reported(sent, 'requested')
    expect(await arrivals(sent)).toMatchObject([{ to: 'token-phone', answer: '200' }])
    expect(reports.find(({ messageId }) => messageId === sent.messageId)).toMatchObject({
      workspaceId: 'demo',
      key: sent.command.sequenceId,
      source: 'push-dispatcher',
      providerMessageId: expect.stringMatching(/^projects\//),
      detail: { provider: 'fcm', target: 'phone' },
      traceparent,
    })
  })

  it.each(['fcm', 'apns'] as const)('a push over %s that nobody can send is not tried: too large, empty, led astray', async (platform) => {
    const user = await putUser([device(`limits-${platform}`, `token-limits-${platform}`, platform)])
    for (const [templateId, v, reason] of [
      ['shipped', '가'.repeat(1_500), 'too_large'],
      ['shipped', 'x'.repeat(60_000), 'too_large'],
      ['bare', ' \u200b', 'empty'],
      ['led', '@evil.example/', 'unsafe_address'],
    ] as const) {
      const sent = await command(user, { templateId, variables: { orderNo: v } })
      await reported(sent, `failed(${reason})`)
      expect(await answers(sent)).toEqual([])
    }
  })

  it('answers a repeated command by its report, not by another push', async () => {
    const sent = await command(await putUser([device('phone')]))
    await reported(sent, 'requested')
    await produce(sent.command, sent.command)
    await reported(sent, 'requested', 'requested')
    expect(await answers(sent)).toEqual(['200'])
  })

  it('sends to every device and reports once', async () => {
    const sent = await command(await putUser([device('a'), device('b'), device('c')]))
    await eventually(async () => (await answers(sent)).length === 3)
    await quiet()
    expect(kinds(sent)).toEqual(['requested'])
  })

  it('reports the best of several devices, and still removes the dead token', async () => {
    const before = removed.length
    const sent = await command(await putUser([device('old', 'bad_2'), device('new')]))
    await reported(sent, 'requested')
    await eventually(() => removed.slice(before).some(({ body }) => body.token === 'bad_2'))
    expect(kinds(sent)).toEqual(['requested'])
  })

  it('reports the best across FCM and APNs, and has the dead token removed as of the time that Apple names', async () => {
    const since = Date.now() - 86_400_000
    const user = await putUser([device('iphone', `code_Unregistered_${since}`, 'apns'), device('phone')])
    const sent = await command(user)
    await reported(sent, 'requested')
    await eventually(() => removed.some(({ body }) => body.userId === user.userId))
    expect(removed.find(({ body }) => body.userId === user.userId)!.body).toMatchObject({
      deviceId: 'iphone',
      deadSince: new Date(since).toISOString(),
    })
    expect(kinds(sent)).toEqual(['requested'])
  })

  it('comes back after a 429 when told, and after a 500', async () => {
    const user = await putUser([device('phone')])
    await fault('429', { retryAfterS: 1 })
    const throttled = await command(user)
    await reported(throttled, 'requested')
    const [first, second] = await arrivals(throttled)
    expect([first!.answer, second!.answer]).toEqual(['429 QUOTA_EXCEEDED', '200'])
    expect(Date.parse(second!.at) - Date.parse(first!.at)).toBeGreaterThanOrEqual(1_000)

    await fault('500', { count: 2 })
    const failing = await command(user)
    await reported(failing, 'requested')
    expect(await answers(failing)).toEqual(['500 INTERNAL', '500 INTERNAL', '200'])
  })

  it('reports a push that hangs as unknown, once, and requested when its repeat is taken', async () => {
    await fault('hang')
    const user = await putUser([device('phone')])
    const sent = await command(user)
    await reported(sent, 'unknown(timeout)', 'requested')
    expect(await answers(sent)).toEqual(['hang', '200'])
    const listed = await call('GET', `${service.url}/v1/push/unknown`, undefined, await as({ scopes: ['read'], via: 'api_key' }))
    expect(listed.body.items).toContainEqual(
      expect.objectContaining({
        messageId: sent.messageId,
        target: 'phone',
        state: 'accepted',
        attempts: 2,
        userId: user.userId,
        receivedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      }),
    )
  })

  it('takes an operator at his word about an unknown push, once', async () => {
    const admin = await as({ scopes: ['admin'], via: 'api_key' })
    const listed = async ({ messageId }: Sent): Promise<any> => {
      const { body } = await call('GET', `${service.url}/v1/push/unknown?limit=100`, undefined, admin)
      return body.items.find((item: any) => item.messageId === messageId)
    }
    const word = ({ messageId }: Sent, action: string, headers = admin) =>
      call('POST', `${service.url}/v1/push/unknown/${messageId}/phone`, { action }, headers)
    await fault('hang', { count: 100 })
    const user = await putUser([device('phone')])
    const [there, gone] = [await command(user), await command(user)]
    await reported(there, 'unknown(timeout)')
    await reported(gone, 'unknown(timeout)')
    await eventually(async () => (await listed(there))?.state === 'unknown' && (await listed(gone))?.state === 'unknown')

    expect((await word(there, 'sent', await as({ scopes: ['read'], via: 'api_key' }))).status).toBe(403)
    expect((await word(there, 'sent', await as({ scopes: ['admin'], via: 'api_key', workspaceId: 'throttled' }))).status).toBe(404)
    expect((await word(there, 'maybe')).status).toBe(422)
    // It is tried again by itself, so it may be under way at this very moment.
    await eventually(async () => (await word(gone, 'not_sent')).status === 204)
    await eventually(async () => (await word(there, 'sent')).status === 204)
    await reported(there, 'unknown(timeout)', 'requested')
    await reported(gone, 'unknown(timeout)', 'failed(not_sent)')
    expect([(await word(there, 'sent')).status, (await word(there, 'not_sent')).status]).toEqual([204, 409])
    expect([await listed(there), await listed(gone)]).toEqual([undefined, undefined])
    const before = (await answers(gone)).length
    await call('DELETE', `${sandbox.url}/faults`)
    await quiet(1_500)
    expect([(await answers(gone)).length, kinds(there), kinds(gone)]).toEqual([
      before,
      ['unknown(timeout)', 'requested'],
      ['unknown(timeout)', 'failed(not_sent)'],
    ])
  })

  it('reports a push accepted and then reset as unknown', async () => {
    await fault('accept-then-reset')
    const sent = await command(await putUser([device('phone')]))
    await eventually(() => kinds(sent)[0]?.startsWith('unknown'))
    await eventually(async () => (await answers(sent)).join() === 'reset,200')
  })

  it('fails on a dead token and has it removed, however often people-svc is away', async () => {
    const user = await putUser([device('phone', 'bad_1')])
    const sent = await command(user)
    await reported(sent, 'failed(UNREGISTERED)')
    await eventually(() => removed.some(({ body }) => body.token === 'bad_1'))
    expect(removed.find(({ body }) => body.token === 'bad_1')).toMatchObject({
      url: '/internal/devices/remove-token',
      body: {
        workspaceId: 'demo',
        userId: user.userId,
        deviceId: 'phone',
        token: 'bad_1',
        deadSince: expect.stringMatching(/^\d{4}-.*Z$/),
      },
    })
  })

  it('skips who has no device or is not known', async () => {
    await reported(await command(await putUser([])), 'skipped(no_token)')
    await reported(await command({ workspaceId: 'demo', userId: 'nobody' }), 'skipped(no_user)')
  })

  it('sends for a workspace with the accounts it has: none, one, both, and one given a moment before', async () => {
    await approve('young')
    const [phone, iphone] = [device('phone'), device('iphone', 'token-iphone', 'apns')]
    const person = (devices: Device[]): Promise<UserChanged> => putUser(devices, { workspaceId: 'young' })
    await reported(await command(await person([phone])), 'skipped(channel_disabled)')
    await giveAccounts(connection, env, 'young', { fcm: accounts.fcm })
    const [both, apple] = [await command(await person([phone, iphone])), await command(await person([iphone]))]
    await reported(both, 'requested')
    await reported(apple, 'skipped(no_provider)')
    expect(await arrivals(both)).toMatchObject([{ provider: 'fcm', to: 'token-phone' }])
    await giveAccounts(connection, env, 'young', { fcm: accounts.fcm, apns: accounts.apns })
    const everywhere = await command(await person([phone, iphone]))
    await eventually(async () => (await answers(everywhere)).length === 2)
    expect((await arrivals(everywhere)).map(({ provider, answer }) => `${provider} ${answer}`).sort()).toEqual(['apns 200', 'fcm 200'])
    await giveAccounts(connection, env, 'young', {})
    await quiet(1_100)
    await reported(await command(await person([phone])), 'skipped(channel_disabled)')
  })

  it('skips who opted out of the channel or the category, recorded just before', async () => {
    const ofChannel = await command(await putUser([device('phone')], { optOutChannels: ['push'] }))
    const ofCategory = await command(await putUser([device('phone')], { optOutCategories: ['Transactional'] }))
    await reported(ofChannel, 'skipped(opted_out)')
    await reported(ofCategory, 'skipped(opted_out)')
    expect([...(await arrivals(ofChannel)), ...(await arrivals(ofCategory))]).toEqual([])
  })

  it('heeds an opt-out that comes between two attempts', async () => {
    await fault('429', { retryAfterS: 1 })
    const user = await putUser([device('phone')])
    const sent = await command(user)
    await eventually(async () => (await answers(sent)).length === 1)
    await putUser([device('phone')], { userId: user.userId, optOutChannels: ['push'] })
    await reported(sent, 'skipped(opted_out)')
    expect(await answers(sent)).toEqual(['429 QUOTA_EXCEEDED'])
  })

  it('withdraws what waits to be tried again, not what was sent', async () => {
    const user = await putUser([device('phone')])
    await fault('429', { retryAfterS: 2 })
    const waiting = await command(user)
    await eventually(async () => (await answers(waiting)).length === 1)
    await produce({ ...waiting.command, action: 'withdraw', variables: {} })
    await reported(waiting, 'skipped(withdrawn)')

    const sent = await command(user)
    await reported(sent, 'requested')
    await produce({ ...sent.command, action: 'withdraw', variables: {} })
    await quiet(2_000)
    expect([kinds(sent), await answers(waiting)]).toEqual([['requested'], ['429 QUOTA_EXCEEDED']])
  })

  it('answers a send that comes after its withdrawal', async () => {
    const one = commandFor(await putUser([device('phone')]))
    await produce({ ...one, action: 'withdraw', variables: {} })
    await quiet()
    await produce(one)
    const sent = { command: one, messageId: one.messageId }
    await reported(sent, 'skipped(withdrawn)')
    expect(await arrivals(sent)).toEqual([])
  })

  it('never sends after expiresAt: not a late command, not a retry', async () => {
    const user = await putUser([device('phone')])
    const late = await command(user, { expiresAt: Date.now() - 1 })
    await reported(late, 'failed(expired)')
    expect(await arrivals(late)).toEqual([])

    await fault('429', { retryAfterS: 60 })
    const retrying = await command(user, { expiresAt: Date.now() + 1_500 })
    await reported(retrying, 'failed(expired)')
    expect(await answers(retrying)).toEqual(['429 QUOTA_EXCEEDED'])
  })

  it('stays unknown when it expires after an attempt of unknown outcome', async () => {
    await fault('hang', { count: 100 })
    const sent = await command(await putUser([device('phone')]), { expiresAt: Date.now() + 2_500 })
    await reported(sent, 'unknown(timeout)')
    await quiet(3_500)
    expect(kinds(sent)).toEqual(['unknown(timeout)'])
  })

  it('puts a command of another channel among the dead letters and goes on', async () => {
    const user = await putUser([device('phone')])
    await produce({ ...commandFor(user), channelType: 'sms' })
    await reported(await command(user), 'requested')
    expect((await readDeadLetters(connection)).map(({ headers }) => headers.reason)).toContain('wrong_channel')
  })

  it('takes no receipt of what was never sent', async () => {
    const user = await putUser([])
    const skipped = await command(user)
    await reported(skipped, 'skipped(no_token)')
    const url = `${service.url}/v1/push/${skipped.messageId}/clicked`
    expect((await call('POST', url, undefined, await as({ userId: user.userId }))).status).toBe(404)
  })

  it("takes receipts from the message's own user only", async () => {
    const user = await putUser([device('phone')])
    const sent = await command(user)
    await reported(sent, 'requested')
    const url = `${service.url}/v1/push/${sent.messageId}/delivered`
    expect((await call('POST', url)).status).toBe(401)
    expect((await call('POST', url, undefined, await as({ userId: 'someone' }))).status).toBe(404)
    expect((await call('POST', url, undefined, await as({ userId: user.userId, workspaceId: 'throttled' }))).status).toBe(404)
    expect((await call('POST', `${service.url}/v1/push/nonsense/clicked`, undefined, await as({ userId: user.userId }))).status).toBe(404)
    expect((await call('POST', url, undefined, await as({ userId: user.userId }))).status).toBe(204)
    expect(
      (
        await call(
          'POST',
          url.replace('delivered', 'clicked'),
          undefined,
          await as({ userId: user.userId, via: 'api_key', scopes: ['send'] }),
        )
      ).status,
    ).toBe(204)
    await reported(sent, 'requested', 'delivered', 'clicked')
    expect(reports.filter(({ messageId }) => messageId === sent.messageId).map(({ source }) => source)).toEqual([
      'push-dispatcher',
      'client',
      'server',
    ])
  })

  it('erases a person from its tables', async () => {
    const user = await putUser([device('phone')])
    const sent = await command(user)
    await reported(sent, 'requested')
    await (await connection.producer()).send(topics.users, [{ key: userKey('demo', user.userId), value: null }])
    const pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec' })
    await eventually(async () => (await pool.query('SELECT FROM messages WHERE user_id = $1', [user.userId])).rowCount === 0)
    expect((await pool.query('SELECT user_id, variables FROM messages WHERE message_id = $1', [sent.messageId])).rows).toEqual([
      { user_id: '', variables: {} },
    ])
    await pool.end()
  })

  it("leaves one workspace's latency alone while another fails", async () => {
    const other = await putUser([device('phone', 'slow-token')], { workspaceId: 'throttled' })
    const user = await putUser([device('phone')])
    await fault('hang', { count: 60 })
    // All at once: were they to trickle in, the breaker would hold most of them back after the first ten.
    const many = Array.from({ length: 60 }, () => ({ command: commandFor(other), traceparent: null }))
    await service.app.get(Dispatch, { strict: false }).take(many)
    await eventually(async () => (await call('GET', `${sandbox.url}/faults`)).body.items[0]?.count <= 20)
    await call('DELETE', `${sandbox.url}/faults`)
    const startedAt = Date.now()
    const sent = await command(user)
    await reported(sent, 'requested')
    expect(Date.now() - startedAt).toBeLessThan(timeoutMs)
  })
})

describe('push-dispatcher by itself', () => {
  let stack: SpecStack
  let sandbox: RunningSandbox
  let connection: KafkaConnection

  beforeAll(async () => {
    stack = await specStack(__filename)
    sandbox = await startSandbox({ LOG_LEVEL: 'silent' }, false)
    await migrate({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec', migrations: dispatcherMigrations })
    connection = stack.connection()
    const producer = await connection.producer()
    await giveAccounts(connection, stack.env, 'demo', sandboxAccounts())
    const user: UserChanged = {
      workspaceId: 'demo',
      userId: 'user-1',
      phoneNumber: null,
      kakaoPhoneNumber: null,
      locale: null,
      timezone: null,
      devices: [{ deviceId: 'phone', platform: 'fcm', token: 't', updatedAt: 1 }],
      optOutChannels: [],
      optOutCategories: [],
      quietHoursStart: null,
      quietHoursEnd: null,
      updatedAt: 1,
    }
    await producer.send(topics.users, [{ key: 'demo/user-1', value: user }])
    await producer.send(topics.templates, [
      {
        key: 'demo/shipped/1',
        value: {
          workspaceId: 'demo',
          templateId: 'shipped',
          changedAt: 1,
          change: templateApproved(1, {
            name: 'Shipped',
            category: 'Transactional',
            variableSchema: [],
            channels: [{ channelType: 'push', content: { title: 'Shipped', body: 'Order', url: null, data: {} } }],
            config: { sequenceEnabled: false, sequence: null },
          }),
        },
      },
    ])
  })
  afterAll(async () => {
    await sandbox.stop()
    await stack.stop()
  })

  const configWith = (changes: Record<string, string>): Config =>
    configFromEnv({ ...stack.env, ...endpoints(sandbox), PEOPLE_SVC_URL: 'http://127.0.0.1:1', STEPCAST_MINUTE_MS: '1000', ...changes })

  it('killed between the attempt and its outcome: reported unknown, at most one arrival more', async () => {
    const config = configWith({ PUSH_TIMEOUT_MS: '900' })
    const producer = await connection.producer()
    const sequenceId = sequenceIdOf('demo', 'send-1', 'user-1')
    const messageId = messageIdOf(sequenceId, 1, 'push')
    await producer.send(topics.pushCommands, [
      {
        key: sequenceId,
        value: {
          action: 'send',
          workspaceId: 'demo',
          messageId,
          sequenceId,
          sendId: 'send-1',
          step: 1,
          channelType: 'push',
          userId: 'user-1',
          templateId: 'shipped',
          templateVersion: 1,
          campaignId: null,
          variables: {},
          commandedAt: Date.now(),
          expiresAt: Date.now() + 60_000,
          windowMs: null,
        },
      },
    ])
    const arrived = async (): Promise<string[]> =>
      ((await (await fetch(`${sandbox.url}/log?messageId=${messageId}`)).json()) as { items: Arrival[] }).items.map(({ answer }) => answer)
    const start = async () => {
      const own = {
        connection: stack.connection('push-dispatcher'),
        pool: createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec' }),
      }
      const dispatch = dispatchOf(trusting(sandbox), { ...own, config, log: silentLog }, { leaseMs: 1_500 })
      await dispatch.start()
      return { dispatch, ...own }
    }

    // The sandbox takes the push and answers slowly; the dispatcher dies meanwhile.
    await fetch(`${sandbox.url}/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ provider: 'fcm', mode: 'slow', rate: 1, count: 1, delayMs: 600 }),
    })
    const killed = await start()
    await eventually(async () => (await arrived()).length === 1, { everyMs: 10 })
    await killed.dispatch.abandon()
    await killed.connection.close()
    expect((await killed.pool.query('SELECT state, attempts FROM ledger')).rows).toEqual([{ state: 'attempting', attempts: 1 }])

    const reports: string[] = []
    const reader = await consumeRecords(connection, {
      topic: topics.engagements,
      groupId: 'spec',
      handle: async (records) => void reports.push(...records.map(({ value }) => `${value!.kind}(${value!.reason})`)),
    })
    const revived = await start()
    await eventually(() => reports.length === 2)
    expect(reports).toEqual(['unknown(lease_expired)', 'requested(null)'])
    expect(await arrived()).toEqual(['200', '200'])
    await reader.stop()
    await revived.dispatch.stop()
    await revived.pool.end()
    await killed.pool.end()
  })

  const commanded = (sendId: string, changes: Partial<DispatchStep> = {}): Commanded => {
    const sequenceId = sequenceIdOf('demo', sendId, 'user-1')
    const command: DispatchStep = {
      action: 'send',
      workspaceId: 'demo',
      messageId: messageIdOf(sequenceId, 1, 'push'),
      sequenceId,
      sendId,
      step: 1,
      channelType: 'push',
      userId: 'user-1',
      templateId: 'shipped',
      templateVersion: 1,
      campaignId: null,
      variables: {},
      commandedAt: Date.now(),
      expiresAt: Date.now() + 60_000,
      windowMs: null,
      ...changes,
    }
    return { command, traceparent: null }
  }

  it('sends what finds a place at once, and what finds none in its turn: each once, whoever of them fails, and every place is free again', async () => {
    const pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec' })
    const parts = { connection: stack.connection('push-dispatcher'), pool, log: silentLog }
    const dispatch = dispatchOf(trusting(sandbox), { ...parts, config: configWith({ PUSH_CONCURRENCY: '8' }) })
    await dispatch.start()
    const setFault = (fault: object): Promise<unknown> =>
      fetch(`${sandbox.url}/faults`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ provider: 'fcm', rate: 1, ...fault }),
      })
    await setFault({ mode: 'slow', count: 12, delayMs: 300 })
    await setFault({ mode: '429', count: 3, retryAfterS: 1 })
    const since = new Date().toISOString()
    const [one, other, repeated] = [0, 1, 2].map((batch) => Array.from({ length: 20 }, (_, i) => commanded(`batch-${batch % 2}-${i}`)))
    // Two batches at once, and one of them once more, as after a crash.
    await Promise.all([dispatch.take(one!), dispatch.take(other!), dispatch.take(repeated!)])
    const ids = [...one!, ...other!].map(({ command }) => command.messageId)
    const countOf = async (state: string): Promise<number> =>
      (await pool.query('SELECT FROM ledger WHERE message_id = ANY($1) AND state = $2', [ids, state])).rowCount!
    expect(await countOf('pending')).toBeGreaterThan(0)
    await eventually(async () => (await countOf('accepted')) === 40)
    const { items } = (await (await fetch(`${sandbox.url}/log?since=${since}`)).json()) as { items: Arrival[] }
    expect(items.filter(({ answer }) => answer === '200')).toHaveLength(40)
    expect(dispatch.standings.map(({ underWay }) => underWay)).toEqual([0, 0])
    expect((await pool.query(`SELECT FROM messages WHERE answer ->> 'kind' <> 'requested' OR variables <> '{}'`)).rowCount).toBe(0)
    await dispatch.stop()
    await pool.end()
  })

  it('does not send what is withdrawn in the same batch', async () => {
    const pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec' })
    const dispatch = dispatchOf(trusting(sandbox), {
      connection: stack.connection('push-dispatcher'),
      pool,
      log: silentLog,
      config: configWith({}),
    })
    await dispatch.start()
    const [kept, withdrawn] = [commanded('kept'), commanded('withdrawn')]
    await dispatch.take([withdrawn, kept, commanded('withdrawn', { action: 'withdraw' })])
    const answerTo = async ({ command }: Commanded): Promise<unknown> =>
      (await pool.query<{ kind: string }>(`SELECT answer ->> 'kind' AS kind FROM messages WHERE message_id = $1`, [command.messageId]))
        .rows[0]?.kind
    await eventually(async () => (await answerTo(kept)) === 'requested')
    expect(await answerTo(withdrawn)).toBe('skipped')
    await dispatch.stop()
    await pool.end()
  })

  it('calls a provider no more often than it may, whoever asks', async () => {
    const [perSecond, count] = [4, 9]
    const pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec' })
    const parts = { connection: stack.connection('push-dispatcher'), pool, log: silentLog }
    const dispatch = dispatchOf(trusting(sandbox), { ...parts, config: configWith({ PUSH_RATE_PER_PROVIDER: String(perSecond) }) })
    await dispatch.start()
    const since = new Date().toISOString()
    await dispatch.take(Array.from({ length: count }, (_, i) => commanded(`hurried-${i}`)))
    const arrived = async (): Promise<number[]> =>
      ((await (await fetch(`${sandbox.url}/log?since=${since}`)).json()) as { items: Arrival[] }).items.map(({ at }) => Date.parse(at))
    await eventually(async () => (await arrived()).length === count)
    const at = await arrived()
    // A second's worth at once, then as they come: five more at four a second.
    expect(at.at(-1)! - at[0]!).toBeGreaterThanOrEqual(((count - perSecond) / perSecond) * 1_000 - 100)
    await dispatch.stop()
    await pool.end()
  })
})
