import { maxMessageBytes } from '@stepcast/contracts'
import { headersOfRecord, letterOf, type RawIncoming } from './deadLetter'
import { RecordBatch } from './recordBatch'

const record = (of: Partial<RawIncoming>): RawIncoming => ({
  topic: 't',
  partition: 3,
  offset: 7,
  key: null,
  value: null,
  headers: {},
  timestamp: 1,
  ...of,
})
const letter = (of: Partial<RawIncoming>, detail = 'why'): ReturnType<typeof letterOf> =>
  letterOf({ record: record(of), reason: 'spec', detail }, maxMessageBytes)
const batchBytes = ({ key, value, headers }: ReturnType<typeof letterOf>): number => {
  const batch = RecordBatch.begin()
  batch.add(key, value, 0, value?.length ?? 0, headers as Record<string, Buffer | string>)
  return batch.finish(1).length
}

it('a record that fits is kept as it is, with its headers', () => {
  const of = { key: Buffer.from('k'), value: Buffer.from('v'), headers: { ce_id: Buffer.from('1'), ['__proto__']: Buffer.from('p') } }
  expect(letter(of)).toMatchObject({ key: of.key, value: of.value })
  expect(Object.entries(letter(of).headers!)).toEqual([
    ['ce_id', Buffer.from('1')],
    ['__proto__', Buffer.from('p')],
    ['topic', 't'],
    ['partition', '3'],
    ['offset', '7'],
    ['reason', 'spec'],
    ['detail', 'why'],
  ])
})

it('headers of a producer that are called like ours say nothing about the letter, and come back with a replay', () => {
  const headers = {
    topic: Buffer.from('x'),
    reason: Buffer.from('y'),
    'not-kept': Buffer.from('z'),
    'value-sha256': Buffer.from('s'),
    other: Buffer.from('o'),
    'original-name': Buffer.from('n'),
  }
  const made = letter({ headers }).headers!
  expect(made).toMatchObject({ topic: 't', partition: '3', offset: '7', reason: 'spec', detail: 'why' })
  expect(made).not.toHaveProperty('not-kept')
  expect(headersOfRecord(made)).toEqual(headers)
})

it.each([
  [{ 'origin-topic': 't', 'origin-partition': '1', 'origin-offset': '2' }, ['t', '1', '2']],
  [{ 'origin-topic': 'stepcast.users.v1', 'origin-partition': '1', 'origin-offset': '2' }, ['t', '3', '7']],
  [{ 'origin-topic': 't', 'origin-partition': 'x', 'origin-offset': '2' }, ['t', '3', '7']],
  [{ 'origin-topic': ['t', 't'], 'origin-partition': '1', 'origin-offset': '2' }, ['t', '3', '7']],
  [{ 'origin-offset': '2' }, ['t', '3', '7']],
])('the origin is where the producer wrote it, and never another topic: %j', (headers, [topic, partition, offset]) => {
  expect(letter({ headers }).headers).toMatchObject({ topic, partition, offset })
})

it('a letter fits the topic, whatever the sizes of key, value and headers; nothing is left out that fits', () => {
  const around = (limit: number): number[] => [limit - 400, limit - 200, limit - 130, limit - 60, limit]
  const sizes = [0, 900, 1_100, ...around(maxMessageBytes), 5 * 1024 * 1024]
  const buffer = Buffer.alloc(5 * 1024 * 1024)
  for (const keyBytes of sizes)
    for (const valueBytes of sizes)
      for (const headerBytes of sizes) {
        const of = {
          key: buffer.subarray(0, keyBytes),
          value: buffer.subarray(0, valueBytes),
          headers: { h: buffer.subarray(0, headerBytes) },
        }
        const made = letter(of)
        // The size alone: writing each would take minutes.
        const bytes = (made.key?.length ?? 0) + (made.value?.length ?? 0) + (made.headers!.h?.length ?? 0)
        expect(bytes).toBeLessThan(maxMessageBytes)
        if (keyBytes + valueBytes + headerBytes <= maxMessageBytes - 400) expect(bytes).toBe(keyBytes + valueBytes + headerBytes)
        const isCut = made.headers!['not-kept'] !== undefined
        expect(isCut).toBe(bytes < keyBytes + valueBytes + headerBytes)
        if (isCut)
          expect(made.headers).toMatchObject({
            'value-bytes': String(valueBytes),
            'value-sha256': expect.stringMatching(/^[0-9a-f]{64}$/) as string,
            detail: expect.stringContaining('not kept: value') as string,
          })
      }
}, 120_000)

it('many small headers count with their names; half of the limit in names is as good as in values', () => {
  const headers = Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`name-of-a-header-${n}-${'x'.repeat(30)}`, '']))
  const made = letter({ headers, value: Buffer.alloc(10) })
  expect(batchBytes(made)).toBeLessThanOrEqual(maxMessageBytes)
  expect(made.headers).toMatchObject({ 'not-kept': 'value, headers', 'value-bytes': '10' })
})

it('a long detail is cut, and a batch that could not be read says that nothing of it is kept', () => {
  expect(String(letter({}, 'x'.repeat(5_000)).headers!.detail).length).toBe(1_001)
  expect(letter({ passed: { first: 5, last: 7, why: 'spec' } })).toMatchObject({
    key: null,
    value: null,
    headers: { 'not-kept': 'batch', offset: '7' },
  })
})
