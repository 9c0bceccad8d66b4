// The API's numbers against an independent count of the whole topic, published twice and in overlapping pieces.
import type { Pool } from 'pg'
import { topics, type SequenceChanged, type SequenceStep } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { createPool, migrate } from '@stepcast/postgres'
import { contextHeader, contextKey, expectEveryRouteScoped, signContext, startService, type RunningService } from '@stepcast/service'
import { templateApproved, type ContentOf, type TemplateChannel, type TemplateDefinition } from '@stepcast/template'
import { eventually, readDeadLetters, specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import { AppModule } from './app.module'
import { chance, randomHistories, slowCount, type Plan, type Tally } from './histories.fixtures'
import { hourMs } from './project'
import { startProjector } from './projector'
import { purge } from './purge'
import { recount, TopicTrimmed, type RecountOptions } from './recount'
import { outcomes } from './state'
import type { EventStore } from './store'
import { migrations, schema } from './tables'

const minuteMs = 1_000
const step = (
  channels: string[],
  stopCondition: SequenceStep['stopCondition'] = null,
  waitMinutes: number | null = null,
): SequenceStep => ({ channels, stopCondition, windowMs: waitMinutes === null ? null : waitMinutes * minuteMs })

const plan = (workspaceId: string, templateId: string, templateVersion: number, ...steps: SequenceStep[]): Plan => ({
  workspaceId,
  templateId,
  templateVersion,
  steps,
})
const plans = [
  plan('demo', 'order-shipped', 1, step(['in_app'], 'viewed', 30), step(['push'], 'clicked', 60), step(['sms'])),
  plan('demo', 'order-shipped', 2, step(['push', 'in_app'], 'clicked', 5), step(['kakao'])),
  plan('demo', 'broadcast', 1, step(['in_app', 'push'])),
  plan('other', 'order-shipped', 1, step(['in_app'], 'delivered', 5), step(['sms'])),
]
// Ends a while before the present hour, so that whole hours and their ends are both asked for.
const until = Math.floor(Date.now() / hourMs) * hourMs + 1_234_567
const topic = randomHistories({ seed: 7, sequences: 3_000, plans, partitions: specPartitions, until, windowMs: 5 * hourMs, sends: 40 })

let stack: SpecStack
let service: RunningService
let connection: KafkaConnection
let pool: Pool

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  service = await startService({ name: 'metrics-svc', module: AppModule, env: stack.env, ownsProcess: false })
  pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec', max: 2 })
  await publishTemplates()
  await publishInPieces()
  await folded()
})

afterAll(async () => {
  await service?.stop()
  await pool?.end()
  await stack?.stop()
})

async function publishTemplates(): Promise<void> {
  const producer = await connection.producer()
  await producer.send(
    topics.templates,
    [...plans, plan('demo', 'never-sent', 1, step(['in_app'], 'viewed', 10), step(['sms']))].map(
      ({ workspaceId, templateId, templateVersion, steps }) => ({
        key: `${workspaceId}/${templateId}/${templateVersion}`,
        value: { workspaceId, templateId, changedAt: 0, change: templateApproved(templateVersion, definition(steps)) },
      }),
    ),
  )
}

const definition = (steps: readonly SequenceStep[]): TemplateDefinition => ({
  name: 'A template',
  category: 'Transactional',
  variableSchema: [],
  channels: steps
    .flatMap(({ channels }) => channels)
    .map(
      (channelType) =>
        ({
          channelType,
          content: {} as ContentOf['sms'],
        }) as TemplateChannel,
    ),
  config:
    steps.length === 1
      ? { sequenceEnabled: false, sequence: null }
      : {
          sequenceEnabled: true,
          sequence: {
            steps: steps.map(({ channels, stopCondition, windowMs }) => ({
              channels,
              stopCondition,
              waitMinutes: windowMs === null ? null : windowMs / minuteMs,
            })) as never,
            onFailure: 'advance',
            lateSignal: 'stop',
            dispatchTtlMinutes: 60,
          },
        },
})

// Like an orchestrator that dies between publishing and remembering: each piece begins somewhere before the last one's end.
async function publishInPieces(): Promise<void> {
  const producer = await connection.producer()
  const next = chance(3)
  for (let partition = 0; partition < specPartitions; partition++) {
    const log = topic.filter(({ logPartition }) => logPartition === partition)
    for (let at = 0; at < log.length; ) {
      const from = Math.max(0, at - Math.floor(next() * 300))
      const end = Math.min(log.length, at + 1 + Math.floor(next() * 500))
      await producer.send(
        topics.sequences,
        log.slice(from, end).map((change) => ({ key: change.sequenceId, value: change, partition })),
      )
      at = end
    }
  }
}

async function folded(from: Pool = pool): Promise<void> {
  const ends = await connection.endOffsets(topics.sequences.name)
  await eventually(async () => {
    const { rows } = await from.query<{ partition: number; next_offset: number }>('SELECT partition, next_offset FROM positions')
    return rows.length === ends.size && rows.every((row) => row.next_offset >= ends.get(row.partition)!)
  })
}

async function get(path: string, workspaceId = 'demo', scopes: ('read' | 'send')[] = ['read']): Promise<{ status: number; body: any }> {
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), {
    workspaceId,
    scopes,
    userId: null,
    via: 'api_key',
    keyId: 'ak_1',
  })
  const response = await fetch(service.url + path, { headers: { [contextHeader]: context } })
  return { status: response.status, body: await response.json() }
}

// The published JSON in the words of the slow count, zeros left out.
function tallyOf(body: any): Tally {
  const entries: [string, number][] = [['sequence recipients', body.recipients], ...words('sequence', body.outcomes)]
  for (const { step, stopCondition: _condition, waitMinutes: _wait, channels, ...counts } of body.steps) {
    entries.push(...words(step, counts))
    for (const { channelType, cost: _cost, inferred, ...kinds } of channels) {
      entries.push(...words(`${step} ${channelType}`, { ...kinds, inferredDelivered: inferred.delivered, inferredViewed: inferred.viewed }))
    }
  }
  return Object.fromEntries(entries.filter(([, n]) => n !== 0 && n !== null))
}
const words = (of: string, counts: Record<string, number>): [string, number][] =>
  Object.entries(counts).map(([name, n]) => [`${of} ${name}`, n])

// Push and others have no `viewed`; the generator reports it all the same.
const published = (tally: Tally): Tally =>
  Object.fromEntries(Object.entries(tally).filter(([fact]) => !/(push|sms|kakao) (viewed|inferredViewed)$/.test(fact)))

const expectConserved = (body: any): void => {
  expect(Object.values<number>(body.outcomes).reduce((a, b) => a + b)).toBe(body.recipients)
  for (const {
    entered,
    regretted: _regretted,
    step: _step,
    stopCondition: _condition,
    waitMinutes: _wait,
    channels: _channels,
    ...ways
  } of body.steps) {
    expect(Object.values<number>(ways).reduce((a, b) => a + b)).toBe(entered)
  }
}

const of =
  (workspaceId: string, templateId: string, version?: number) =>
  (first: SequenceChanged): boolean =>
    first.workspaceId === workspaceId && first.templateId === templateId && (version === undefined || first.templateVersion === version)

describe('a template', () => {
  it.each([
    ['demo', 'order-shipped', undefined],
    ['demo', 'order-shipped', 1],
    ['demo', 'order-shipped', 2],
    ['demo', 'broadcast', undefined],
    ['other', 'order-shipped', undefined],
  ] as const)('of %s, %s version %s has the numbers of the whole topic', async (workspaceId, templateId, version) => {
    const { status, body } = await get(`/v1/metrics/templates/${templateId}${version ? `?version=${version}` : ''}`, workspaceId)
    expect(status).toBe(200)
    expect(tallyOf(body)).toEqual(published(slowCount(topic, of(workspaceId, templateId, version))))
    expect(body).toMatchObject({ templateId, version: version ?? null, from: null, to: null, cost: null })
    expect(body.recipients).toBeGreaterThan(300)
    expectConserved(body)
  })

  it('is cut by the start of its sequences, to the millisecond', async () => {
    const starts = topic
      .filter(({ version }) => version === 1)
      .filter(of('demo', 'order-shipped'))
      .map(({ recordedAt }) => recordedAt)
    const ranges = [
      [starts[100]!, starts[900]!],
      [starts[100]!, starts[101]! + 1],
      [starts[500]! + 1, null],
      [null, starts[700]!],
      [until - 3 * hourMs - 1_234_567, until - hourMs - 1_234_567],
      [until + 1, until + hourMs],
    ] as const
    for (const [from, to] of ranges) {
      const query = new URLSearchParams({
        ...(from ? { from: new Date(from).toISOString() } : {}),
        ...(to ? { to: new Date(to).toISOString() } : {}),
      })
      const { body } = await get(`/v1/metrics/templates/order-shipped?${query}`)
      const inRange = ({ recordedAt }: SequenceChanged): boolean => recordedAt >= (from ?? 0) && recordedAt < (to ?? Infinity)
      expect(tallyOf(body)).toEqual(published(slowCount(topic, (first) => of('demo', 'order-shipped')(first) && inRange(first))))
      expectConserved(body)
    }
  })

  it('is labelled as its latest version', async () => {
    const { body } = await get('/v1/metrics/templates/order-shipped')
    expect(body.steps.map((s: any) => [s.stopCondition, s.waitMinutes, s.channels.map((c: any) => c.channelType)])).toEqual([
      ['clicked', 5, ['push', 'in_app']],
      [null, null, ['kakao', 'push']],
      [null, null, ['sms']],
    ])
    expect(body.steps[1].channels[0]).toMatchObject({ viewed: null, cost: null, inferred: { viewed: null } })
  })

  it('that was never sent has zeros on every channel', async () => {
    const { status, body } = await get('/v1/metrics/templates/never-sent')
    expect(status).toBe(200)
    expect(body).toMatchObject({ recipients: 0, outcomes: { running: 0, stopped: 0, exhausted: 0, unreachable: 0, cancelled: 0 } })
    expect(body.steps.map((s: any) => [s.entered, s.channels.map((c: any) => [c.channelType, c.requested])])).toEqual([
      [0, [['in_app', 0]]],
      [0, [['sms', 0]]],
    ])
  })

  it('that nobody approved is not found, nor a version, nor one of another workspace', async () => {
    expect((await get('/v1/metrics/templates/nothing')).status).toBe(404)
    expect((await get('/v1/metrics/templates/order-shipped?version=3')).body).toMatchObject({
      status: 404,
      detail: 'Template order-shipped has no version 3.',
    })
    expect((await get('/v1/metrics/templates/broadcast', 'other')).status).toBe(404)
  })

  it('refuses a bad query by field', async () => {
    const { status, body } = await get('/v1/metrics/templates/order-shipped?version=0&from=yesterday')
    expect(status).toBe(422)
    expect(body.errors.map(({ path }: any) => path).sort()).toEqual(['/from', '/version'])
    expect((await get('/v1/metrics/overview?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z')).body.errors[0].path).toBe('/to')
  })

  it.each([
    ['version=2147483648', '/version'],
    ['version=1e99', '/version'],
    ['version=9007199254740993', '/version'],
    ['version=1.5', '/version'],
    ['from=0000-01-01T00:00:00Z', '/from'],
    ['to=0000-01-01T00:00:00Z', '/to'],
    ['from=1969-12-31T23:59:59Z', '/from'],
    ['from=9999-12-31T23:59:59Z', '/from'],
    ['to=9999-12-31T23:59:59Z', '/to'],
    ['to=2200-01-01T00:00:00Z', '/to'],
    ['from=2200-01-01T00:00:00-00:01', '/from'],
    ['to=2026-01-01T00:00:61Z', '/to'],
  ])('refuses %s by field', async (query, path) => {
    const { status, body } = await get(`/v1/metrics/templates/order-shipped?${query}`)
    expect([status, body.errors?.[0].path]).toEqual([422, path])
    if (!query.startsWith('version')) expect((await get(`/v1/metrics/overview?${query}`)).status).toBe(422)
  })

  it('takes the largest version and the last moment that there are', async () => {
    expect((await get('/v1/metrics/templates/order-shipped?version=2147483647')).status).toBe(404)
    expect((await get('/v1/metrics/overview?from=1970-01-01T00:00:00Z&to=2199-12-31T23:59:59.999Z')).body.recipients).toBeGreaterThan(1_000)
  })

  it.each(['templates', 'sends', 'campaigns'])('of a name that no database takes is refused among %s', async (kind) => {
    expect((await get(`/v1/metrics/${kind}/a%00b`)).status).toBe(400)
  })

  it('says up to when its numbers are complete', async () => {
    const before = Date.now()
    const { body } = await eventually(async () => {
      const answer = await get('/v1/metrics/templates/order-shipped')
      return Date.parse(answer.body.asOf) >= before ? answer : null
    })
    expect(Date.parse(body.asOf)).toBeLessThanOrEqual(Date.now())
  })
})

describe('a send and a campaign', () => {
  it('have the numbers of their sequences', async () => {
    const first = topic.find((change) => change.version === 1 && change.campaignId !== null && change.workspaceId === 'demo')!
    const send = await get(`/v1/metrics/sends/${first.sendId}`)
    expect(send.body).toMatchObject({ sendId: first.sendId, templateId: first.templateId, version: first.templateVersion })
    expect(tallyOf(send.body)).toEqual(
      published(slowCount(topic, ({ workspaceId, sendId }) => workspaceId === 'demo' && sendId === first.sendId)),
    )
    expectConserved(send.body)
    const campaign = await get(`/v1/metrics/campaigns/${first.campaignId}`)
    expect(tallyOf(campaign.body)).toEqual(
      published(slowCount(topic, ({ workspaceId, campaignId }) => workspaceId === 'demo' && campaignId === first.campaignId)),
    )
  })

  it('of another workspace are not found', async () => {
    const { sendId } = topic.find(({ workspaceId, templateId }) => workspaceId === 'demo' && templateId === 'broadcast')!
    expect((await get(`/v1/metrics/sends/${sendId}`, 'other')).status).toBe(404)
    expect((await get('/v1/metrics/sends/nothing')).status).toBe(404)
  })

  it('tell send-svc what was sent', async () => {
    const first = topic.find(({ workspaceId, version }) => workspaceId === 'demo' && version === 1)!
    const tally = slowCount(topic, ({ workspaceId, sendId }) => workspaceId === 'demo' && sendId === first.sendId)
    const { body } = await get(`/internal/sends/${first.sendId}`)
    expect(body).toEqual({
      sendId: first.sendId,
      templateId: first.templateId,
      templateVersion: first.templateVersion,
      source: 'kafka',
      requestedAt: expect.stringMatching(/Z$/),
      recipients: tally['sequence recipients'],
      outcomes: Object.fromEntries(outcomes.map((name) => [name, tally[`sequence ${name}`] ?? 0])),
    })
  })
})

it('sums a workspace up and lists its templates', async () => {
  const { body } = await get('/v1/metrics/overview')
  const recipients = slowCount(topic, ({ workspaceId }) => workspaceId === 'demo')['sequence recipients']
  expect(body.recipients).toBe(recipients)
  expect(body.templates.map(({ templateId }: any) => templateId)).toEqual(['order-shipped', 'broadcast'])
  expect(body.templates.reduce((sum: number, t: any) => sum + t.recipients, 0)).toBe(recipients)
})

it('lets only keys that may read, on every route', async () => {
  expectEveryRouteScoped(service.app)
  expect((await get('/v1/metrics/overview', 'demo', ['send'])).status).toBe(403)
  expect((await fetch(`${service.url}/v1/metrics/overview`)).status).toBe(401)
})

it('answers a record of another partition by a dead letter and goes on', async () => {
  const lost = { ...topic[0]!, logPartition: (topic[0]!.logPartition + 1) % specPartitions }
  await (await connection.producer()).send(topics.sequences, [{ key: lost.sequenceId, value: lost, partition: topic[0]!.logPartition }])
  await folded()
  expect((await readDeadLetters(connection)).map(({ headers }) => headers.reason)).toEqual(['wrong_partition'])
})

const allCounts = async (from: Pool): Promise<unknown> =>
  (
    await from.query(`SELECT ${countColumns}, sum(n) AS n FROM (SELECT ${countColumns}, n FROM counts UNION ALL
    SELECT ${countColumns}, n FROM counts_by_partition) AS both_tables GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5, 6, 7`)
  ).rows
const countColumns = 'workspace_id, template_id, template_version, hour, step, channel_type, name'

describe('folding again', () => {
  it('counts nothing twice when the process dies between the commit and the offset', async () => {
    await migrate({ databaseUrl: stack.databaseUrl, schema: 'killed', applicationName: 'spec', migrations })
    const killed = createPool({ databaseUrl: stack.databaseUrl, schema: 'killed', applicationName: 'spec' })
    let deaths = 0
    const projector = await startProjector({
      connection: stack.connection('killed'),
      pool: killed,
      groupId: 'killed',
      onFolded: async () => {
        // As from a process that died: nothing is counted against the records.
        if (++deaths % 2 === 1) throw Object.assign(new Error('died after the commit'), { retriable: true })
      },
    })
    await folded(killed)
    // From the beginning once more, as a consumer whose offsets were lost.
    await projector.stop()
    await killed.query('UPDATE positions SET next_offset = 0')
    const again = await startProjector({ connection: stack.connection('again'), pool: killed, groupId: 'again' })
    await folded(killed)
    await again.stop()
    expect(deaths).toBeGreaterThan(2)
    expect(await allCounts(killed)).toEqual(await allCounts(pool))
    await killed.end()
  })

  it('rebuilds equal numbers beside the live tables, and repairs wrong ones', async () => {
    const right = await allCounts(pool)
    await pool.query('UPDATE counts_by_partition SET n = n + 1')
    await recount({
      connection: stack.connection('rebuild'),
      databaseUrl: stack.databaseUrl,
      store: null,
      acceptTrimmed: false,
      say: () => {},
    })
    expect(await allCounts(pool)).toEqual(right)
    // The live projector goes on in the new tables.
    const late = { ...topic.filter(({ logPartition }) => logPartition === 0).at(-1)!, events: [] }
    const next = { ...late, version: late.version + 1, logPosition: late.logPosition + 1 }
    await (await connection.producer()).send(topics.sequences, [{ key: next.sequenceId, value: next, partition: 0 }])
    await folded()
    expect((await pool.query('SELECT log_position FROM positions WHERE partition = 0')).rows[0].log_position).toBe(next.logPosition)
    expect((await get('/v1/metrics/templates/order-shipped')).status).toBe(200)
  })

  describe('a topic that has been trimmed', () => {
    const storeOf = (log: readonly SequenceChanged[], wholeSince: string | null): EventStore => ({
      changes: async (partition, after, upTo) => {
        const found = log.filter((c) => c.logPartition === partition && c.logPosition > after && c.logPosition <= upTo)
        const items = found.slice(0, 700)
        return { items, readTo: items.length < found.length ? items.at(-1)!.logPosition : upTo, wholeSince }
      },
    })
    const options = (store: EventStore | null, acceptTrimmed = false): RecountOptions => ({
      connection: stack.connection('trimmed'),
      databaseUrl: stack.databaseUrl,
      store,
      acceptTrimmed,
      say: (line) => void said.push(line),
      stillMs: 20_000,
    })
    let said: string[] = []
    let right: unknown
    beforeAll(async () => {
      right = await allCounts(pool)
      // Most of it on partition 1, all of it on partition 2.
      const { end } = (await connection.offsets(topics.sequences.name)).get(2)!
      await (await connection.admin()).deleteTopicRecords({
        topic: connection.physical(topics.sequences.name),
        partitions: [
          { partition: 1, offset: '2000' },
          { partition: 2, offset: String(end) },
        ],
      })
    })
    beforeEach(() => (said = []))

    it('is made whole from the event store', async () => {
      await pool.query('UPDATE counts_by_partition SET n = n + 1')
      await recount(options(storeOf(topic, null)))
      expect(await allCounts(pool)).toEqual(right)
      expect(said[0]).toMatch(/partitions 1 \(2000 to \d+\), 2 .*holds all of the rest/)
    })

    it('keeps the numbers of days that the store has forgotten too, and counts later ones anew', async () => {
      const day = new Date(until - 2 * hourMs).toISOString().slice(0, 10)
      // As if the day before had been dropped: the histories of this spec lie on both sides of a midnight, or all on one.
      const whole = topic
        .filter((c) => c.version === 1 && new Date(c.recordedAt).toISOString().slice(0, 10) >= day)
        .map((c) => c.sequenceId)
      const kept = new Set(whole)
      await recount(
        options(
          storeOf(
            topic.filter((c) => kept.has(c.sequenceId)),
            day,
          ),
        ),
      )
      expect(await allCounts(pool)).toEqual(right)
      expect(said[0]).toContain(`nothing whole of before ${day}`)
      const tomorrow = new Date(until + 24 * hourMs).toISOString().slice(0, 10)
      await recount(options(storeOf([], tomorrow)))
      expect(await allCounts(pool)).toEqual(right)
    })

    it('is refused while the store does not answer, and nothing changes', async () => {
      const away: EventStore = { changes: () => Promise.reject(new Error('away')) }
      await expect(recount(options(away))).rejects.toThrow(TopicTrimmed)
      await expect(recount(options(null))).rejects.toThrow(/partitions 1 \(2000 to \d+\), 2 .*--accept-trimmed/)
      expect(await allCounts(pool)).toEqual(right)
    })

    it('is given up with a sentence when nothing moves', async () => {
      let release = (): void => {}
      const hanging: EventStore = {
        changes: (_partition, after) =>
          after === 0
            ? Promise.resolve({ items: [], readTo: 1, wholeSince: null })
            : new Promise((_resolve, reject) => (release = () => reject(new Error('released')))),
      }
      await expect(recount({ ...options(hanging), stillMs: 1_500 })).rejects.toThrow(
        /nothing has moved for 2 s: .*partition 1 at \d+ of \d+/,
      )
      release()
      expect(await allCounts(pool)).toEqual(right)
    })

    it('counts only what it holds when that is accepted', async () => {
      await recount(options(null, true))
      const { recipients } = (await get('/v1/metrics/templates/order-shipped')).body
      expect(recipients).toBeGreaterThan(0)
      expect(recipients).toBeLessThan(slowCount(topic, of('demo', 'order-shipped'))['sequence recipients']!)
    })
  })
})

it('forgets sequences after 97 days and keeps what they counted', async () => {
  const before = await allCounts(pool)
  expect(await purge(pool, new Date(until + 97 * 24 * hourMs - 5 * hourMs))).toBe(0)
  const deleted = await purge(pool, new Date(until + 97 * 24 * hourMs + 1))
  expect(deleted).toBeGreaterThan(1_000)
  expect(await allCounts(pool)).toEqual(before)
})
