// Whatever a change of the log holds, it is folded: arbitrary values of its schema go into the real tables, and neighbours count right.
import fc from 'fast-check'
import type { Pool } from 'pg'
import { avroSchemas, avroTypes, sequenceIdOf, type SequenceChanged } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { createPool, migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { AsOf } from './asOf'
import { changeProblem } from './asItStands'
import { foldBatch, foldSettings } from './fold'
import { gather } from './gather'
import { readSent, readTemplate } from './read'
import { migrations, schema } from './tables'

let stack: SpecStack
let pool: Pool
beforeAll(async () => {
  stack = await specStack(__filename)
  await migrate({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec', migrations })
  pool = createPool({ databaseUrl: stack.databaseUrl, schema, applicationName: 'spec', settings: foldSettings })
})
afterAll(async () => {
  await pool?.end()
  await stack?.stop()
})

// ── Values by the schema ──────────────────────────────────────────────────────────────────────────────────────────────────

type Node =
  | string
  | readonly Node[]
  | {
      type: Node
      name?: string
      fields?: { name: string; type: Node }[]
      items?: Node
      values?: Node
      symbols?: string[]
    }

const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('', 'a\0b', '\0', 'in_app', 'a b:c', '"\\{},', '에스엠에스'),
)
const int = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 3 }))
// The codec's bounds of a long.
const widest = Number.MAX_SAFE_INTEGER - 1
const long = fc.oneof(
  fc.integer({ min: -widest, max: widest }),
  fc.constantFrom(Date.now() * 1_000, 8.9e15, -6.3e13, -1, 0, widest, -widest),
)

function valueOf(node: Node, names: Map<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  if (typeof node === 'string') {
    const simple: Record<string, fc.Arbitrary<unknown>> = { string: text, int, long, null: fc.constant(null) }
    return simple[node] ?? names.get(node)!
  }
  if (Array.isArray(node)) {
    return fc.oneof(
      ...node.map((one: Node) => {
        const isEvent = typeof one === 'object' && !Array.isArray(one) && (one as { type: Node }).type === 'record'
        return isEvent
          ? valueOf(one, names).map((value) => ({ type: (one as { name: string }).name, ...(value as object) }))
          : valueOf(one, names)
      }),
    )
  }
  const { type, name, fields, items, values, symbols } = node as Exclude<Node, string | readonly Node[]>
  switch (type) {
    case 'record':
      return fc.record(Object.fromEntries(fields!.map((field) => [field.name, valueOf(field.type, names)])))
    case 'enum': {
      const found = fc.constantFrom(...symbols!)
      names.set(name!, found)
      return found
    }
    case 'array':
      return fc.array(valueOf(items!, names), { maxLength: 4 })
    case 'map':
      return fc.dictionary(text, valueOf(values!, names), { maxKeys: 2 })
    default:
      return valueOf(type, names)
  }
}

// A few sequences, so that later changes find what earlier ones left; positions in order, as the log has them.
const ids = Array.from({ length: 5 }, (_, n) => sequenceIdOf('demo', 'arbitrary', `user-${n}`))
const anyChange = fc
  .tuple(valueOf(avroSchemas.SequenceChanged as unknown as Node, new Map()), fc.constantFrom(...ids), fc.integer({ min: 1, max: 3 }))
  .map(([change, sequenceId, version]): SequenceChanged => ({ ...(change as SequenceChanged), sequenceId, version }))

it('folds whatever the schema allows', async () => {
  let position = 0
  await fc.assert(
    fc.asyncProperty(fc.array(anyChange, { minLength: 1, maxLength: 12 }), async (changes) => {
      const log = changes.map((change) => ({ ...change, logPartition: 0, logPosition: ++position }))
      // What Kafka would have brought: half pairs, for one, do not survive the wire.
      const read = log.map((change) => avroTypes.SequenceChanged.fromBuffer(avroTypes.SequenceChanged.toBuffer(change)) as SequenceChanged)
      const { folded, unknown } = await foldBatch(
        pool,
        0,
        read.filter((change) => changeProblem(change) === null),
        position,
      )
      expect(folded + unknown).toBe(log.length)
    }),
    { numRuns: 150 },
  )
  await gather(pool, 'infinity')
  const { rows } = await pool.query(
    `SELECT (SELECT sum(n) FROM counts WHERE name = 'recipients') AS counted, (SELECT count(*) FROM sequences) AS stored`,
  )
  expect(Number(rows[0].counted)).toBe(rows[0].stored)
  expect(rows[0].stored).toBe(5)
})

// ── The inputs that were found ────────────────────────────────────────────────────────────────────────────────────────────

const recordedAt = Date.UTC(2026, 10, 28, 12)
const started = (sequenceId: string, partition: number, logPosition: number, requestedAt: number, sendId = 'micro'): SequenceChanged => ({
  workspaceId: 'demo',
  sequenceId,
  version: 1,
  logPartition: partition,
  logPosition,
  sendId,
  userId: 'ada',
  templateId: 'micro',
  templateVersion: 1,
  campaignId: null,
  recordedAt,
  events: [
    {
      type: 'SequenceStarted',
      steps: [],
      onFailure: 'advance',
      lateSignal: 'stop',
      tag: null,
      source: 'kafka',
      requestedAt,
      dispatchTtlMs: null,
    },
  ],
})

let positionOfPartition1 = 0
it.each([
  ['microseconds', recordedAt * 1_000, recordedAt],
  ['a year nobody can write', 8.9e15, recordedAt],
  ['an hour ahead', recordedAt + 3_600_000, recordedAt],
  ['before year 1', -6.3e13, 0],
  ['a second before', recordedAt - 1_000, recordedAt - 1_000],
])('a send asked for at %s is counted, and asked for at a time that can be', async (words, requestedAt, stored) => {
  const sendId = `send ${words}`
  await foldBatch(pool, 1, [started(sequenceIdOf('demo', sendId, 'ada'), 1, ++positionOfPartition1, requestedAt, sendId)], 1)
  const sent = await readSent(pool, 'send', 'demo', sendId)
  expect(sent!.requestedAt.getTime()).toBe(stored)
  expect(sent!.counts.of(0, '', 'recipients')).toBe(1)
})

describe('a batch', () => {
  const log = Array.from({ length: 6 }, (_, n) => started(sequenceIdOf('demo', 'parts', `user-${n}`), 2, n + 1, recordedAt, 'parts'))
  const counted = async (): Promise<number> => (await readSent(pool, 'send', 'demo', 'parts'))?.counts.of(0, '', 'recipients') ?? 0
  const next = async (): Promise<number> => (await pool.query('SELECT next_offset FROM positions WHERE partition = 2')).rows[0].next_offset

  it('may come in parts, one of them set aside: its neighbours count once, and what is missing is told', async () => {
    expect(await foldBatch(pool, 2, log.slice(0, 2), 2)).toEqual({ folded: 2, unknown: 0, gap: null })
    // The third was put on the dead letters; nothing is left of its part.
    expect(await foldBatch(pool, 2, [], 3)).toEqual({ folded: 0, unknown: 0, gap: null })
    expect(await next()).toBe(3)
    expect(await foldBatch(pool, 2, log.slice(3), 6)).toEqual({ folded: 3, unknown: 0, gap: [3, 3] })
    expect(await foldBatch(pool, 2, log, 6)).toEqual({ folded: 0, unknown: 0, gap: null })
    expect(await counted()).toBe(5)
    expect(await next()).toBe(6)
  })
})

it('counters of past hours are put together, and every number stays what it was', async () => {
  const question = { workspaceId: 'demo', templateId: 'micro', version: null, from: null, to: null }
  const read = async (): Promise<number> => (await readTemplate(pool, question, Date.now())).of(0, '', 'recipients')
  const before = await read()
  expect(before).toBeGreaterThan(5)
  expect(await gather(pool, new Date(recordedAt))).toBe(0)
  expect(await gather(pool, new Date(recordedAt + 3_600_000))).toBeGreaterThan(0)
  expect(await read()).toBe(before)
  expect((await pool.query(`SELECT count(*) AS n FROM counts_by_partition WHERE template_id = 'micro'`)).rows[0].n).toBe(0)
  await foldBatch(pool, 3, [started(sequenceIdOf('demo', 'late', 'ada'), 3, 1, recordedAt, 'late')], 1)
  expect(await read()).toBe(before + 1)
})

it('a partition whose first batch was never folded is complete up to its first record, not since 1970', async () => {
  const broken = { ...started(sequenceIdOf('demo', 'broken', 'ada'), 4, 1, recordedAt), events: null as never }
  await expect(foldBatch(pool, 4, [broken], 1)).rejects.toThrow()
  const connection = { endOffsets: async () => new Map([[4, 1]]) } as unknown as KafkaConnection
  expect((await new AsOf(connection, pool).now()).getTime()).toBe(recordedAt - 1)
})
