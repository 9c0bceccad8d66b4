// The client against the real gateway and feed, through a restart, and in a page of another origin in a real browser.
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { messageIdOf, sequenceIdOf, topics, type DispatchStep, type EngagementReported } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { startService, type RunningService } from '@stepcast/service'
import { templateApproved } from '@stepcast/template'
import { chromium, eventually, openPage, readValues, specStack, type SpecStack } from '@stepcast/testing'
import { SignJWT } from 'jose'
import { startGateway } from '../../../apps/gateway/src/gateway'
import { services } from '../../../apps/gateway/src/services'
import { AppModule } from '../../../apps/inapp-dispatcher/src/app.module'
import { StepcastClient } from './index'

const rootKey = 'rk_spec'
const workspaceId = 'client-spec'
let stack: SpecStack
let connection: KafkaConnection
let dispatcher: RunningService
let gateway: RunningService
let apiKey: string
let signingKey: { kid: string; secret: string }

const startDispatcher = (port = 0): Promise<RunningService> =>
  startService({
    name: 'inapp-dispatcher',
    module: AppModule,
    env: { ...stack.env, PORT: String(port) },
    ownsProcess: false,
  })

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  dispatcher = await startDispatcher()
  const urls = services.map(({ name, urlVariable }) => [urlVariable, name === 'inapp-dispatcher' ? dispatcher.url : 'http://127.0.0.1:1'])
  gateway = await startGateway({ env: { ...stack.env, STEPCAST_ROOT_KEY: rootKey, ...Object.fromEntries(urls) }, ownsProcess: false })
  const made = await fetch(`${gateway.url}/v1/workspaces`, {
    method: 'POST',
    headers: { authorization: `Bearer ${rootKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ workspaceId }),
  })
  const {
    apiKey: { key },
    signingKey: signing,
  } = (await made.json()) as { apiKey: { key: string }; signingKey: typeof signingKey }
  apiKey = key
  signingKey = signing
  const approved = templateApproved(1, {
    name: 'n',
    category: 'Transactional',
    variableSchema: [],
    channels: [
      {
        channelType: 'in_app',
        content: {
          title: 'Shipped',
          body: 'On its way',
          imageUrl: null,
          buttons: [{ id: 'track', label: 'Track', url: 'https://shop.example' }],
        },
      },
    ],
    config: { sequenceEnabled: false, sequence: null },
  })
  await (await connection.producer()).send(topics.templates, [
    { key: `${workspaceId}/order-shipped/1`, value: { workspaceId, templateId: 'order-shipped', changedAt: 0, change: approved } },
  ])
})
afterAll(async () => {
  await gateway?.stop()
  await dispatcher?.stop()
  await stack?.stop()
})

const tokenOf = (userId: string, inS = 600): Promise<string> =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', kid: signingKey.kid })
    .setSubject(userId)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + inS)
    .sign(Buffer.from(signingKey.secret))

const clientOf = (userId: string): StepcastClient => new StepcastClient({ url: gateway.url, token: () => tokenOf(userId) })

let sends = 0
/** Sends messages to a user; answers their ids. */
async function sendTo(userId: string, count = 1): Promise<string[]> {
  const commands = Array.from({ length: count }, (): DispatchStep => {
    const sendId = `send-${++sends}`
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
      variables: {},
      commandedAt: Date.now(),
      expiresAt: Date.now() + 60_000,
      windowMs: null,
    }
  })
  await (await connection.producer()).send(
    topics.inAppCommands,
    commands.map((value) => ({ key: value.sequenceId, value })),
  )
  return commands.map(({ messageId }) => messageId)
}

const reportsOf = async (messageId: string): Promise<EngagementReported[]> =>
  (await readValues(connection, topics.engagements)).filter((report) => report.messageId === messageId)

it('a message comes in, is delivered, seen, clicked and hidden, and all who follow hear of it', async () => {
  const { feed } = clientOf('ada')
  const [items, hidden, unread]: [string[], string[], number[]] = [[], [], []]
  const stop = feed.follow({
    onItem: ({ deliveredAt, viewedAt, clickedAt }) => items.push([deliveredAt, viewedAt, clickedAt].map((at) => (at ? 'x' : '-')).join('')),
    onHidden: (messageId) => hidden.push(messageId),
    onUnread: (count) => unread.push(count),
  })
  await eventually(() => unread.length === 1)
  const [messageId] = (await sendTo('ada')) as [string]
  await eventually(() => items.length === 1)
  expect(await feed.unreadCount()).toBe(1)
  await feed.delivered(messageId)
  await feed.viewed(messageId)
  await feed.clicked(messageId, 'track')
  await expect(feed.clicked(messageId, 'buy')).rejects.toMatchObject({ status: 422, errors: [{ path: '/buttonId' }] })
  await eventually(() => items.at(-1) === 'xxx')
  await feed.hide(messageId)
  await eventually(() => hidden.length > 0)
  expect([items[0], hidden, unread[0], unread.at(-1)]).toEqual(['---', [messageId], 0, 0])
  expect((await feed.list()).items).toEqual([])
  expect((await reportsOf(messageId)).map(({ kind, source }) => `${kind} ${source}`)).toEqual([
    'requested inapp-dispatcher',
    'delivered client',
    'viewed client',
    'clicked client',
  ])
  stop()
})

it('pages and filters come through', async () => {
  const { feed } = clientOf('pages')
  await sendTo('pages', 3)
  await eventually(async () => (await feed.unreadCount()) === 3)
  const first = await feed.list({ limit: 2, category: ['Transactional', 'Alerts'] })
  const second = await feed.list({ limit: 2, category: ['Transactional', 'Alerts'], cursor: first.nextCursor })
  expect([first.items.length, second.items.length, second.nextCursor]).toEqual([2, 1, null])
  expect((await feed.list({ category: 'Polls' })).items).toEqual([])
  expect((await feed.list({ readState: 'read' })).items).toEqual([])
})

it('a server reads for its user with an API key', async () => {
  const client = new StepcastClient({ url: gateway.url, token: apiKey, onBehalfOf: 'served' })
  const [messageId] = (await sendTo('served')) as [string]
  await eventually(async () => (await client.feed.list()).items.length === 1)
  await client.feed.viewed(messageId)
  expect((await reportsOf(messageId)).at(-1)).toMatchObject({ kind: 'viewed', source: 'server' })
})

it('an expired token is replaced; a foreign message is refused', async () => {
  const tokens = [await tokenOf('renewer', -10), await tokenOf('renewer')]
  const client = new StepcastClient({ url: gateway.url, token: async () => tokens.shift()! })
  expect(await client.feed.unreadCount()).toBe(0)
  await expect(client.feed.viewed('623f8d79-cdc6-5760-8ab0-ef346563ba6c.1.in_app')).rejects.toMatchObject({ status: 404 })
})

it('a restart of the service loses nothing: receipts wait for it, and the stream goes on where it was', async () => {
  const { feed } = clientOf('patient')
  const told = new Set<string>()
  const stop = feed.follow({ onItem: ({ messageId }) => told.add(messageId), onHidden: () => {} })
  const [before] = (await sendTo('patient')) as [string]
  await eventually(() => told.size === 1)

  await dispatcher.stop()
  const viewed = feed.viewed(before)
  const meanwhile = await sendTo('patient', 5)
  await expect(feed.list()).rejects.toMatchObject({ status: 503 })
  dispatcher = await startDispatcher(dispatcher.port)
  await viewed
  await eventually(() => told.size === 6)
  expect([...told].sort()).toEqual([before, ...meanwhile].sort())
  expect((await reportsOf(before)).map(({ kind }) => kind)).toEqual(['requested', 'viewed'])
  stop()
})

const page = (token: string): string => `<!doctype html><title>Feed</title><style>li { height: 200px }</style><ul></ul>
<script type="module">
  import { StepcastClient } from '/index.mjs'
  const { feed } = new StepcastClient({ url: '${gateway.url}', token: '${token}' })
  feed.follow({
    onItem: (item) => {
      if (document.getElementById(item.messageId)) return
      const entry = document.createElement('li')
      entry.id = item.messageId
      entry.textContent = item.content.title
      document.querySelector('ul').append(entry)
      feed.delivered(item.messageId)
      feed.observeViewed(entry, item.messageId)
    },
    onHidden: () => {},
    lastEventId: '0',
  })
</script>`

const itInBrowser = chromium === null ? it.skip : it

itInBrowser(
  'a page of another origin shows the feed and tells what was seen on the screen',
  async () => {
    const token = await tokenOf('browser')
    const server = createServer((request, response) => {
      if (request.url === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end(page(token))
      // The built modules, as they are shipped.
      readFile(join(__dirname, '../dist', request.url!)).then(
        (code) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(code),
        () => response.writeHead(404).end(),
      )
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const messageIds = await sendTo('browser', 5)
    const { feed } = clientOf('browser')
    await eventually(async () => (await feed.list()).items.length === 5)
    const close = await openPage(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    try {
      const items = await eventually(async () => {
        const { items } = await feed.list()
        return items.every(({ deliveredAt }) => deliveredAt) && items.filter(({ viewedAt }) => viewedAt).length >= 2 ? items : null
      })
      // Five times 200 pixels: two or three are on a screen of 600 with its bars, the last is not.
      expect(items).toHaveLength(messageIds.length)
      expect(items.filter(({ viewedAt }) => viewedAt === null).length).toBeGreaterThan(0)
    } finally {
      await close()
      server.closeAllConnections()
      server.close()
    }
  },
  60_000,
)
