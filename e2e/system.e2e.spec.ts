// The whole system from outside: built services, real broker and database; people, producers and providers are played.
import { randomUUID } from 'node:crypto'
import { credentials, loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { protoPath } from 'grpc-health-check'
import { eventually } from '@stepcast/testing'
import type { Caller } from './outside'
import { published } from './published'
import {
  approved,
  broadcastTemplate,
  deadLetter,
  ended,
  givePhone,
  inOneLine,
  listed,
  openStage,
  requested,
  sendTo,
  sequenceTemplate,
  story,
  type Stage,
} from './stage'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
  // Every play on this template is in the numbers that the last rule expects.
  await Promise.all([
    approved(stage.shop, sequenceTemplate('order-shipped')),
    approved(stage.shop, sequenceTemplate('sale')),
    approved(stage.shop, sequenceTemplate('newsletter')),
    approved(stage.shop, broadcastTemplate('flash', 'push')),
  ])
}, 180_000)

afterAll(() => stage?.close(), 60_000)

const push = (sequenceId: string) => `${sequenceId}.2.push`
const inApp = (sequenceId: string) => `${sequenceId}.1.in_app`
const has = (history: readonly any[], wanted: string) => history.some(({ kind }) => kind === wanted)

describe('side by side', () => {
  // First of all, while no other push is on its way that the fault could strike.
  it.concurrent('push-dispatcher killed in the middle of a call: the push is `unknown`, and at most one more arrives', async () => {
    const { shop, sandbox, system } = stage
    await givePhone(shop, 'mid-call')
    await sandbox.hangNextPush()
    const sequenceId = await sendTo(shop, 'flash', 'mid-call')
    const messageId = `${sequenceId}.1.push`
    await eventually(async () => (await sandbox.arrivals(messageId))[0]?.answer === 'hang', { everyMs: 20 })
    system.services['push-dispatcher']!.kill('SIGKILL')
    const { history, outcome } = await story(shop, sequenceId, (told) => has(told.history, 'unknown'))
    expect(outcome).toBe('exhausted')
    expect(history.find(({ kind }: any) => kind === 'unknown')).toMatchObject({ messageId, reason: 'lease_expired' })
    expect((await shop.server.get('/v1/push/unknown')).items).toMatchObject([{ messageId }])
    expect(await story(shop, sequenceId, (told) => has(told.history, 'requested'))).toMatchObject({ outcome: 'exhausted' })
    expect(await sandbox.arrivals(messageId)).toMatchObject([{ answer: 'hang' }, { answer: '200' }])
  })

  it.concurrent('viewed in time: no push', async () => {
    const { shop, sandbox } = stage
    await givePhone(shop, 'viewer')
    const sequenceId = await sendTo(shop, 'order-shipped', 'viewer')
    await requested(shop, sequenceId)
    const app = await shop.app('viewer')
    await app.post(`/v1/feed/${inApp(sequenceId)}/delivered`)
    await app.post(`/v1/feed/${inApp(sequenceId)}/viewed`)
    const told = await ended(shop, sequenceId)
    expect(told).toMatchObject({ outcome: 'stopped', step: 1, userId: 'viewer', templateId: 'order-shipped', templateVersion: 1 })
    expect(inOneLine(told)).toMatch(/^SequenceStarted .* EngagementRecorded\(1 viewed\) StepEnded\(1 stopped\) SequenceEnded\(1 stopped\)$/)
    expect(await sandbox.arrivals(push(sequenceId))).toEqual([])
  })

  it.concurrent('ignored: exactly one push, and a tap after the end counts without changing the outcome', async () => {
    const { shop, sandbox } = stage
    await givePhone(shop, 'ignorer')
    const sequenceId = await sendTo(shop, 'order-shipped', 'ignorer')
    expect(await ended(shop, sequenceId)).toMatchObject({ outcome: 'exhausted', step: 2 })
    await sandbox.tap(push(sequenceId))
    const told = await story(shop, sequenceId, ({ history }) => history.at(-1).kind === 'clicked')
    expect(told.outcome).toBe('exhausted')
    expect(inOneLine(told)).toBe(
      'SequenceStarted StepCommanded(1) | EngagementRecorded(1 requested) | StepEnded(1 waitElapsed) StepCommanded(2) | ' +
        'EngagementRecorded(2 requested) StepEnded(2 completed) SequenceEnded(exhausted) | EngagementRecorded(2 clicked)',
    )
    expect(told.history.every(({ why }: any) => /^[A-Z].*\.$/.test(why))).toBe(true)
    expect(new Date(told.history.at(-1).occurredAt).toISOString()).toBe(told.history.at(-1).occurredAt)
    expect(await sandbox.arrivals(push(sequenceId))).toMatchObject([{ to: 'tok_ignorer', answer: '200' }])
  })

  it.concurrent('viewed late: the escalation is regretted, the outcome stays', async () => {
    const { shop } = stage
    await givePhone(shop, 'late')
    const sequenceId = await sendTo(shop, 'order-shipped', 'late')
    await ended(shop, sequenceId)
    await (await shop.app('late')).post(`/v1/feed/${inApp(sequenceId)}/viewed`)
    const told = await story(shop, sequenceId, ({ history }) => history.at(-1).type === 'EscalationRegretted')
    expect(told.history.at(-1)).toMatchObject({ step: 1, laterSteps: [2], kind: 'viewed' })
    expect(told.outcome).toBe('exhausted')
  })

  it.concurrent('a bad token: the push failed, and the token is gone', async () => {
    const { shop } = stage
    await givePhone(shop, 'moved-on', 'bad_token')
    const sequenceId = await sendTo(shop, 'order-shipped', 'moved-on')
    const { outcome, history } = await ended(shop, sequenceId)
    expect(outcome).toBe('exhausted')
    expect(history.find(({ step, kind }: any) => step === 2 && kind === 'failed')).toMatchObject({ reason: 'UNREGISTERED' })
    await eventually(async () => (await shop.server.get('/v1/users/moved-on')).devices.length === 0)
  })

  it.concurrent('no device: the push is skipped, which is no failure', async () => {
    const { shop, sandbox } = stage
    await shop.server.put('/v1/users/no-phone', { locale: 'ko-KR' })
    const sequenceId = await sendTo(shop, 'order-shipped', 'no-phone')
    const { outcome, history } = await ended(shop, sequenceId)
    expect(outcome).toBe('exhausted')
    expect(history.find(({ step, kind }: any) => step === 2 && kind === 'skipped')).toMatchObject({ reason: 'no_token' })
    expect(await sandbox.arrivals(push(sequenceId))).toEqual([])
  })

  it.concurrent('the same send over HTTP twice and over Kafka twice is one sequence', async () => {
    const { shop, kafka } = stage
    const key = { 'idempotency-key': 'order 42' }
    const body = { templateId: 'order-shipped', receivers: [{ userId: 'twice' }, { userId: 'twice' }] }
    const first = await shop.server.post('/v1/sends', body, key)
    expect(first).toMatchObject({ accepted: 1, duplicates: 1, templateVersion: 1 })
    expect(await shop.server.post('/v1/sends', body, key)).toEqual(first)
    const other = await shop.server.ask('POST', '/v1/sends', { ...body, receivers: [{ userId: 'somebody' }] }, key)
    expect(other.status).toBe(422)
    const sendRequested = {
      workspaceId: 'shop',
      sendId: first.sendId,
      userId: 'twice',
      templateId: 'order-shipped',
      variables: {},
      requestedAt: Date.now(),
    }
    await kafka.produce('stepcast.sends.v1', 'any key', sendRequested)
    await kafka.produce('stepcast.sends.v1', 'another key', sendRequested)
    const [{ sequenceId }] = first.sequences
    await requested(shop, sequenceId)
    const app = await shop.app('twice')
    await app.post(`/v1/feed/${inApp(sequenceId)}/clicked`)
    expect(await ended(shop, sequenceId)).toMatchObject({ outcome: 'stopped', step: 1 })
    expect((await shop.server.get(`/v1/sequences?sendId=${first.sendId}`)).items).toHaveLength(1)
    expect((await app.get('/v1/feed')).items).toHaveLength(1)
  })

  it.concurrent('an outside producer starts sequences with any key and with none, needing no optional field', async () => {
    const { shop, kafka } = stage
    const sendId = `erp/${randomUUID()}`
    const keys = ['k1', randomUUID(), '사용자', null]
    const users = keys.map((_, i) => `erp-${i}`)
    await Promise.all(
      keys.map((key, i) =>
        kafka.produce('stepcast.sends.v1', key, {
          workspaceId: 'shop',
          sendId,
          userId: users[i],
          templateId: 'order-shipped',
          variables: {},
          requestedAt: Date.now(),
        }),
      ),
    )
    const listedSequences = await eventually(async () => {
      const { items } = await shop.server.get(`/v1/sequences?sendId=${encodeURIComponent(sendId)}`)
      return items.length === keys.length && items
    })
    // Receipts of outside apps come with any key, too; the third arrives before its message is known to be sent.
    await Promise.all(
      listedSequences.map(async ({ sequenceId }: any, i: number) => {
        if (i !== 2) await requested(shop, sequenceId)
        await kafka.produce('stepcast.engagements.v1', i === 0 ? null : `key ${i}`, {
          workspaceId: 'shop',
          messageId: inApp(sequenceId),
          kind: 'viewed',
          occurredAt: Date.now(),
          source: 'erp',
          detail: {},
        })
        const told = await story(shop, sequenceId, ({ history, state }) => state === 'ended' && has(history, 'requested'))
        expect(told).toMatchObject({ outcome: 'stopped', step: 1 })
      }),
    )
    await eventually(async () => {
      expect(await shop.server.get(`/v1/sends/${encodeURIComponent(sendId)}`)).toMatchObject({
        templateId: 'order-shipped',
        templateVersion: 1,
        source: 'kafka',
        recipients: 4,
        outcomes: { running: 0, stopped: 4 },
      })
      return true
    })
  })

  it.concurrent('what cannot be read or used becomes a dead letter with its reason, and stops nothing', async () => {
    const { shop, kafka } = stage
    const sendRequested = {
      workspaceId: 'shop',
      sendId: 'bad',
      userId: 'u',
      templateId: 'order-shipped',
      variables: {},
      requestedAt: Date.now(),
    }
    const unknownSchema = Buffer.concat([Buffer.from([0, 0, 0x7f, 0xff, 0xff]), Buffer.from('x')])
    const command = {
      action: 'send',
      workspaceId: 'shop',
      messageId: inApp('623f8d79-cdc6-5760-8ab0-ef346563ba6c'),
      sequenceId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c',
      sendId: 'bad',
      step: 1,
      channelType: 'in_app',
      userId: 'u',
      templateId: 'order-shipped',
      templateVersion: 1,
      variables: {},
      commandedAt: Date.now(),
      expiresAt: Date.now() + 60_000,
    }
    await kafka.produce('stepcast.sends.v1', 'noise', Buffer.from('not avro at all'))
    await kafka.produce('stepcast.sends.v1', 'unknown schema', unknownSchema)
    await kafka.produce('stepcast.sends.v1', 'unknown template', { ...sendRequested, templateId: 'no-such' })
    await kafka.produce('stepcast.engagements.v1', 'foreign', {
      workspaceId: 'shop',
      messageId: 'not-a-message-id',
      kind: 'viewed',
      occurredAt: Date.now(),
      source: 'erp',
      detail: {},
    })
    await kafka.produce('stepcast.commands.in-app.v1', null, command)
    const letterOf = (topic: string, key: string | null) =>
      deadLetter(kafka, (letter) => letter.headers.topic === topic && letter.key === key)
    const noise = await letterOf('stepcast.sends.v1', 'noise')
    expect(noise.value?.toString()).toBe('not avro at all')
    expect(noise.headers).toMatchObject({ partition: expect.stringMatching(/^\d+$/), offset: expect.stringMatching(/^\d+$/) })
    expect((await letterOf('stepcast.sends.v1', 'unknown schema')).headers.reason).toBe('unknown_schema')
    const refused = await deadLetter(kafka, ({ headers }) => headers.reason === 'unknown_template')
    expect(refused.headers.detail).toContain('no-such')
    expect((await letterOf('stepcast.engagements.v1', 'foreign')).headers.reason).toBe('invalid_message_id')
    expect((await letterOf('stepcast.commands.in-app.v1', null)).headers.reason).toBe('null_key')
    const after = await sendTo(shop, 'sale', 'after-noise')
    await requested(shop, after)
    await shop.server.post(`/v1/sequences/${after}/cancel`)
  })

  it.concurrent('a cancelled sequence, and a cancelled send, command nothing more', async () => {
    const { shop, sandbox } = stage
    await Promise.all(['cancelled-1', 'cancelled-2', 'cancelled-3'].map((userId) => givePhone(shop, userId)))
    const alone = await sendTo(shop, 'order-shipped', 'cancelled-1')
    const send = await shop.server.post('/v1/sends', {
      templateId: 'order-shipped',
      receivers: [{ userId: 'cancelled-2' }, { userId: 'cancelled-3' }],
    })
    const both = send.sequences.map(({ sequenceId }: any) => sequenceId)
    await Promise.all([alone, ...both].map((sequenceId) => requested(shop, sequenceId)))
    await shop.server.post(`/v1/sequences/${alone}/cancel`)
    await shop.server.post(`/v1/sends/${send.sendId}/cancel`)
    for (const sequenceId of [alone, ...both]) {
      expect(inOneLine(await ended(shop, sequenceId))).toBe(
        'SequenceStarted StepCommanded(1) | EngagementRecorded(1 requested) | StepEnded(1 cancelled) SequenceEnded(cancelled)',
      )
      expect(await sandbox.arrivals(push(sequenceId))).toEqual([])
    }
    await eventually(async () => (await shop.server.get(`/v1/sends/${send.sendId}`)).outcomes.cancelled === 2)
  })

  it.concurrent('quiet hours: the push waits for their end, and a view meanwhile stops it', async () => {
    const { shop, sandbox } = stage
    await givePhone(shop, 'sleeper')
    const clock = (hoursFromNow: number) => new Date(Date.now() + hoursFromNow * 3_600_000).toISOString().slice(11, 16)
    const [start, end] = [clock(-1), clock(2)]
    await shop.server.put('/v1/users/sleeper/preferences', { quietHours: { start, end } })
    const sequenceId = await sendTo(shop, 'newsletter', 'sleeper')
    const { history } = await story(shop, sequenceId, (told) => told.history.at(-1).type === 'StepDeferred')
    expect(history.at(-1)).toMatchObject({ step: 2, channels: ['push'], until: expect.stringContaining(`T${end}:00`) })
    await (await shop.app('sleeper')).post(`/v1/feed/${inApp(sequenceId)}/viewed`)
    const told = await ended(shop, sequenceId)
    expect(inOneLine(told)).toMatch(/\| EngagementRecorded\(1 viewed\) StepEnded\(2 superseded\) SequenceEnded\(1 stopped\)$/)
    expect(await sandbox.arrivals(push(sequenceId))).toEqual([])
  })

  it.concurrent('opted out: the push is skipped, and nobody was reached', async () => {
    const { shop } = stage
    await givePhone(shop, 'opted-out')
    await shop.server.put('/v1/users/opted-out/preferences', { optOut: { channels: ['push'] } })
    const told = await ended(shop, await sendTo(shop, 'flash', 'opted-out'))
    expect(told.outcome).toBe('unreachable')
    expect(told.history.find(({ kind }: any) => kind === 'skipped')).toMatchObject({ reason: 'opted_out' })
  })

  it.concurrent('an erased person: the sequence is cancelled, the feed and the profile are gone', async () => {
    const { shop } = stage
    await givePhone(shop, 'erased')
    const sequenceId = await sendTo(shop, 'newsletter', 'erased')
    await requested(shop, sequenceId)
    await shop.server.take('DELETE', '/v1/users/erased')
    expect(await ended(shop, sequenceId)).toMatchObject({ outcome: 'cancelled' })
    expect((await shop.server.ask('GET', '/v1/users/erased')).status).toBe(404)
    const app = await shop.app('erased')
    await eventually(async () => (await app.get('/v1/feed')).items.length === 0)
  })

  it.concurrent('an archived template takes no new sends, over HTTP and over Kafka; running sequences go on', async () => {
    const { shop, kafka } = stage
    await approved(shop, sequenceTemplate('outdated'))
    const running = await sendTo(shop, 'outdated', 'in-time')
    await requested(shop, running)
    await shop.server.post('/v1/templates/outdated/archive')
    const refusal = await shop.server.ask('POST', '/v1/sends', { templateId: 'outdated', receivers: [{ userId: 'too-late' }] })
    expect(refusal).toMatchObject({ status: 422, body: { errors: [{ path: '/templateId' }] } })
    await kafka.produce('stepcast.sends.v1', 'archived', {
      workspaceId: 'shop',
      sendId: 'archived',
      userId: 'too-late',
      templateId: 'outdated',
      variables: {},
      requestedAt: Date.now(),
    })
    await deadLetter(kafka, ({ headers }) => headers.reason === 'archived_template')
    expect(await ended(shop, running)).toMatchObject({ outcome: 'exhausted' })
  })

  it.concurrent('the feed tells an open app what is new and what changed, and counts what is unread', async () => {
    const { shop } = stage
    const app = await shop.app('reader')
    const { events, close } = await app.stream('/v1/feed/stream')
    try {
      const sequenceId = await sendTo(shop, 'order-shipped', 'reader')
      const item = await eventually(() => events.find(({ data }) => data.messageId === inApp(sequenceId)))
      expect(item).toMatchObject({ event: 'item', data: { content: { title: 'Shipped', body: 'Order 1' }, viewedAt: null } })
      expect(await app.get('/v1/feed/unread-count')).toEqual({ unread: 1 })
      await app.post(`/v1/feed/${inApp(sequenceId)}/viewed`)
      await eventually(() => events.find(({ data }) => data.messageId === inApp(sequenceId) && data.viewedAt !== null))
      expect(await app.get('/v1/feed/unread-count')).toEqual({ unread: 0 })
      expect((await app.get('/v1/feed?readState=unread')).items).toEqual([])
      expect(await ended(shop, sequenceId)).toMatchObject({ outcome: 'stopped', step: 1 })
    } finally {
      close()
    }
  })

  it.concurrent('metrics-svc killed while it counts comes back by itself, listed anew, and no number changes', async () => {
    const { shop, system } = stage
    const userIds = Array.from({ length: 200 }, (_, i) => `crowd-${i}`)
    await shop.server.post('/v1/sends', { templateId: 'sale', tag: 'crowd', receivers: userIds.map((userId) => ({ userId })) })
    await eventually(async () => (await shop.server.get('/v1/metrics/templates/sale')).outcomes.running > 0, { everyMs: 10 })
    const before = listed(system.home, 'metrics-svc')!
    expect(before.pid).toBe(system.services['metrics-svc']!.pid)
    system.services['metrics-svc']!.kill('SIGKILL')
    const after = await eventually(() => {
      const now = listed(system.home, 'metrics-svc')
      return now?.pid === before.pid ? undefined : now
    })
    expect(after.port).toBe(before.port)
    await eventually(
      async () => {
        const { recipients, outcomes, steps } = await shop.server.get('/v1/metrics/templates/sale')
        expect({ recipients, outcomes }).toEqual({
          // The one more is the send that followed the dead letters.
          recipients: 201,
          outcomes: { running: 0, stopped: 0, exhausted: 200, unreachable: 0, cancelled: 1 },
        })
        expect(steps).toMatchObject([
          { step: 1, entered: 201, running: 0, waitElapsed: 200, cancelled: 1, channels: [{ channelType: 'in_app', requested: 201 }] },
          { step: 2, entered: 200, running: 0, skipped: 200, channels: [{ channelType: 'push', requested: 0, skipped: 200 }] },
        ])
        return true
      },
      { withinMs: 60_000, everyMs: 300 },
    )
  })

  it.concurrent('a template that breaks a rule is refused with the field', async () => {
    const { shop } = stage
    const template = sequenceTemplate('refused')
    const [first, last] = template.config.sequence.steps
    const withSteps = (...steps: object[]) => ({ ...template, config: { sequenceEnabled: true, sequence: { steps } } })
    const pathsOf = async (body: object) => {
      const { status, contentType, body: problem } = await shop.server.ask('POST', '/v1/templates', body)
      expect({ status, contentType }).toMatchObject({ status: 422, contentType: expect.stringContaining('application/problem+json') })
      return problem.errors.map(({ path }: any) => path)
    }
    expect(await pathsOf(withSteps({ ...first, waitMinutes: 7 }, last!))).toEqual(['/config/sequence/steps/0/waitMinutes'])
    expect(await pathsOf(withSteps({ channels: ['push'], stopCondition: 'viewed', waitMinutes: 5 }, { channels: ['in_app'] }))).toEqual([
      '/config/sequence/steps/0/stopCondition',
    ])
    expect((await shop.server.ask('GET', '/v1/templates/refused')).status).toBe(404)
  })

  it.concurrent('a key without the scope, and a caller without a key, are refused', async () => {
    const { shop, system } = stage
    const reader = await shop.serverWith('read')
    const body = { templateId: 'order-shipped', receivers: [{ userId: 'u' }] }
    const refusal = await reader.ask('POST', '/v1/sends', body)
    expect(refusal).toMatchObject({ status: 403, body: { detail: expect.stringContaining('scope send') } })
    expect((await reader.ask('GET', '/v1/templates')).status).toBe(200)
    expect((await (await shop.app('u')).ask('GET', '/v1/templates')).status).toBe(403)
    expect((await fetch(`${system.url}/v1/templates`)).status).toBe(401)
  })

  it.concurrent('another workspace sees nothing of it', async () => {
    const { shop, stranger } = stage
    await approved(shop, sequenceTemplate('private'))
    const { sendId, sequences } = await shop.server.post('/v1/sends', { templateId: 'private', receivers: [{ userId: 'private' }] })
    const [{ sequenceId }] = sequences
    await requested(shop, sequenceId)
    await shop.server.put('/v1/users/private', { locale: 'en' })
    const paths = [
      '/v1/templates/private',
      `/v1/sends/${sendId}`,
      `/v1/sequences/${sequenceId}`,
      '/v1/users/private',
      '/v1/metrics/templates/private',
      `/v1/metrics/sends/${sendId}`,
    ]
    // 503 where the answer needs a service that is being restarted by another play.
    const isHidden = (caller: Caller, method: string, path: string) =>
      eventually(
        async () => {
          const { status } = await caller.ask(method, path)
          if (status !== 503) expect([method, path, status]).toEqual([method, path, 404])
          return status === 404
        },
        { withinMs: 60_000, everyMs: 500 },
      )
    for (const path of paths) await isHidden(stranger.server, 'GET', path)
    await isHidden(stranger.server, 'POST', `/v1/sequences/${sequenceId}/cancel`)
    await isHidden(stranger.server, 'POST', `/v1/sends/${sendId}/cancel`)
    await isHidden(await stranger.app('private'), 'POST', `/v1/feed/${inApp(sequenceId)}/viewed`)
    await isHidden(await shop.app('somebody-else'), 'POST', `/v1/feed/${inApp(sequenceId)}/viewed`)
    for (const path of ['/v1/templates', '/v1/sequences']) expect((await stranger.server.get(path)).items).toEqual([])
    await shop.server.post(`/v1/sequences/${sequenceId}/cancel`)
  })

  it.concurrent('approve, then send at once: the new version is what is sent, over HTTP and over Kafka', async () => {
    const { shop, kafka } = stage
    const template = broadcastTemplate('edited', 'in_app')
    expect(await approved(shop, template)).toBe(1)
    for (const version of [2, 3, 4]) {
      await shop.server.put('/v1/templates/edited', template)
      expect((await shop.server.post('/v1/templates/edited/approve')).version).toBe(version)
      const sendId = `edited ${version}`
      await kafka.produce('stepcast.sends.v1', null, {
        workspaceId: 'shop',
        sendId,
        userId: 'u',
        templateId: 'edited',
        variables: {},
        requestedAt: Date.now(),
      })
      const send = await shop.server.post('/v1/sends', { templateId: 'edited', receivers: [{ userId: 'u' }] })
      expect(send.templateVersion).toBe(version)
      const [{ sequenceId }] = await eventually(async () => {
        const { items } = await shop.server.get(`/v1/sequences?sendId=${encodeURIComponent(sendId)}`)
        return items.length > 0 && items
      })
      expect((await story(shop, sequenceId)).templateVersion).toBe(version)
    }
  })

  it.concurrent('one OpenAPI document lists every route', async () => {
    const paths = await eventually(
      async () => {
        const document = (await (await fetch(`${stage.system.url}/v1/openapi.json`)).json()) as any
        return document['x-stepcast-missing'] === undefined && document.paths
      },
      { withinMs: 60_000, everyMs: 1_000 },
    )
    const routes = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations as object).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '{}')}`),
    )
    expect(routes).toEqual(expect.arrayContaining(published))
  })

  it.concurrent('the gRPC address answers health: serving', async () => {
    const {
      grpc: {
        health: {
          v1: { Health },
        },
      },
    } = loadPackageDefinition(loadSync(protoPath)) as any
    const serving = 1
    const client = new Health(stage.system.grpc, credentials.createInsecure())
    const status = () =>
      new Promise((resolve, reject) =>
        client.check({ service: '' }, (error: Error | null, answer?: { status: number }) =>
          error ? reject(error) : resolve(answer?.status),
        ),
      )
    try {
      // A service that is being restarted makes the whole NOT_SERVING for a while.
      await eventually(async () => (await status()) === serving, { withinMs: 60_000, everyMs: 500 })
    } finally {
      client.close()
    }
  })
})

it('put a device, then send at once: the push goes to it', async () => {
  const { shop, sandbox } = stage
  for (const userId of ['new-1', 'new-2', 'new-3', 'new-4', 'new-5']) {
    await givePhone(shop, userId)
    const sequenceId = await sendTo(shop, 'flash', userId)
    expect(inOneLine(await ended(shop, sequenceId))).toContain('EngagementRecorded(1 requested) StepEnded(1 completed)')
    expect(await sandbox.arrivals(`${sequenceId}.1.push`)).toMatchObject([{ to: `tok_${userId}` }])
  }
})

it('orchestrator killed in the middle of a window: the timer still fires, once', async () => {
  const { shop, sandbox, system } = stage
  await givePhone(shop, 'patient')
  const sequenceId = await sendTo(shop, 'order-shipped', 'patient')
  await requested(shop, sequenceId)
  system.services.orchestrator!.kill('SIGKILL')
  const told = await ended(shop, sequenceId)
  expect(inOneLine(told)).toBe(
    'SequenceStarted StepCommanded(1) | EngagementRecorded(1 requested) | StepEnded(1 waitElapsed) StepCommanded(2) | ' +
      'EngagementRecorded(2 requested) StepEnded(2 completed) SequenceEnded(exhausted)',
  )
  expect(await sandbox.arrivals(push(sequenceId))).toHaveLength(1)
})

it('the numbers of the template are exactly what was played', async () => {
  const { shop } = stage
  // Stopped: viewer, twice, reader and four of the ERP. Exhausted: ignorer, late, moved-on, no-phone, patient. Cancelled: three.
  const expected = {
    recipients: 15,
    outcomes: { running: 0, stopped: 7, exhausted: 5, unreachable: 0, cancelled: 3 },
    steps: [
      {
        step: 1,
        stopCondition: 'viewed',
        waitMinutes: 10,
        entered: 15,
        running: 0,
        stopped: 7,
        waitElapsed: 5,
        failed: 0,
        skipped: 0,
        expired: 0,
        superseded: 0,
        cancelled: 3,
        completed: 0,
        regretted: 1,
        channels: [{ channelType: 'in_app', requested: 15, delivered: 1, viewed: 7, clicked: 1, failed: 0, skipped: 0, unknown: 0 }],
      },
      {
        step: 2,
        entered: 5,
        running: 0,
        stopped: 0,
        waitElapsed: 0,
        failed: 1,
        skipped: 1,
        expired: 0,
        superseded: 0,
        cancelled: 0,
        completed: 3,
        regretted: 0,
        channels: [{ channelType: 'push', requested: 3, delivered: 0, viewed: null, clicked: 1, failed: 1, skipped: 1, unknown: 0 }],
      },
    ],
  }
  await eventually(async () => {
    expect(await shop.server.get('/v1/metrics/templates/order-shipped')).toMatchObject(expected)
    return true
  })
})
