// Mutations: the same seed gives the same records, every kind occurs, and none of them is the neighbour's or the orchestrator's own.
import { batchOf, Entries, Random, type Schema } from '@stepcast/chaos'
import { avroSchemas, avroTypes, topics, type RecordName, type Topic } from '@stepcast/contracts'
import { fieldMutations } from './boundaries'
import { families, idHeader, Mutator, type Shot } from './mutate'
import { allTopics, Bases, neighbour } from './records'

const schemaIds = new Map(allTopics.map(({ name }, index) => [name, index + 1]))
const foreign = ['11111111-1111-5111-8111-111111111111.1.in_app']

const mutator = (seed: number): Mutator =>
  new Mutator({
    random: new Random(seed),
    run: `s${seed}`,
    partitions: 3,
    now: () => 1_800_000_000_000,
    schemaIds,
    known: () => ({ sequences: [], foreign }),
    repeatable: () => [],
  })

const drawn = (seed: number, count: number): Shot[] => {
  const one = mutator(seed)
  return Array.from({ length: count }, () => one.next()).flat()
}

const nameOf = ({ kind, topic, partition, records, expected }: Shot): string =>
  `${kind} ${topic}/${partition} ${expected} ${records.map(({ value, key, headers }) => `${value?.toString('base64').slice(0, 400)} ${key?.length} ${headers.length}`).join()}`

describe('mutations', () => {
  const all = drawn(7, 1_500)

  it('are the same for the same seed, and others for another', () => {
    const again = drawn(7, 200)
    expect(again.map(nameOf)).toEqual(all.slice(0, again.length).map(nameOf))
    expect(drawn(8, 200).map(nameOf)).not.toEqual(again.map(nameOf))
  })

  it('are of every family on every topic they are meant for', () => {
    const seen = new Set(all.map(({ kind }) => kind.split('/')[0]))
    expect(families.filter((family) => !seen.has(family))).toEqual([])
    for (const family of ['bytes', 'fields', 'keys', 'headers', 'codecs', 'schemaIds']) {
      const reached = new Set(all.filter(({ kind }) => kind.startsWith(`${family}/`)).map(({ topic }) => topic))
      expect([family, allTopics.filter(({ name }) => !reached.has(name))]).toEqual([family, []])
    }
  })

  it.each([
    'codecs/gzip',
    'codecs/snappy',
    'codecs/snappy-java',
    'codecs/lz4',
    'codecs/zstd',
    'codecs/corrupt',
    'codecs/unknownCodec',
    'sizes/deadWeight',
    'sizes/gzipped',
    'bursts/early',
    'transactions/goodAborted',
    'transactions/badCommitted',
    'keys/null',
    'keys/nul',
    'headers/originNul',
    'schemaIds/ofAnother',
    'clocks/requestedAt',
    'bytes/null',
    'bytes/flip',
  ])('%s occurs', (kind) => {
    expect(all.some((shot) => shot.kind.startsWith(kind))).toBe(true)
  })

  it('never name the neighbour, and carry their id', () => {
    for (const { id, records } of all)
      for (const { key, value, headers } of records) {
        expect(value?.includes(neighbour) || key?.includes(neighbour)).toBeFalsy()
        expect(headers.some(([name, text]) => name === idHeader && text?.toString() === id)).toBe(true)
      }
  })

  it('never put a change of a position of its own onto the log', () => {
    for (const { records } of all.filter(({ topic }) => topic === topics.sequences.name))
      for (const { value } of records) {
        let position = 0
        try {
          position = (avroTypes.SequenceChanged.fromBuffer(value!.subarray(5), undefined, true) as { logPosition: number }).logPosition
        } catch {
          // It is no change at all.
        }
        expect(position).toBeLessThanOrEqual(0)
      }
  })

  it('come up to the largest batch that a topic takes, and not above it', () => {
    const largest = all
      .filter(({ kind }) => /^sizes\/(value|headers)/.test(kind))
      .map(({ records, front }) => batchOf(records, 0, front).length)
    expect(Math.max(...largest)).toBeLessThanOrEqual(4 * 1024 * 1024)
    expect(Math.min(...largest)).toBeGreaterThan(4 * 1024 * 1024 - 500)
  })
})

describe('boundary values', () => {
  const now = 1_800_000_000_000
  const bases = new Bases(
    'spec',
    new Random(3),
    () => now,
    () => ({ sequences: [], foreign: [] }),
    3,
  )
  const mutationsOf = (topic: Topic) => fieldMutations(avroSchemas[topic.record] as Schema, bases.of(topic).value, now)

  it.each(allTopics.map((topic) => [topic.name, topic] as const))('replace every field of a record of %s', (_, topic) => {
    const paths = mutationsOf(topic).map(({ path }) => path.split(/[#.[]/)[1])
    for (const { name } of (avroTypes[topic.record as RecordName] as unknown as { fields: { name: string }[] }).fields)
      expect(paths).toContain(name)
  })

  it('hold what has stopped a partition before', () => {
    const values = (topic: Topic, field: string): unknown[] =>
      mutationsOf(topic)
        .filter(({ path }) => path.startsWith(`.${field}#`))
        .map(({ value }) => (value as Record<string, unknown>)[field])
    expect(values(topics.sends, 'requestedAt')).toEqual(expect.arrayContaining([now * 1_000, 8.9e15, -6.3e13, 253_402_300_800_000]))
    expect(values(topics.engagements, 'occurredAt')).toEqual(expect.arrayContaining([9e15, -9e15]))
    expect(values(topics.controls, 'requestedBy')).toContain('a\0b')
    expect(values(topics.workspaces, 'settings')).toEqual(expect.arrayContaining(['', '{"a":']))
    expect(values(topics.engagements, 'detail')).toContainEqual(new Entries([['a\0b', 'c']]))
  })
})
