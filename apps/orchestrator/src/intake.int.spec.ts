// What outside producers may put on the topics, on the real broker and database: what cannot be used is put aside with its reason, and the
// neighbour behind it in the same partition goes on.
import fc from 'fast-check'
import { Client } from 'pg'
import {
  avroTypes,
  channelTypes,
  encodeRecord,
  engagementProblem,
  maxRecordBytes,
  messageIdOf,
  partitionOf,
  recordBytes,
  sequenceIdOf,
  templateVersionKey,
  topics,
  type CancelRequested,
  type EngagementKind,
  type EngagementReported,
  type SendRequested,
  type SequenceChanged,
} from '@stepcast/contracts'
import type { KafkaConnection, RawRecord } from '@stepcast/kafka'
import { startService, type RunningService } from '@stepcast/service'
import {
  approveTwoSteps,
  engagementReported,
  eventually,
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
import { maxChangeBytes } from './changeParts'
import { maxEarlyOfSequence } from './sql/early'

const partition = 1
/** The last ends a sequence of `everywhere`. */
const kinds: readonly EngagementKind[] = ['requested', 'delivered', 'viewed', 'failed', 'skipped', 'unknown', 'clicked']

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let changes: WatchedTopic<'SequenceChanged'>
let dead: WatchedDeadLetters
let database: Client

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  changes = await watchTopic(connection, topics.sequences)
  dead = await watchDeadLetters(connection)
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  await approveTwoSteps(connection, 'order', 1440)
  await approveEverywhere('everywhere')
  await goesOn()
})
afterAll(async () => {
  await database.end()
  await service.stop()
  await stack.stop()
})

// ── What a producer does ──────────────────────────────────────────────────────────────────────────────────────────────────

/** One step of all four channels, which nothing ends within a day. */
async function approveEverywhere(templateId: string): Promise<void> {
  const steps = [{ channels: [...channelTypes], stopCondition: 'clicked', waitMinutes: 1440 }]
  await (await connection.producer()).send(topics.templates, [
    {
      key: templateVersionKey('w', templateId, 1),
      value: {
        workspaceId: 'w',
        templateId,
        changedAt: Date.now(),
        change: {
          type: 'TemplateApproved',
          version: 1,
          name: templateId,
          category: 'Custom',
          variableSchema: '[]',
          channels: JSON.stringify(channelTypes.map((channelType) => ({ channelType, content: {} }))),
          config: JSON.stringify({
            sequenceEnabled: true,
            sequence: {
              steps: [...steps, { channels: ['sms'], stopCondition: null, waitMinutes: null }],
              onFailure: 'wait',
              lateSignal: 'stop',
              dispatchTtlMinutes: 1440,
            },
          }),
        },
      },
    },
  ])
}

let made = 0
/** A user whose sequence of this send is at home in the partition under attack, or just not. */
function userAtHome(sendId: string, isHome = true): string {
  for (;;) {
    const userId = `u-${made++}`
    if ((partitionOf(sequenceIdOf('w', sendId, userId), specPartitions) === partition) === isHome) return userId
  }
}

/** Puts records on the partition under attack. */
const put = async (topic: string, records: readonly RawRecord[]): Promise<void> =>
  (await connection.producer()).sendRaw(
    topic,
    records.map((record) => ({ ...record, partition })),
  )

const sendBytes = async (send: SendRequested): Promise<Buffer> =>
  encodeRecord('SendRequested', await connection.registry.writerIdOf(topics.sends), send)
const reportBytes = async (report: EngagementReported): Promise<Buffer> =>
  encodeRecord('EngagementReported', await connection.registry.writerIdOf(topics.engagements), report)
const cancelBytes = async (cancel: Partial<CancelRequested>): Promise<Buffer> =>
  encodeRecord('CancelRequested', await connection.registry.writerIdOf(topics.controls), {
    cancelId: `c-${made++}`,
    workspaceId: 'w',
    scope: 'user',
    id: 'nobody',
    requestedBy: 'spec',
    requestedAt: Date.now(),
    ...cancel,
  })
const putReport = async (report: EngagementReported, headers: RawRecord['headers'] = {}): Promise<void> =>
  put(topics.engagements.name, [{ key: 'any', value: await reportBytes(report), headers }])

// ── What comes of it ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Event = SequenceChanged['events'][number]
function storyOf(sequenceId: string): { changes: SequenceChanged[]; events: readonly Event[] } {
  const once = new Map(
    changes
      .values()
      .filter((change) => change.sequenceId === sequenceId)
      .map((change) => [change.version, change]),
  )
  const own = [...once.values()].sort((a, b) => a.version - b.version)
  return { changes: own, events: own.flatMap(({ events }) => events) }
}
const has = (sequenceId: string, type: Event['type']): boolean => storyOf(sequenceId).events.some((event) => event.type === type)

/** A good send right behind starts, and a good receipt for it stops it: the partition under attack stands open. */
async function goesOn(): Promise<void> {
  const sendId = `good-${made++}`
  const userId = userAtHome(sendId)
  const sequenceId = sequenceIdOf('w', sendId, userId)
  await put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('order', sendId, userId)) }])
  await eventually(() => has(sequenceId, 'StepCommanded'))
  await putReport(engagementReported(messageIdOf(sequenceId, 1, 'in_app'), 'viewed'))
  await eventually(() => has(sequenceId, 'SequenceEnded'))
}

/** The reasons of the dead letters whose key says that they are of this case. */
const reasonsOf = (key: string): (string | undefined)[] =>
  dead.letters.filter((letter) => letter.key === key).map(({ headers }) => headers.reason)
const hasReason = (key: string, reason: string): Promise<unknown> =>
  eventually(() => (reasonsOf(key).length === 0 ? null : reasonsOf(key))).then((reasons) => expect(reasons).toEqual([reason]))

const early = async (where = 'true', values: readonly unknown[] = []): Promise<number> =>
  (await database.query(`SELECT count(*)::int AS n FROM early_engagements WHERE ${where}`, [...values])).rows[0].n

const odd = {
  microseconds: Date.now() * 1_000,
  'before the year 1': -6.3e13,
  'beyond a JavaScript date': 8.9e15,
  'the smallest number': -9.0e15,
  'a millisecond before 1970': -1,
  'the year 2200': Date.UTC(2200, 0, 1),
}

it.each(Object.entries(odd))(
  'a send asked for at an impossible time (%s) is put aside, and the next one starts',
  async (what, requestedAt) => {
    const userId = userAtHome('odd')
    await put(topics.sends.name, [{ key: what, value: await sendBytes(sendRequested('order', 'odd', userId, { requestedAt })) }])
    await goesOn()
    await hasReason(what, 'invalid_time')
    expect(has(sequenceIdOf('w', 'odd', userId), 'SequenceStarted')).toBe(false)
  },
)

it.each(Object.entries(odd))('a report of an impossible time (%s) is put aside, known or early', async (what, occurredAt) => {
  const known = userAtHome('timed')
  const sequenceId = sequenceIdOf('w', 'timed', known)
  await put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('order', 'timed', known)) }])
  await eventually(() => has(sequenceId, 'StepCommanded'))
  for (const [key, id] of [
    [`known ${what}`, sequenceId],
    [`early ${what}`, sequenceIdOf('w', 'timed', userAtHome('timed'))],
  ] as const) {
    await put(topics.engagements.name, [
      { key, value: await reportBytes(engagementReported(messageIdOf(id, 1, 'in_app'), 'delivered', { occurredAt })) },
    ])
  }
  await goesOn()
  await hasReason(`known ${what}`, 'invalid_time')
  await hasReason(`early ${what}`, 'invalid_time')
  expect(has(sequenceId, 'EngagementRecorded')).toBe(false)
})

it.each<[string, Partial<SendRequested>]>([
  ['tag', { tag: 'a\0b' }],
  ['a variable', { variables: { text: 'A\0da' } }],
  ['the name of a variable', { variables: { 'x\0': 'y' } }],
  ['userId', { userId: 'a\0b' }],
  ['sendId', { sendId: 'a\0b' }],
  ['campaignId', { campaignId: 'a\0b' }],
  ['templateId', { templateId: 'a\0b' }],
  ['workspaceId', { workspaceId: 'a\0b' }],
])('a send with the character NUL in %s is put aside, and the next one starts', async (where, more) => {
  const key = `nul in ${where}`
  await put(topics.sends.name, [{ key, value: await sendBytes(sendRequested('order', 'nul', userAtHome('nul'), more)) }])
  await goesOn()
  await hasReason(key, 'invalid_send')
})

it.each<[string, Partial<EngagementReported>]>([
  ['a name of detail', { detail: { 'a\0b': 'c' } }],
  ['a value of detail', { detail: { a: 'b\0' } }],
  ['reason', { reason: 'a\0b' }],
  ['source', { source: '\0' }],
  ['providerMessageId', { providerMessageId: '\0' }],
  ['workspaceId', { workspaceId: 'w\0' }],
])('an early report with the character NUL in %s is put aside, and the next one counts', async (where, more) => {
  const key = `early nul in ${where}`
  const messageId = messageIdOf(sequenceIdOf('w', 'nul', userAtHome('nul')), 1, 'in_app')
  await put(topics.engagements.name, [{ key, value: await reportBytes(engagementReported(messageId, 'viewed', more)) }])
  await goesOn()
  await hasReason(key, 'invalid_engagement')
})

it('an early report is kept with whatever headers its producer wrote, and leaves nothing behind', async () => {
  const userId = userAtHome('headers')
  const sequenceId = sequenceIdOf('w', 'headers', userId)
  const headers = {
    'a\0b': Buffer.from([0, 255, 254, 0]),
    repeated: [Buffer.from('one'), Buffer.from('two')],
    constructor: Buffer.from('x'),
    traceparent: Buffer.from('no trace'),
  }
  await putReport(engagementReported(messageIdOf(sequenceId, 1, 'in_app'), 'viewed'), headers)
  // Another workspace's, to see its dead letter.
  await put(topics.engagements.name, [
    {
      key: 'with headers',
      value: await reportBytes(engagementReported(messageIdOf(sequenceId, 1, 'in_app'), 'viewed', { workspaceId: 'rival' })),
      headers,
    },
  ])
  await eventually(async () => (await early('sequence_id = $1', [sequenceId])) === 2)
  await goesOn()
  await put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('order', 'headers', userId)) }])
  await eventually(() => has(sequenceId, 'SequenceEnded'))
  await hasReason('with headers', 'wrong_workspace')
  const letter = dead.letters.find(({ key }) => key === 'with headers')!
  expect(letter.headers).toMatchObject({
    'a\0b': String(headers['a\0b']),
    repeated: 'one,two',
    traceparent: 'no trace',
    topic: topics.engagements.name,
    partition: String(partition),
  })
  expect(Object.hasOwn(letter.headers, 'constructor')).toBe(true)
  expect(letter.value).toEqual(
    await reportBytes(
      engagementReported(messageIdOf(sequenceId, 1, 'in_app'), 'viewed', {
        workspaceId: 'rival',
        occurredAt: avroTypes.EngagementReported.fromBuffer(letter.value!.subarray(5)).occurredAt,
      }),
    ),
  )
  const traced = changes.records.find(({ value }) => value!.sequenceId === sequenceId)!
  expect(traced.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-/)
  expect(await early('sequence_id = $1', [sequenceId])).toBe(0)
})

it('another workspace cannot suppress an early report, whichever comes first (rule 13)', async () => {
  for (const order of [
    ['rival', 'w'],
    ['w', 'rival'],
  ]) {
    const userId = userAtHome('rivals')
    const sequenceId = sequenceIdOf('w', 'rivals', userId)
    const messageId = messageIdOf(sequenceId, 1, 'in_app')
    for (const workspaceId of order) {
      await put(topics.engagements.name, [
        { key: `${userId} ${workspaceId}`, value: await reportBytes(engagementReported(messageId, 'viewed', { workspaceId })) },
      ])
    }
    await eventually(async () => (await early('sequence_id = $1', [sequenceId])) === 2)
    await put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('order', 'rivals', userId)) }])
    await eventually(() => has(sequenceId, 'SequenceEnded'))
    expect(storyOf(sequenceId).events.at(-1)).toMatchObject({ outcome: 'stopped', engagement: 'viewed' })
    await hasReason(`${userId} rival`, 'wrong_workspace')
    expect(reasonsOf(`${userId} w`)).toEqual([])
  }
})

it.each<[string, Partial<CancelRequested>, string]>([
  ['NUL in requestedBy', { requestedBy: 'a\0b' }, 'invalid_cancel'],
  ['NUL in id', { id: 'a\0' }, 'invalid_cancel'],
  ['NUL in cancelId', { cancelId: 'a\0' }, 'invalid_cancel'],
  ['a time in microseconds', { requestedAt: Date.now() * 1_000 }, 'invalid_time'],
  ['a time before 1970', { requestedAt: -1 }, 'invalid_time'],
  ['300 kB of requestedBy', { requestedBy: 'x'.repeat(300_000) }, 'too_large'],
])('a cancel with %s is put aside, and the erasure behind it reaches whom it names', async (what, more, reason) => {
  const userId = userAtHome('erased')
  const sequenceId = sequenceIdOf('w', 'erased', userId)
  await put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('order', 'erased', userId)) }])
  await eventually(() => has(sequenceId, 'StepCommanded'))
  await put(topics.controls.name, [
    { key: what, value: await cancelBytes(more) },
    { key: 'good', value: await cancelBytes({ id: userId }) },
  ])
  await eventually(() => has(sequenceId, 'SequenceEnded'))
  expect(storyOf(sequenceId).events.at(-1)).toMatchObject({ outcome: 'cancelled' })
  await hasReason(what, reason)
})

it('a record is measured with its key and headers, before it is sent home; the largest one fits wherever it lands', async () => {
  const value = await sendBytes(sendRequested('order', 'large', 'u'))
  const big = { fill: Buffer.alloc(300_000, 'x') }
  await put(topics.sends.name, [
    { key: 'headers of 300 kB', value, headers: big },
    { key: 'headers of 4 MB', value, headers: { fill: Buffer.alloc(4_000_000, 'x') } },
    { key: `key ${'x'.repeat(300_000)}`, value },
  ])
  await put(topics.engagements.name, [
    { key: 'report of 300 kB', value: await reportBytes(engagementReported('nonsense', 'viewed')), headers: big },
  ])
  await goesOn()
  for (const key of ['headers of 300 kB', 'headers of 4 MB', `key ${'x'.repeat(300_000)}`, 'report of 300 kB'])
    await hasReason(key, 'too_large')

  for (const isHome of [true, false]) {
    const userId = userAtHome('largest', isHome)
    const bytes = await sendBytes(sendRequested('order', 'largest', userId))
    const room = maxRecordBytes - recordBytes({ key: null, value: bytes, headers: { fill: Buffer.alloc(0) } })
    await put(topics.sends.name, [{ key: null, value: bytes, headers: { fill: Buffer.alloc(room, 'x') } }])
    await eventually(() => has(sequenceIdOf('w', 'largest', userId), 'StepCommanded'))
    await put(topics.sends.name, [{ key: `x${isHome}`, value: bytes, headers: { fill: Buffer.alloc(room, 'x') } }])
    await hasReason(`x${isHome}`, 'too_large')
  }
})

const large = (sequenceId: string, n: number): EngagementReported => {
  const channelType = channelTypes[n % channelTypes.length]!
  return engagementReported(messageIdOf(sequenceId, 1, channelType), kinds[Math.floor(n / channelTypes.length)]!, {
    reason: 'x'.repeat(255_000),
  })
}

it.each(['before its send', 'while it runs'])(
  '25 reports of 255 kB that come %s are all recorded, in changes that Kafka takes',
  async (when) => {
    const sendId = `large ${when}`
    const userId = userAtHome(sendId)
    const sequenceId = sequenceIdOf('w', sendId, userId)
    const send = async (): Promise<void> =>
      put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('everywhere', sendId, userId)) }])
    if (when === 'while it runs') {
      await send()
      await eventually(() => has(sequenceId, 'StepCommanded'))
    }
    await put(
      topics.engagements.name,
      await Promise.all(Array.from({ length: 25 }, async (_, n) => ({ key: 'any', value: await reportBytes(large(sequenceId, n)) }))),
    )
    if (when === 'before its send') {
      await eventually(async () => (await early('sequence_id = $1', [sequenceId])) === 25)
      await send()
    }
    await eventually(() => storyOf(sequenceId).events.filter(({ type }) => type === 'EngagementRecorded').length === 25)
    await eventually(() => has(sequenceId, 'SequenceEnded'))
    const { changes: own, events } = storyOf(sequenceId)
    expect(own.map(({ version }) => version)).toEqual(own.map((_, index) => index + 1))
    if (when === 'before its send') expect(own.length).toBe(7)
    expect(events.map(({ type }) => type)).toEqual([
      'SequenceStarted',
      'StepCommanded',
      ...Array.from({ length: 25 }, () => 'EngagementRecorded'),
      'StepEnded',
      'SequenceEnded',
    ])
    const { rows } = await database.query('SELECT max(octet_length(data)) AS largest FROM changes WHERE sequence_id = $1', [sequenceId])
    expect(rows[0].largest).toBeLessThanOrEqual(maxChangeBytes)
    await goesOn()
    const {
      rows: [cursor],
    } = await database.query('SELECT log_position, published_position FROM cursors WHERE partition = $1', [partition])
    expect(Number(cursor.log_position) - Number(cursor.published_position)).toBeLessThanOrEqual(2)
  },
)

it('sends for which more waits than one turn applies are started by the turns that follow, with all of it', async () => {
  // 18 MB; a turn applies 16.
  const users = Array.from({ length: 3 }, () => userAtHome('heavy'))
  const ids = users.map((userId) => sequenceIdOf('w', 'heavy', userId))
  for (const id of ids) {
    await put(
      topics.engagements.name,
      await Promise.all(Array.from({ length: 24 }, async (_, n) => ({ key: 'any', value: await reportBytes(large(id, n)) }))),
    )
  }
  await eventually(async () => (await early('sequence_id = ANY($1)', [ids])) === 72, { withinMs: 60_000 })
  await put(
    topics.sends.name,
    await Promise.all(users.map(async (userId) => ({ key: 'any', value: await sendBytes(sendRequested('everywhere', 'heavy', userId)) }))),
  )
  await eventually(() => ids.every((id) => storyOf(id).events.filter(({ type }) => type === 'EngagementRecorded').length === 24), {
    withinMs: 60_000,
  })
  // Decided by one clock each: not all in one turn.
  expect(new Set(ids.map((id) => storyOf(id).changes[0]!.recordedAt)).size).toBeGreaterThan(1)
  expect(await early('sequence_id = ANY($1)', [ids])).toBe(0)
  await goesOn()
})

it('of one sequence that is not known no more is kept than there can be facts of; repetitions cost no room', async () => {
  const sequenceId = sequenceIdOf('w', 'flood', userAtHome('flood'))
  const reports = Array.from({ length: 5 }, (_, step) =>
    channelTypes.flatMap((channelType) => kinds.map((kind) => engagementReported(messageIdOf(sequenceId, step + 1, channelType), kind))),
  ).flat()
  expect(reports.length).toBeGreaterThan(maxEarlyOfSequence)
  const records = async (of: readonly EngagementReported[], key: string): Promise<RawRecord[]> =>
    Promise.all(of.map(async (report) => ({ key, value: await reportBytes(report) })))
  const fits = reports.slice(0, maxEarlyOfSequence)
  await put(topics.engagements.name, await records([...fits, ...fits], 'fits'))
  await put(topics.engagements.name, await records(reports.slice(maxEarlyOfSequence), 'too many'))
  // The rival has room of its own.
  await put(topics.engagements.name, await records([{ ...reports[0]!, workspaceId: 'rival' }], 'rival'))
  await put(topics.engagements.name, await records(fits, 'fits'))
  await goesOn()
  await eventually(() => reasonsOf('too many').length === reports.length - maxEarlyOfSequence)
  expect(new Set(reasonsOf('too many'))).toEqual(new Set(['too_many_early']))
  expect(reasonsOf('fits')).toEqual([])
  expect(await early('sequence_id = $1', [sequenceId])).toBe(maxEarlyOfSequence + 1)
})

it('4,000 reports of sequences not known are kept by a turn or two, and a neighbour does not wait for them', async () => {
  const before = await early()
  const records = await Promise.all(
    Array.from({ length: 4_000 }, async (_, n) => ({
      key: 'any',
      value: await reportBytes(
        engagementReported(messageIdOf(sequenceIdOf('w', `unknown-${n}`, userAtHome(`unknown-${n}`)), 1, 'in_app'), 'viewed'),
      ),
    })),
  )
  const startedAt = Date.now()
  await put(topics.engagements.name, records)
  await eventually(async () => (await early()) - before === 4_000)
  console.info(`4,000 early reports kept ${Date.now() - startedAt} ms after they were produced`)
  await goesOn()
})

it('a producer’s clock ahead of ours counts as the moment its record arrived, of sends and of reports, early ones too', async () => {
  const ahead = Date.now() + 3_600_000
  const userId = userAtHome('ahead')
  const sequenceId = sequenceIdOf('w', 'ahead', userId)
  await putReport(engagementReported(messageIdOf(sequenceId, 1, 'in_app'), 'delivered', { occurredAt: ahead }))
  await eventually(async () => (await early('sequence_id = $1', [sequenceId])) === 1)
  const keptAt = Date.now()
  await put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('order', 'ahead', userId, { requestedAt: ahead })) }])
  await eventually(() => has(sequenceId, 'SequenceStarted'))
  await putReport(engagementReported(messageIdOf(sequenceId, 1, 'in_app'), 'requested', { occurredAt: ahead }))
  await eventually(() => storyOf(sequenceId).events.filter(({ type }) => type === 'EngagementRecorded').length === 2)
  for (const { recordedAt, events } of storyOf(sequenceId).changes) {
    for (const event of events) {
      if (event.type === 'SequenceStarted') expect(Number(event.requestedAt)).toBe(recordedAt)
      if (event.type === 'EngagementRecorded')
        expect(Number(event.occurredAt)).toBeLessThanOrEqual(event.kind === 'delivered' ? keptAt : recordedAt)
    }
  }
  // One that is behind is told as it was told.
  const behind = userAtHome('behind')
  await produceSends(connection, [sendRequested('order', 'behind', behind, { requestedAt: 1_000 })])
  await eventually(() => has(sequenceIdOf('w', 'behind', behind), 'SequenceStarted'))
  expect(storyOf(sequenceIdOf('w', 'behind', behind)).events[0]).toMatchObject({ requestedAt: 1_000 })
})

it('whatever reports and headers are drawn: each is applied, kept or put aside, and the neighbours go on', async () => {
  const text = fc.string({
    unit: fc.oneof(fc.constantFrom('\0', '\u0001', '\\', '"', '\u2028', '한', '👋', '\ufffd'), fc.string({ minLength: 1, maxLength: 1 })),
    maxLength: 12,
  })
  const drawn = fc.sample(
    fc.record({
      report: fc.record({
        workspaceId: fc.constantFrom('w', 'rival'),
        kind: fc.constantFrom(...kinds),
        source: text,
        reason: fc.option(text),
        providerMessageId: fc.option(text),
        detail: fc.dictionary(text, text, { maxKeys: 3 }),
        step: fc.constantFrom(1, 2, 999),
        channelType: fc.constantFrom(...channelTypes),
        occurredAt: fc.oneof(fc.constantFrom(...Object.values(odd)), fc.integer({ min: 0, max: Date.UTC(2199, 11, 31) })),
      }),
      headers: fc.dictionary(text, fc.uint8Array({ maxLength: 20 }), { maxKeys: 3 }),
      known: fc.boolean(),
    }),
    { numRuns: 300, seed: 20_261_129 },
  )
  const userId = userAtHome('drawn')
  const known = sequenceIdOf('w', 'drawn', userId)
  await put(topics.sends.name, [{ key: 'any', value: await sendBytes(sendRequested('everywhere', 'drawn', userId)) }])
  await eventually(() => has(known, 'StepCommanded'))
  let refused = 0
  const records: RawRecord[] = []
  for (const {
    report: { step, channelType, ...rest },
    headers,
    known: isKnown,
  } of drawn) {
    const sequenceId = isKnown ? known : sequenceIdOf('w', 'drawn', userAtHome('drawn'))
    const report: EngagementReported = { ...rest, messageId: messageIdOf(sequenceId, step, channelType) }
    const value = await reportBytes(report)
    if (engagementProblem(report)) refused++
    records.push({
      key: 'drawn',
      value,
      headers: Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, Buffer.from(bytes)])),
    })
  }
  await put(topics.engagements.name, records)
  await goesOn()
  expect(refused).toBeGreaterThan(50)
  expect(refused).toBeLessThan(290)
  const invalid = (): number => reasonsOf('drawn').filter((reason) => reason!.startsWith('invalid_')).length
  await eventually(() => invalid() >= refused)
  expect(invalid()).toBe(refused)
})
