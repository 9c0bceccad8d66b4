// Commands in, feed and reports out: on the real broker and database, with crashes, repetitions, erasures and open streams.
import type { Pool } from 'pg'
import {
  messageIdOf,
  sequenceIdOf,
  topics,
  userKey,
  type DispatchStep,
  type EngagementReported,
  type UserChanged,
} from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { createPool, inTransaction, migrate } from '@stepcast/postgres'
import { TemplatesReplica, UsersReplica } from '@stepcast/replica'
import {
  contextHeader,
  contextKey,
  expectEveryRouteScoped,
  signContext,
  startService,
  type CallerContext,
  type RunningService,
} from '@stepcast/service'
import { templateApproved } from '@stepcast/template'
import { attack, eventually, readDeadLetters, readValues, specStack, type SpecStack } from '@stepcast/testing'
import type { OptOut } from './answer'
import { AppModule } from './app.module'
import { startDispatch } from './dispatch'
import { eraseUsers } from './erasure'
import { purge } from './purge'
import { migrations, schema } from './tables'

let stack: SpecStack
let service: RunningService
let second: RunningService
let connection: KafkaConnection
let pool: Pool

const start = (): Promise<RunningService> =>
  startService({
    name: 'inapp-dispatcher',
    module: AppModule,
    env: stack.env,
    ownsProcess: false,
  })

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  service = await start()
  second = await start()
  pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec', max: 3 })
  await approve('order-shipped', 'Transactional')
  await approve('sale', 'Marketing')
  await approve('flash', 'Marketing', connection, 2)
})

afterAll(async () => {
  await Promise.all([service?.stop(), second?.stop()])
  await pool?.end()
  await stack?.stop()
})

async function approve(
  templateId: string,
  category: 'Transactional' | 'Marketing',
  on = connection,
  expiresInMinutes?: number,
): Promise<void> {
  const approved = templateApproved(1, {
    name: templateId,
    category,
    variableSchema: [{ name: 'orderNo', type: 'string', required: false, default: '7' }],
    channels: [
      {
        channelType: 'in_app',
        content: {
          title: 'Shipped',
          body: 'Order {{orderNo}}',
          imageUrl: null,
          buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example/{{orderNo}}' }],
          ...(expiresInMinutes === undefined ? {} : { expiresInMinutes }),
        },
      },
    ],
    config: { sequenceEnabled: false, sequence: null },
  })
  await (await on.producer()).send(topics.templates, [
    { key: `demo/${templateId}/1`, value: { workspaceId: 'demo', templateId, changedAt: 0, change: approved } },
  ])
}

let sends = 0
function command(userId: string, change: Partial<DispatchStep> = {}): DispatchStep {
  const sendId = change.sendId ?? `send-${++sends}`
  const workspaceId = change.workspaceId ?? 'demo'
  const sequenceId = sequenceIdOf(workspaceId, sendId, userId)
  return {
    action: 'send',
    workspaceId,
    messageId: messageIdOf(sequenceId, 1, 'in_app'),
    sequenceId,
    sendId,
    step: 1,
    channelType: 'in_app',
    userId,
    templateId: 'order-shipped',
    templateVersion: 1,
    campaignId: null,
    variables: { orderNo: '42' },
    commandedAt: Date.now(),
    expiresAt: Date.now() + 60_000,
    windowMs: null,
    ...change,
  }
}

const publish = async (...commands: DispatchStep[]): Promise<void> =>
  (await connection.producer()).send(
    topics.inAppCommands,
    commands.map((value) => ({ key: value.sequenceId, value })),
  )

const reportsOf = async (messageId: string): Promise<EngagementReported[]> => {
  const reports = await readValues(connection, topics.engagements)
  return reports.filter((report) => report.messageId === messageId)
}

/** Waits until a message has that many reports. */
const reported = (messageId: string, atLeast = 1): Promise<EngagementReported[]> =>
  eventually(async () => {
    const reports = await reportsOf(messageId)
    return reports.length >= atLeast ? reports : null
  })

const user = (userId: string, change: Partial<UserChanged> = {}): UserChanged => ({
  workspaceId: 'demo',
  userId,
  phoneNumber: '+15550001111',
  kakaoPhoneNumber: null,
  locale: null,
  timezone: null,
  devices: [],
  optOutChannels: [],
  optOutCategories: [],
  quietHoursStart: null,
  quietHoursEnd: null,
  updatedAt: 0,
  ...change,
})
const publishUser = async (userId: string, value: UserChanged | null): Promise<void> =>
  (await connection.producer()).send(topics.users, [{ key: userKey('demo', userId), value }])

const callerOf = (userId: string | null, change: Partial<CallerContext> = {}): CallerContext => ({
  workspaceId: 'demo',
  scopes: [],
  userId,
  via: 'user_token',
  keyId: null,
  ...change,
})

async function headersFor(caller: CallerContext): Promise<Record<string, string>> {
  return { [contextHeader]: await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), caller) }
}

async function call(
  method: string,
  path: string,
  caller: CallerContext | string,
  body?: object,
  of = service,
): Promise<{ status: number; body: any }> {
  const headers = await headersFor(typeof caller === 'string' ? callerOf(caller) : caller)
  const response = await fetch(of.url + path, {
    method,
    headers: body ? { ...headers, 'content-type': 'application/json' } : headers,
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : null }
}

async function inFeedOf(userId: string, ...commands: DispatchStep[]): Promise<void> {
  await publish(...commands)
  await eventually(async () => (await call('GET', '/v1/feed?limit=100', userId)).body.items.length >= commands.length)
}

describe('a command', () => {
  it('puts a rendered item into the feed and reports requested', async () => {
    const sent = command('user-1')
    await inFeedOf('user-1', sent)
    const { body } = await call('GET', '/v1/feed', 'user-1')
    expect(body).toEqual({
      items: [
        {
          messageId: sent.messageId,
          templateId: 'order-shipped',
          category: 'Transactional',
          content: {
            title: 'Shipped',
            body: 'Order 42',
            imageUrl: null,
            buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example/42' }],
          },
          createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
          expiresAt: null,
          deliveredAt: null,
          viewedAt: null,
          clickedAt: null,
        },
      ],
      nextCursor: null,
    })
    expect(await reported(sent.messageId)).toEqual([
      {
        workspaceId: 'demo',
        messageId: sent.messageId,
        kind: 'requested',
        occurredAt: Date.parse(body.items[0].createdAt),
        source: 'inapp-dispatcher',
        reason: null,
        providerMessageId: null,
        detail: {},
      },
    ])
  })

  it('that is repeated repeats only its report', async () => {
    const sent = command('repeat')
    await inFeedOf('repeat', sent)
    await publish(sent, sent)
    await publish({ ...sent, variables: { orderNo: 'other' } })
    const reports = await reported(sent.messageId, 2)
    expect(new Set(reports.map((report) => JSON.stringify(report))).size).toBe(1)
    expect((await call('GET', '/v1/feed', 'repeat')).body.items.map((item: any) => item.content.body)).toEqual(['Order 42'])
  })

  it('past its time is never stored, and fails as expired', async () => {
    const sent = command('late', { expiresAt: Date.now() - 1 })
    await publish(sent)
    expect(await reported(sent.messageId)).toMatchObject([{ kind: 'failed', reason: 'expired' }])
    expect((await call('GET', '/v1/feed', 'late')).body.items).toEqual([])
  })

  it('is skipped for whoever opted out just before, of the channel or the category', async () => {
    await publishUser('no-app', user('no-app', { optOutChannels: ['in_app'] }))
    await publishUser('no-ads', user('no-ads', { optOutCategories: ['Marketing'] }))
    const [noApp, noAds, order] = [command('no-app'), command('no-ads', { templateId: 'sale' }), command('no-ads')]
    await publish(noApp, noAds, order)
    expect(await reported(noApp.messageId)).toMatchObject([{ kind: 'skipped', reason: 'opted_out' }])
    expect(await reported(noAds.messageId)).toMatchObject([{ kind: 'skipped', reason: 'opted_out' }])
    expect(await reported(order.messageId)).toMatchObject([{ kind: 'requested' }])
  })

  it('waits for a template approved just before, and fails for one that never was', async () => {
    await approve('fresh', 'Transactional')
    const [fresh, never] = [command('user-2', { templateId: 'fresh' }), command('user-2', { templateId: 'never' })]
    await publish(fresh, never)
    expect(await reported(fresh.messageId)).toMatchObject([{ kind: 'requested' }])
    expect(await reported(never.messageId)).toMatchObject([{ kind: 'failed', reason: 'template_unknown' }])
  })

  it('withdrawn before its send answers that send; an item in the feed stays', async () => {
    const first = command('withdrawn')
    await publish({ ...first, action: 'withdraw', variables: {} })
    await reported(first.messageId)
    await publish(first)
    expect(await reported(first.messageId, 2)).toMatchObject([
      { kind: 'skipped', reason: 'withdrawn' },
      { kind: 'skipped', reason: 'withdrawn' },
    ])

    const [stays, last] = [command('withdrawn'), command('withdrawn')]
    await inFeedOf('withdrawn', stays)
    await publish({ ...stays, action: 'withdraw' }, last)
    await reported(last.messageId)
    expect(await reportsOf(stays.messageId)).toMatchObject([{ kind: 'requested' }])
    expect((await call('GET', '/v1/feed', 'withdrawn')).body.items).toHaveLength(2)
  })

  it('that names no message of its sequence is a dead letter and stops nothing', async () => {
    const [bad, good] = [command('user-3', { messageId: 'nonsense' }), command('user-3')]
    await publish(bad, good)
    await reported(good.messageId)
    expect((await readDeadLetters(connection)).map(({ headers }) => headers.reason)).toEqual(['invalid_command'])
  })

  it('comes through by the thousand, each once', async () => {
    const many = Array.from({ length: 3_000 }, (_, index) => command(`crowd-${index}`))
    await publish(...many)
    const stored = `SELECT count(*) AS n FROM messages WHERE user_id LIKE 'crowd-%'`
    await eventually(async () => (await pool.query(stored)).rows[0].n === many.length)
    const wanted = new Set(many.map(({ messageId }) => messageId))
    await eventually(async () => {
      const reports = await readValues(connection, topics.engagements)
      return reports.filter(({ messageId }) => wanted.has(messageId)).length === many.length
    })
  })
})

it('reports after a crash between storing and reporting', async () => {
  const other = await specStack(__filename.replace('feed', 'crash'))
  const crashing = createPool({ databaseUrl: other.databaseUrl, schema, applicationName: 'spec', max: 5 })
  try {
    await migrate({ databaseUrl: other.databaseUrl, schema, applicationName: 'spec', migrations })
    const dying = other.connection('dying')
    await approve('order-shipped', 'Transactional', dying)
    const templates = new TemplatesReplica({ connection: dying, pool: crashing, service: 'crash' })
    const users = new UsersReplica<OptOut>({
      connection: dying,
      pool: crashing,
      service: 'crash',
      keep: () => ({ channels: [], categories: [] }),
    })
    await Promise.all([templates.start(), users.start()])
    const sent = command('crashed')
    await (await dying.producer()).send(topics.inAppCommands, [{ key: sent.sequenceId, value: sent }])
    let crashes = 0
    const consumer = await startDispatch({
      connection: dying,
      pool: crashing,
      templates,
      users,
      minuteMs: 60_000,
      onStored: async () => {
        if (++crashes < 3) throw new Error('crashed before the report')
      },
    })
    const reports = await eventually(async () => {
      const found = await readValues(dying, topics.engagements)
      return found.length > 0 ? found : null
    })
    await Promise.all([consumer.stop(), templates.stop(), users.stop()])
    expect(crashes).toBe(3)
    expect(reports).toMatchObject([{ messageId: sent.messageId, kind: 'requested' }])
    expect((await crashing.query('SELECT count(*) AS n FROM messages')).rows[0].n).toBe(1)
  } finally {
    await crashing.end()
    await other.stop()
  }
})

describe('the feed', () => {
  it('comes in pages, newest first, without gaps or repetitions', async () => {
    const sent = Array.from({ length: 7 }, () => command('pages'))
    await inFeedOf('pages', ...sent)
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const { body }: { body: any } = await call('GET', `/v1/feed?limit=3${cursor ? `&cursor=${cursor}` : ''}`, 'pages')
      seen.push(...body.items.map((item: any) => item.messageId))
      cursor = body.nextCursor
    } while (cursor)
    expect(seen).toHaveLength(7)
    expect(new Set(seen)).toEqual(new Set(sent.map(({ messageId }) => messageId)))
    const times = (await call('GET', '/v1/feed', 'pages')).body.items.map((item: any) => item.createdAt)
    expect(times).toEqual([...times].sort().reverse())
  })

  it('refuses what it cannot read', async () => {
    const { body } = await call('GET', '/v1/feed?limit=0&readState=seen', 'pages')
    expect(body.errors.map(({ path }: any) => path).sort()).toEqual(['/limit', '/readState'])
    expect((await call('GET', '/v1/feed?cursor=nonsense', 'pages')).status).toBe(400)
    for (const made of ['["a","b"]', '[-800000000000000,"x"]', '[800000000000000,"x"]', '[1,"\\u0000"]']) {
      expect((await call('GET', `/v1/feed?cursor=${Buffer.from(made).toString('base64url')}`, 'pages')).status).toBe(400)
    }
  })

  it('knows what is unread', async () => {
    const [seen, clicked, unread] = [command('reader'), command('reader'), command('reader')]
    await inFeedOf('reader', seen, clicked, unread)
    expect((await call('GET', '/v1/feed/unread-count', 'reader')).body).toEqual({ unread: 3 })
    await call('POST', `/v1/feed/${seen.messageId}/viewed`, 'reader')
    await call('POST', `/v1/feed/${clicked.messageId}/clicked`, 'reader')
    await call('POST', `/v1/feed/${unread.messageId}/delivered`, 'reader')
    expect((await call('GET', '/v1/feed/unread-count', 'reader')).body).toEqual({ unread: 1 })
    const { body } = await call('GET', '/v1/feed?readState=unread', 'reader')
    expect(body.items.map((item: any) => item.messageId)).toEqual([unread.messageId])
    expect((await call('GET', '/v1/feed?readState=read', 'reader')).body.items).toHaveLength(2)
  })

  it('holds the categories asked for', async () => {
    await inFeedOf('chooser', command('chooser'), command('chooser', { templateId: 'sale' }))
    const inCategory = async (query: string): Promise<string[]> =>
      (await call('GET', `/v1/feed?${query}`, 'chooser')).body.items.map((item: any) => item.category).sort()
    expect(await inCategory('category=Marketing')).toEqual(['Marketing'])
    expect(await inCategory('category=Alerts')).toEqual([])
    for (const both of ['category=Marketing,Transactional', 'category=Marketing&category=Transactional', 'readState=unread']) {
      expect(await inCategory(both)).toEqual(['Marketing', 'Transactional'])
    }
    const { status, body } = await call('GET', '/v1/feed?category=Marketing,News', 'chooser')
    const allowed = expect.stringContaining('"Alerts", "Polls", "Custom", not "News"')
    expect([status, body.errors]).toEqual([422, [{ path: '/category/1', message: allowed }]])
  })

  it('loses an item when its time is over, and still takes its receipts', async () => {
    const [flash, stays] = [command('late-riser', { templateId: 'flash' }), command('late-riser')]
    await inFeedOf('late-riser', flash, stays)
    const { items } = (await call('GET', '/v1/feed?category=Marketing', 'late-riser')).body
    expect(Date.parse(items[0].expiresAt) - Date.parse(items[0].createdAt)).toBe(2_000)
    expect(items[0].content).not.toHaveProperty('expiresInMinutes')
    await eventually(async () => (await call('GET', '/v1/feed/unread-count', 'late-riser')).body.unread === 1)
    expect((await call('GET', '/v1/feed', 'late-riser')).body.items.map((item: any) => item.messageId)).toEqual([stays.messageId])
    expect((await call('POST', `/v1/feed/${flash.messageId}/viewed`, 'late-riser')).status).toBe(204)
    expect((await reported(flash.messageId, 2)).map(({ kind }) => kind)).toEqual(['requested', 'viewed'])
  })

  it('hides an item for good and still takes its receipts', async () => {
    const sent = command('hider')
    await inFeedOf('hider', sent)
    expect((await call('DELETE', `/v1/feed/${sent.messageId}`, 'hider')).status).toBe(204)
    expect((await call('DELETE', `/v1/feed/${sent.messageId}`, 'hider')).status).toBe(204)
    expect((await call('GET', '/v1/feed', 'hider')).body.items).toEqual([])
    expect((await call('GET', '/v1/feed/unread-count', 'hider')).body).toEqual({ unread: 0 })
    expect((await call('POST', `/v1/feed/${sent.messageId}/viewed`, 'hider')).status).toBe(204)
    expect((await reported(sent.messageId, 2)).map(({ kind }) => kind)).toEqual(['requested', 'viewed'])
  })

  it("is its user's alone", async () => {
    const sent = command('owner')
    await inFeedOf('owner', sent)
    for (const stranger of [callerOf('stranger'), callerOf('owner', { workspaceId: 'other' })]) {
      expect((await call('GET', '/v1/feed', stranger)).body.items).toEqual([])
      for (const receipt of ['delivered', 'viewed', 'clicked']) {
        expect((await call('POST', `/v1/feed/${sent.messageId}/${receipt}`, stranger)).status).toBe(404)
      }
      expect((await call('DELETE', `/v1/feed/${sent.messageId}`, stranger)).status).toBe(404)
    }
    expect(await reportsOf(sent.messageId)).toHaveLength(1)
  })

  it('is for users only, on every route', async () => {
    expectEveryRouteScoped(service.app)
    expect((await fetch(`${service.url}/v1/feed`)).status).toBe(401)
    expect((await call('GET', '/v1/feed', callerOf(null, { via: 'api_key', scopes: ['send'] }))).status).toBe(403)
    expect((await call('GET', '/v1/feed', callerOf('owner', { via: 'api_key', scopes: ['read'] }))).status).toBe(403)
    expect((await call('GET', '/v1/feed', callerOf('owner', { via: 'api_key', scopes: ['send'] }))).status).toBe(200)
  })
})

describe('a receipt', () => {
  it('is with Kafka when it is answered, once however often it is sent', async () => {
    const sent = command('receipts')
    await inFeedOf('receipts', sent)
    for (const [receipt, body] of [
      ['delivered', undefined],
      ['viewed', undefined],
      ['clicked', { buttonId: 'track' }],
      ['delivered', undefined],
      ['clicked', undefined],
    ] as const) {
      expect((await call('POST', `/v1/feed/${sent.messageId}/${receipt}`, 'receipts', body)).status).toBe(204)
    }
    const [, ...receipts] = await reportsOf(sent.messageId)
    expect(receipts.map(({ kind, source, detail }) => ({ kind, source, detail }))).toEqual([
      { kind: 'delivered', source: 'client', detail: {} },
      { kind: 'viewed', source: 'client', detail: {} },
      { kind: 'clicked', source: 'client', detail: { buttonId: 'track' } },
    ])
    const [item] = (await call('GET', '/v1/feed', 'receipts')).body.items
    expect([item.deliveredAt, item.viewedAt, item.clickedAt].map(Date.parse)).toEqual(receipts.map(({ occurredAt }) => occurredAt))
  })

  it('by a server says so', async () => {
    const sent = command('served')
    await inFeedOf('served', sent)
    await call('POST', `/v1/feed/${sent.messageId}/viewed`, callerOf('served', { via: 'api_key', scopes: ['send'] }))
    expect((await reportsOf(sent.messageId)).at(-1)).toMatchObject({ kind: 'viewed', source: 'server' })
  })

  it('names a button the message has, or is refused', async () => {
    const sent = command('buttons')
    await inFeedOf('buttons', sent)
    const wrong = await call('POST', `/v1/feed/${sent.messageId}/clicked`, 'buttons', { buttonId: 'buy' })
    expect(wrong).toMatchObject({ status: 422, body: { errors: [{ path: '/buttonId', message: 'must be one of "track", not "buy"' }] } })
    expect((await call('POST', `/v1/feed/${sent.messageId}/clicked`, 'buttons', { button: 'track' })).body.errors[0].path).toBe('/button')
    expect(await reportsOf(sent.messageId)).toHaveLength(1)
  })

  it('lost between Kafka and the feed is reported again by a repeat', async () => {
    const sent = command('crashy')
    await inFeedOf('crashy', sent)
    await call('POST', `/v1/feed/${sent.messageId}/viewed`, 'crashy')
    await pool.query('UPDATE messages SET viewed_at = NULL WHERE message_id = $1', [sent.messageId])
    expect((await call('POST', `/v1/feed/${sent.messageId}/viewed`, 'crashy')).status).toBe(204)
    expect((await reportsOf(sent.messageId)).map(({ kind }) => kind)).toEqual(['requested', 'viewed', 'viewed'])
  })
})

describe('an erased user', () => {
  it('has no feed, and what was commanded before comes too late', async () => {
    const sent = command('gone')
    await inFeedOf('gone', sent)
    await publishUser('gone', user('gone'))
    await publishUser('gone', null)
    await eventually(async () => (await call('GET', '/v1/feed', 'gone')).body.items.length === 0)
    expect((await call('POST', `/v1/feed/${sent.messageId}/viewed`, 'gone')).status).toBe(404)
    const late = command('gone', { commandedAt: sent.commandedAt })
    await publish(sent, late)
    expect(await reported(late.messageId)).toMatchObject([{ kind: 'skipped', reason: 'erased' }])
    expect(await reported(sent.messageId, 2)).toMatchObject([{ kind: 'requested' }, { kind: 'requested' }])
    const dump = JSON.stringify([
      (await pool.query('SELECT * FROM messages')).rows,
      (await pool.query('SELECT * FROM users')).rows,
      (await pool.query('SELECT * FROM erased_users')).rows,
    ])
    expect(dump).not.toContain('"gone"')
    const back = command('gone')
    await publish(back)
    expect(await reported(back.messageId)).toMatchObject([{ kind: 'requested' }])
  })

  it('is waited for by a batch that is under way', async () => {
    const batch = await pool.connect()
    await batch.query('BEGIN')
    await batch.query(`SELECT pg_advisory_xact_lock_shared(hashtextextended('inapp_dispatcher erasure', 0))`)
    let erased = false
    const erasing = inTransaction(pool, (tx) => eraseUsers(tx, [{ workspaceId: 'demo', userId: 'racer' }])).then(() => (erased = true))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(erased).toBe(false)
    await batch.query('COMMIT')
    batch.release()
    await erasing
  })
})

interface Event {
  id: string
  event: string
  data: any
}

/** Opens a stream; `next` waits for its next event. */
async function openStream(userId: string, of: RunningService, lastEventId?: string, query = '') {
  const abort = new AbortController()
  const response = await fetch(`${of.url}/v1/feed/stream${query}`, {
    headers: { ...(await headersFor(callerOf(userId))), ...(lastEventId ? { 'last-event-id': lastEventId } : {}) },
    signal: abort.signal,
  })
  const events: Event[] = []
  let lastId = ''
  let ended = false
  const reading = (async () => {
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = Object.fromEntries(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        )
        lastId = fields.id ?? lastId
        if (fields.event) events.push({ id: fields.id!, event: fields.event, data: JSON.parse(fields.data!) })
        text = text.slice(end + 2)
      }
    }
  })()
    .catch(() => {})
    .finally(() => (ended = true))
  return {
    type: response.headers.get('content-type'),
    events,
    ended: () => ended,
    lastId: () => lastId,
    next: (n: number) => eventually(() => (events.length >= n ? events : null)),
    close: async () => {
      abort.abort()
      await reading
    },
  }
}

describe('a stream', () => {
  it('a user may have eight, others none the less; one that ends makes room', async () => {
    const streams = await Promise.all(Array.from({ length: 8 }, () => openStream('greedy', service)))
    const headers = await headersFor(callerOf('greedy'))
    const ninth = await fetch(`${service.url}/v1/feed/stream`, { headers })
    expect([ninth.status, ninth.headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^\d+$/)])
    await ninth.body?.cancel()
    const other = await openStream('modest', service)
    expect(other.type).toBe('text/event-stream')
    await streams[0]!.close()
    await eventually(async () => {
      const response = await fetch(`${service.url}/v1/feed/stream`, { headers })
      await response.body?.cancel()
      return response.status === 200
    })
    await Promise.all([...streams.slice(1), other].map(({ close }) => close()))
  })

  it('HEAD is answered at once, and whoever accepts no events is told', async () => {
    const headers = await headersFor(callerOf('head'))
    const head = await fetch(`${service.url}/v1/feed/stream`, { method: 'HEAD', headers, signal: AbortSignal.timeout(2_000) })
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    const json = await fetch(`${service.url}/v1/feed/stream`, {
      headers: { ...headers, accept: 'application/json' },
      signal: AbortSignal.timeout(2_000),
    })
    expect(json.status).toBe(406)
  })

  it('tells of new items, receipts and hiding, on every instance', async () => {
    const streams = await Promise.all([openStream('watcher', service), openStream('watcher', second), openStream('someone-else', service)])
    expect(streams[0]!.type).toBe('text/event-stream')
    const sent = command('watcher')
    await publish(sent)
    const told = { event: 'item', data: { messageId: sent.messageId, viewedAt: null, content: { body: 'Order 42' } } }
    for (const stream of streams.slice(0, 2)) expect(await stream.next(1)).toMatchObject([told])
    await call('POST', `/v1/feed/${sent.messageId}/viewed`, 'watcher', undefined, second)
    await call('DELETE', `/v1/feed/${sent.messageId}`, 'watcher')
    for (const stream of streams.slice(0, 2)) {
      const events = await eventually(() => (stream.events.at(-1)?.event === 'hidden' ? stream.events : null))
      expect(events.at(-1)).toMatchObject({ data: { messageId: sent.messageId } })
    }
    expect(streams[2]!.events).toEqual([])
    await Promise.all(streams.map(({ close }) => close()))
  })

  it('goes on after the last event seen', async () => {
    const [first, missed] = [command('resumer'), command('resumer')]
    const stream = await openStream('resumer', service)
    await publish(first)
    const [{ id }] = (await stream.next(1)) as [Event]
    await stream.close()
    await inFeedOf('resumer', missed)
    // What was seen last may be told once more.
    const again = await openStream('resumer', second, id)
    await eventually(() => again.events.some(({ data }) => data.messageId === missed.messageId))
    await again.close()
  })

  it('that saw no event goes on where it was opened, also after a restart of the service', async () => {
    let third = await start()
    const stream = await openStream('waiter', third)
    const id = await eventually(() => stream.lastId() || null)
    await third.stop()
    await eventually(stream.ended)
    const missed = command('waiter')
    await inFeedOf('waiter', missed)
    third = await start()
    const again = await openStream('waiter', third, id)
    expect(await again.next(1)).toMatchObject([{ event: 'item', data: { messageId: missed.messageId } }])
    await again.close()
    await third.stop()
  })

  it('tells each of 100 changes, and of more only that the feed must be read anew', async () => {
    const missed = Array.from({ length: 100 }, () => command('absent'))
    await publish(...missed)
    const stored = `SELECT count(*) AS n FROM messages WHERE user_id = 'absent'`
    await eventually(async () => (await pool.query(stored)).rows[0].n === missed.length)
    const before = String(Date.now() - 60_000)
    const all = await openStream('absent', service, before)
    expect(new Set((await all.next(100)).map(({ data }) => data.messageId))).toEqual(new Set(missed.map(({ messageId }) => messageId)))
    await all.close()
    await publish(command('absent'))
    await eventually(async () => (await pool.query(stored)).rows[0].n === missed.length + 1)
    const reset = await openStream('absent', service, before)
    expect(await reset.next(1)).toEqual([{ id: reset.lastId(), event: 'reset', data: {} }])
    expect(Number(reset.lastId())).toBeGreaterThan(Number(before))
    await reset.close()
  })

  it('with an id that is none of ours is told to begin anew', async () => {
    for (const id of ['yesterday', '999999999999999']) {
      const stream = await openStream('stranger', service, id)
      expect((await stream.next(1))[0]).toMatchObject({ event: 'reset' })
      await stream.close()
    }
  })

  it('tells each item of its user as hidden when that user is erased', async () => {
    const [first, second] = [command('vanishing'), command('vanishing')]
    await inFeedOf('vanishing', first, second)
    const stream = await openStream('vanishing', service)
    await publishUser('vanishing', user('vanishing'))
    await publishUser('vanishing', null)
    const hidden = new Set<string>()
    while (hidden.size < 2) for (const { event, data } of await stream.next(1)) if (event === 'hidden') hidden.add(data.messageId)
    expect(hidden).toEqual(new Set([first.messageId, second.messageId]))
    await stream.close()
  })

  it('tells what is hidden or over by now as hidden', async () => {
    const [flash, hidden] = [command('returner', { templateId: 'flash' }), command('returner')]
    const stream = await openStream('returner', service)
    const id = await eventually(() => stream.lastId() || null)
    await stream.close()
    await inFeedOf('returner', flash, hidden)
    await call('DELETE', `/v1/feed/${hidden.messageId}`, 'returner')
    await eventually(async () => (await call('GET', '/v1/feed', 'returner')).body.items.length === 0)
    const again = await openStream('returner', second, id)
    expect(await again.next(2)).toMatchObject([flash, hidden].map(({ messageId }) => ({ event: 'hidden', data: { messageId } })))
    await again.close()
  })

  it('that asks for it is told how many items are unread', async () => {
    const stream = await openStream('counter', service, undefined, '?unread=true')
    expect(await stream.next(1)).toMatchObject([{ event: 'unread', data: { unread: 0 } }])
    const sent = command('counter')
    await publish(sent)
    expect((await stream.next(3)).slice(1)).toMatchObject([{ event: 'item' }, { event: 'unread', data: { unread: 1 } }])
    await call('POST', `/v1/feed/${sent.messageId}/viewed`, 'counter', undefined, second)
    expect((await stream.next(5)).slice(3)).toMatchObject([{ event: 'item' }, { event: 'unread', data: { unread: 0 } }])
    await stream.close()
  })

  it('ends when its listening connection breaks, so that nothing is missed', async () => {
    const stream = await openStream('broken', service)
    await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE application_name = 'inapp-dispatcher streams' AND datname = current_database()`)
    await eventually(stream.ended)
    const again = await openStream('broken', service)
    await publish(command('broken'))
    expect(await again.next(1)).toMatchObject([{ event: 'item' }])
    await again.close()
  })
})

it('forgets messages after 90 days', async () => {
  await pool.query(`UPDATE messages SET created_at = now() - interval '91 days' WHERE user_id LIKE 'crowd-%'`)
  expect(await purge(pool)).toBe(3_000)
  expect((await pool.query('SELECT count(*) AS n FROM messages')).rows[0].n).toBeGreaterThan(10)
})

it('nothing hostile is answered with 5xx: no text, number, time or cursor of any call', async () => {
  const sent = command('attacked')
  await inFeedOf('attacked', sent)
  const headers = await headersFor(callerOf('attacked'))
  const { breaches, byStatus } = await attack({
    url: service.url,
    headers: async () => headers,
    known: { messageId: sent.messageId },
    bodies: { 'POST /v1/feed/{messageId}/clicked': { buttonId: 'track' } },
  })
  expect(breaches).toEqual([])
  expect(Object.keys(byStatus)).toEqual(expect.arrayContaining(['200', '204', '400', '404', '422']))
})
