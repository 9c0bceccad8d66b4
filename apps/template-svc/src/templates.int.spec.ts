// template-svc over HTTP, on the real broker, registry and database.
import { topics, type TemplateChanged } from '@stepcast/contracts'
import { OutboxRelay } from '@stepcast/postgres'
import {
  contextHeader,
  contextKey,
  expectEveryRouteScoped,
  signContext,
  startService,
  type KeyScope,
  type RunningService,
} from '@stepcast/service'
import { attack, eventually, readTopic, specStack, type SpecStack } from '@stepcast/testing'
import { Client } from 'pg'
import { AppModule } from './app.module'

interface Answer {
  status: number
  body: any
}

let stack: SpecStack
let service: RunningService

beforeAll(async () => {
  stack = await specStack(__filename)
  service = await startService({ name: 'template-svc', module: AppModule, env: stack.env, ownsProcess: false })
})
afterAll(async () => {
  await service?.stop()
  await stack?.stop()
})

interface Asker {
  workspaceId?: string
  scopes?: KeyScope[]
  key?: string
  ifMatch?: string
}

async function call(method: string, path: string, body?: unknown, more: Asker = {}): Promise<Answer> {
  const { headers: _, ...answer } = await callFor(method, path, body, more)
  return answer
}

/** The same with the headers of the answer. */
async function callFor(method: string, path: string, body?: unknown, more: Asker = {}): Promise<Answer & { headers: Headers }> {
  const { workspaceId = 'demo', scopes = ['admin', 'read'], key, ifMatch } = more
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), {
    workspaceId,
    scopes,
    userId: null,
    via: 'api_key',
    keyId: 'ak_1',
  })
  const response = await fetch(service.url + path, {
    method,
    headers: {
      [contextHeader]: context,
      'content-type': 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json(), headers: response.headers }
}

const template = (templateId: string, text = 'Order {{orderNo}}'): object => ({
  templateId,
  name: 'Order shipped',
  category: 'Transactional',
  variableSchema: [{ name: 'orderNo', required: true }],
  channels: [
    { channelType: 'in_app', content: { title: 'Shipped', body: text } },
    { channelType: 'push', content: { title: 'Shipped', body: text } },
  ],
  config: {
    sequenceEnabled: true,
    sequence: { steps: [{ channels: ['in_app'], stopCondition: 'read', waitMinutes: 30 }, { channels: ['push'] }] },
  },
})

const told = async (templateId: string): Promise<{ key: string | null; change: TemplateChanged['change'] }[]> =>
  (await readTopic(stack.connection(), topics.templates))
    .filter(({ value }) => value?.templateId === templateId)
    .map(({ key, value }) => ({ key, change: value!.change }))

it('every route declares its scope', () => expectEveryRouteScoped(service.app))

it('creates a draft and reads it back in canonical form', async () => {
  const created = await call('POST', '/v1/templates', template('created'))
  expect(created).toEqual({
    status: 201,
    body: {
      templateId: 'created',
      name: 'Order shipped',
      category: 'Transactional',
      status: 'draft',
      version: null,
      hasDraft: true,
      variableSchema: [{ name: 'orderNo', type: 'string', required: true, default: null }],
      channels: [
        { channelType: 'in_app', content: { title: 'Shipped', body: 'Order {{orderNo}}', imageUrl: null, buttons: [] } },
        { channelType: 'push', content: { title: 'Shipped', body: 'Order {{orderNo}}', url: null, data: {} } },
      ],
      config: {
        sequenceEnabled: true,
        sequence: {
          steps: [
            { channels: ['in_app'], stopCondition: 'viewed', waitMinutes: 30 },
            { channels: ['push'], stopCondition: null, waitMinutes: null },
          ],
          onFailure: 'advance',
          lateSignal: 'stop',
          dispatchTtlMinutes: 60,
        },
      },
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      updatedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      warnings: [],
    },
  })
  expect(await call('GET', '/v1/templates/created')).toEqual({ status: 200, body: created.body })
})

it('makes ids from names, each its own', async () => {
  const named = { ...template('x'), templateId: undefined, name: 'Wélcome back!' }
  const [first, second] = [await call('POST', '/v1/templates', named), await call('POST', '/v1/templates', named)]
  expect(first.body.templateId).toBe('welcome-back')
  expect(second.body.templateId).toMatch(/^welcome-back-[0-9a-f]{6}$/)
})

it('refuses a taken id and tells broken rules by field', async () => {
  await call('POST', '/v1/templates', template('taken'))
  expect((await call('POST', '/v1/templates', template('taken'))).status).toBe(409)
  const refused = await call('POST', '/v1/templates', { ...template('x'), config: { sequenceEnabled: true } })
  expect(refused).toMatchObject({ status: 422, body: { status: 422, errors: [{ path: '/config/sequence' }] } })
  expect((await call('PUT', '/v1/templates/taken', template('other'))).body.errors).toMatchObject([{ path: '/templateId' }])
  expect((await call('GET', '/v1/templates/nobody')).status).toBe(404)
  expect((await call('PUT', '/v1/templates/nobody', template('nobody'))).status).toBe(404)
})

it('approving makes immutable versions that Kafka has when the answer comes', async () => {
  await call('POST', '/v1/templates', template('versions', 'one {{orderNo}}'))
  expect(await call('POST', '/v1/templates/versions/approve')).toEqual({ status: 200, body: { templateId: 'versions', version: 1 } })
  expect(await told('versions')).toMatchObject([
    { key: 'demo/versions/1', change: { type: 'TemplateApproved', version: 1, name: 'Order shipped', category: 'Transactional' } },
  ])
  expect((await call('POST', '/v1/templates/versions/approve')).status).toBe(409)

  const edited = await call('PUT', '/v1/templates/versions', template('versions', 'two {{orderNo}}'))
  expect(edited.body).toMatchObject({ status: 'approved', version: 1, hasDraft: true })
  expect((await call('GET', '/v1/templates/versions?version=1')).body).toMatchObject({
    version: 1,
    channels: [{ content: { body: 'one {{orderNo}}' } }, {}],
  })
  expect((await call('POST', '/v1/templates/versions/approve')).body.version).toBe(2)
  expect((await call('GET', '/v1/templates/versions')).body).toMatchObject({
    version: 2,
    hasDraft: false,
    channels: [{ content: { body: 'two {{orderNo}}' } }, {}],
  })
  expect((await call('GET', '/v1/templates/versions/versions?limit=1')).body).toMatchObject({
    items: [{ version: 2 }],
    nextCursor: expect.any(String),
  })
  expect((await call('GET', '/v1/templates/versions?version=3')).status).toBe(404)

  const [first, second] = await told('versions')
  const bodyOf = (change: TemplateChanged['change']): string =>
    (JSON.parse((change as { channels: string }).channels) as any)[0].content.body
  expect([bodyOf(first!.change), bodyOf(second!.change)]).toEqual(['one {{orderNo}}', 'two {{orderNo}}'])

  const database = new Client({ connectionString: stack.databaseUrl })
  await database.connect()
  await expect(database.query(`UPDATE template_svc.template_versions SET definition = '{}'`)).rejects.toThrow('immutable')
  await database.end()
})

it('two approvals of one draft at the same moment make one version', async () => {
  await call('POST', '/v1/templates', template('race'))
  const answers = await Promise.all([1, 2, 3].map(() => call('POST', '/v1/templates/race/approve')))
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409])
  expect(await told('race')).toHaveLength(1)
})

it('archive and unarchive are told in order; an archived template is not edited or approved', async () => {
  await call('POST', '/v1/templates', template('shelf'))
  await call('POST', '/v1/templates/shelf/approve')
  expect((await call('POST', '/v1/templates/shelf/archive')).body.status).toBe('archived')
  expect((await call('PUT', '/v1/templates/shelf', template('shelf'))).status).toBe(409)
  expect((await call('POST', '/v1/templates/shelf/approve')).status).toBe(409)
  expect((await call('POST', '/v1/templates/shelf/archive')).status).toBe(200)
  expect((await call('POST', '/v1/templates/shelf/unarchive')).body.status).toBe('approved')
  expect((await told('shelf')).map(({ key, change }) => [key, change.type])).toEqual([
    ['demo/shelf/1', 'TemplateApproved'],
    ['demo/shelf', 'TemplateArchived'],
    ['demo/shelf', 'TemplateUnarchived'],
  ])
})

it('previews what would be sent and names what is missing', async () => {
  await call('POST', '/v1/templates', template('seen'))
  expect((await call('POST', '/v1/templates/seen/preview', { variables: { orderNo: '42' }, locale: 'ko-KR' })).body).toMatchObject({
    channels: [{ channelType: 'in_app', content: { body: 'Order 42' } }, { channelType: 'push' }],
    missing: [],
  })
  expect((await call('POST', '/v1/templates/seen/preview', {})).body).toMatchObject({
    channels: [{ content: { body: 'Order {{orderNo}}' } }, {}],
    missing: ['orderNo'],
  })
})

it('previews say how large each message is, and what is not sent with these values', async () => {
  await call('POST', '/v1/templates', template('sizes'))
  const { body } = await call('POST', '/v1/templates/sizes/preview', { variables: { orderNo: '가'.repeat(4_000) } })
  expect(body.sizes).toMatchObject([
    { channelType: 'in_app', path: '/channels/0/content', unit: 'bytes', limit: 131_072 },
    { channelType: 'push', provider: 'fcm', unit: 'bytes', limit: 4_096 },
    { channelType: 'push', provider: 'apns', unit: 'bytes', limit: 4_096 },
  ])
  expect(body.sizes[1].size).toBeGreaterThan(12_000)
  expect(body.warnings).toMatchObject([{ path: '/channels/1/content' }, { path: '/channels/1/content' }])
})

it.each(['__proto__', 'constructor', 'hasOwnProperty'])('a variable may be called %s', async (name) => {
  const templateId = `named-${name.replaceAll('_', '').toLowerCase()}`
  await call('POST', '/v1/templates', { ...template(templateId, `v={{${name}}}`), variableSchema: [{ name, required: true }] })
  const preview = await call('POST', `/v1/templates/${templateId}/preview`, JSON.parse(`{"variables":{"${name}":"VAL"}}`))
  expect(preview.body).toMatchObject({ missing: [], channels: [{ content: { body: 'v=VAL' } }, {}] })
  expect((await call('POST', `/v1/templates/${templateId}/preview`, {})).body.missing).toEqual([name])
})

it('what nobody could be sent is refused when it is saved, with field, size and limit', async () => {
  const pushing = (content: object): object => ({
    templateId: 'unsendable',
    name: 'n',
    category: 'Alerts',
    variableSchema: [{ name: 'v' }],
    channels: [{ channelType: 'push', content: { title: 't', body: 'b', ...content } }],
  })
  for (const [content, path, message] of [
    [{ body: '가'.repeat(1_500) }, '/channels/0/content/body', /^comes to 4\d{3} bytes .* at most 4096$/],
    [{ url: 'https://shop.example{{v}}' }, '/channels/0/content/url', /host/],
    [{ body: `as before: ${stack.env.STEPCAST_PUBLIC_URL}/l/sAAAAAAAAAAAAAAAAAAAAAAAA` }, '/channels/0/content/body', /tracked link/],
  ] as const) {
    for (const [method, address] of [
      ['POST', '/v1/templates'],
      ['PUT', '/v1/templates/seen'],
    ] as const) {
      const body = { ...pushing(content), templateId: method === 'PUT' ? 'seen' : 'unsendable' }
      expect(await call(method, address, body)).toMatchObject({
        status: 422,
        body: { errors: [{ path, message: expect.stringMatching(message) }] },
      })
    }
  }
  expect((await call('GET', '/v1/templates/unsendable')).status).toBe(404)
})

it('a draft of before is judged by the rules of today when it is approved, and warned of', async () => {
  await call('POST', '/v1/templates', template('older', 'Order {{{orderNo}}}'))
  const database = new Client({ connectionString: stack.databaseUrl })
  await database.connect()
  const stored = async (body: string): Promise<void> =>
    void (await database.query(
      `UPDATE template_svc.templates SET definition = jsonb_set(definition::jsonb, '{channels,0,content,body}', to_jsonb($1::text)) WHERE template_id = 'older'`,
      [body],
    ))
  for (const body of ['https://{{orderNo}}/x', `${stack.env.STEPCAST_PUBLIC_URL}/l/x`]) {
    await stored(body)
    expect(await call('POST', '/v1/templates/older/approve')).toMatchObject({
      status: 422,
      body: { errors: [{ path: '/channels/0/content/body' }] },
    })
  }
  await stored('Order {{{orderNo}}}')
  await database.end()
  const warning = {
    path: '/channels/0/content/body',
    message: '"{{{orderNo}}}" is sent with a brace on each side of the value: write {{orderNo}}',
  }
  expect((await call('GET', '/v1/templates/older')).body.warnings).toContainEqual(warning)
  expect((await call('POST', '/v1/templates/older/preview', { variables: { orderNo: '42' } })).body.warnings).toContainEqual(warning)
  expect((await call('POST', '/v1/templates/older/approve')).body).toEqual({
    templateId: 'older',
    version: 1,
    warnings: expect.arrayContaining([warning]),
  })
})

it.each([
  ['a value', { variables: { orderNo: 'Ann \ud83d' } }],
  ['a name', { variables: { 'a\ud83d': 'x' } }],
  ['NUL', { variables: { orderNo: 'a\0' } }],
])('a preview refuses what is no text: %s', async (_what, body) => {
  expect((await call('POST', '/v1/templates/seen/preview', body)).status).toBe(422)
})

it('the same Idempotency-Key gives the first answer again, another body is refused', async () => {
  const first = await call('POST', '/v1/templates', template('once'), { key: 'k1' })
  await call('PUT', '/v1/templates/once', template('once', 'changed'))
  expect(await call('POST', '/v1/templates', template('once'), { key: 'k1' })).toEqual(first)
  expect((await call('POST', '/v1/templates', template('twice'), { key: 'k1' })).status).toBe(422)
  const approved = await call('POST', '/v1/templates/once/approve', undefined, { key: 'k2' })
  expect(await call('POST', '/v1/templates/once/approve', undefined, { key: 'k2' })).toEqual(approved)
})

it('workspaces do not see each other, and each call needs its scope', async () => {
  await call('POST', '/v1/templates', template('private'))
  expect((await call('GET', '/v1/templates/private', undefined, { workspaceId: 'other' })).status).toBe(404)
  expect((await call('POST', '/v1/templates', template('y'), { scopes: ['read', 'send'] })).status).toBe(403)
  expect((await call('GET', '/v1/templates', undefined, { scopes: ['admin'] })).status).toBe(403)
})

it('lists page by page, newest first, by status', async () => {
  for (const id of ['l1', 'l2', 'l3']) await call('POST', '/v1/templates', template(id), { workspaceId: 'list' })
  await call('POST', '/v1/templates/l2/approve', undefined, { workspaceId: 'list' })
  const first = await call('GET', '/v1/templates?limit=2', undefined, { workspaceId: 'list' })
  const second = await call('GET', `/v1/templates?limit=2&cursor=${first.body.nextCursor}`, undefined, { workspaceId: 'list' })
  expect([...first.body.items, ...second.body.items].map(({ templateId }) => templateId)).toEqual(['l3', 'l2', 'l1'])
  expect(second.body.nextCursor).toBeNull()
  expect((await call('GET', '/v1/templates?status=approved', undefined, { workspaceId: 'list' })).body.items).toMatchObject([
    { templateId: 'l2' },
  ])
})

it('lists tell channels and no contents, and end before 1 MB', async () => {
  const workspaceId = 'heavy'
  for (const n of [1, 2, 3, 4, 5])
    expect((await call('POST', '/v1/templates', template(`heavy-${n}`, 'x'.repeat(900)), { workspaceId })).status).toBe(201)
  const { body } = await call('GET', '/v1/templates?limit=100', undefined, { workspaceId })
  expect(body.items.map((item: any) => [item.templateId, item.channels])).toEqual(
    [5, 4, 3, 2, 1].map((n) => [`heavy-${n}`, [{ channelType: 'in_app' }, { channelType: 'push' }]]),
  )
  expect(JSON.stringify(body).length).toBeLessThan(1024 * 1024)
  expect((await call('GET', '/v1/templates/heavy-1', undefined, { workspaceId })).body.channels[0].content.body).toBe('x'.repeat(900))
})

it('nobody writes over what somebody else has written since: ETag and If-Match', async () => {
  const made = await callFor('POST', '/v1/templates', template('tagged'))
  expect([made.status, made.headers.get('location')]).toEqual([201, '/v1/templates/tagged'])
  const first = made.headers.get('etag')!
  expect(first).toMatch(/^"[\w-]+"$/)
  expect((await callFor('GET', '/v1/templates/tagged')).headers.get('etag')).toBe(first)
  const put = await callFor('PUT', '/v1/templates/tagged', template('tagged', 'first'), { ifMatch: first })
  const second = put.headers.get('etag')!
  expect([put.status, second === first]).toEqual([200, false])
  // Whoever has read the state before it, or sends what is no tag, or a weak one.
  for (const ifMatch of [first, 'nonsense', '"nonsense"', '', `W/${second}`]) {
    for (const [method, path, body] of [
      ['PUT', '', template('tagged', 'lost')],
      ['POST', '/approve'],
      ['POST', '/archive'],
      ['POST', '/unarchive'],
    ] as const) {
      expect([ifMatch, method, path, (await callFor(method, `/v1/templates/tagged${path}`, body, { ifMatch })).status]).toEqual([
        ifMatch,
        method,
        path,
        412,
      ])
    }
  }
  const { body } = await callFor('GET', '/v1/templates/tagged')
  expect([body.channels[0].content.body, body.status]).toEqual(['first', 'draft'])
  expect((await callFor('POST', '/v1/templates/tagged/approve', undefined, { ifMatch: `"other", ${second}` })).status).toBe(200)
  const approved = (await callFor('GET', '/v1/templates/tagged')).headers.get('etag')!
  expect((await callFor('PUT', '/v1/templates/tagged', template('tagged', 'late'), { ifMatch: second })).status).toBe(412)
  expect((await callFor('PUT', '/v1/templates/tagged', template('tagged', 'second'), { ifMatch: approved })).status).toBe(200)
  expect((await callFor('PUT', '/v1/templates/tagged', template('tagged', 'any'), { ifMatch: '*' })).status).toBe(200)
  expect((await callFor('PUT', '/v1/templates/tagged', template('tagged', 'no word'))).status).toBe(200)
  expect((await callFor('PUT', '/v1/templates/nobody', template('nobody'), { ifMatch: first })).status).toBe(404)
  // Two at the same moment who have read the same: one wins.
  const { headers } = await callFor('GET', '/v1/templates/tagged')
  const ifMatch = headers.get('etag')!
  const race = await Promise.all(
    [1, 2, 3, 4].map((n) => callFor('PUT', '/v1/templates/tagged', template('tagged', `race ${n}`), { ifMatch })),
  )
  expect(race.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412])
})

it('a repeated call is answered as the first was, and says so', async () => {
  const asked = template('repeated')
  const first = await callFor('POST', '/v1/templates', asked, { key: 'repeated' })
  const again = await callFor('POST', '/v1/templates', asked, { key: 'repeated' })
  expect([again.status, again.body]).toEqual([first.status, first.body])
  expect([first.headers.get('idempotent-replayed'), again.headers.get('idempotent-replayed')]).toEqual([null, 'true'])
  expect(await callFor('POST', '/v1/templates', asked)).toMatchObject({ status: 409, body: { type: 'urn:stepcast:taken' } })
})

it('without Kafka an approval is kept, answered 503, and published when Kafka is back', async () => {
  await call('POST', '/v1/templates', template('late'))
  const relay = service.app.get(OutboxRelay, { strict: false }) as unknown as { options: { producer: () => Promise<unknown> } }
  const { producer } = relay.options
  relay.options.producer = () => Promise.reject(new Error('Kafka is away'))
  expect((await call('POST', '/v1/templates/late/approve', undefined, { key: 'late' })).status).toBe(503)
  expect((await call('GET', '/v1/templates/late')).body.version).toBe(1)
  relay.options.producer = producer
  expect(await call('POST', '/v1/templates/late/approve', undefined, { key: 'late' })).toEqual({
    status: 200,
    body: { templateId: 'late', version: 1 },
  })
  await eventually(async () => (await told('late')).length === 1)
})

it('describes itself in OpenAPI', async () => {
  const document = (await (await fetch(`${service.url}/openapi.json`)).json()) as any
  expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(['/v1/templates', '/v1/templates/{templateId}/approve']))
  expect(JSON.stringify(document.paths['/v1/templates'].post.requestBody)).toContain('sequenceEnabled')
})

it('nothing hostile is answered with 5xx: no text, number, time or cursor of any call', async () => {
  await call('POST', '/v1/templates', template('attacked'))
  await call('POST', '/v1/templates/attacked/approve')
  const caller = { workspaceId: 'demo', scopes: ['admin', 'read'] as KeyScope[], userId: null, via: 'api_key' as const, keyId: 'ak_1' }
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), caller)
  const { breaches, asked, byStatus } = await attack({
    url: service.url,
    headers: async () => ({ [contextHeader]: context }),
    known: { templateId: 'attacked' },
    bodies: {
      'POST /v1/templates': template('attacked'),
      'PUT /v1/templates/{templateId}': template('attacked'),
      'POST /v1/templates/{templateId}/preview': { variables: { orderNo: '42' }, locale: 'ko' },
    },
  })
  expect(breaches).toEqual([])
  expect([asked, Object.keys(byStatus)]).toEqual([expect.any(Number), expect.arrayContaining(['200', '400', '422'])])
})

const cursorOf = (json: string): string => Buffer.from(json).toString('base64url')
it.each([
  ...[
    '["x","y"]',
    '[1e15,"x"]',
    '[-1,"x"]',
    '[-5,"x"]',
    '["2026",1]',
    '[10000000000000000000000,"a"]',
    '["2026-01-01T00:00:00Z","x"]',
    '[1]',
  ].map((json) => `/v1/templates?cursor=${cursorOf(json)}`),
  ...['["x"]', '[1.5]', '[2147483648]', '[1,"x"]', '[null]'].map((json) => `/v1/templates/attacked/versions?cursor=${cursorOf(json)}`),
])('GET %s is a 400: no cursor of this list', async (path) => {
  expect(await call('GET', path)).toMatchObject({ status: 400, body: { errors: [{ path: '/cursor' }] } })
})

it('a version that no database holds is refused where it stands', async () => {
  const refused = { status: 422, body: { errors: [{ path: '/version', message: 'must be at most 2147483647, not 2147483648' }] } }
  expect(await call('GET', '/v1/templates/attacked?version=2147483648')).toMatchObject(refused)
  expect(await call('POST', '/v1/templates/attacked/preview?version=2147483648', { variables: {} })).toMatchObject(refused)
})
