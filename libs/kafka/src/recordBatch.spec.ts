import { crc32c } from './crc32c'
import { RecordBatch, SharedHeaders } from './recordBatch'

/* The client's own encoder is what ours is measured against, byte for byte. */
/* eslint-disable @typescript-eslint/no-require-imports */
const Record = require('kafkajs/src/protocol/recordBatch/record/v0')
const { RecordBatch: clientBatch } = require('kafkajs/src/protocol/recordBatch/v0')
const clientCrc = require('kafkajs/src/protocol/recordBatch/crc32C')
const Long = require('kafkajs/src/utils/long')
/* eslint-enable @typescript-eslint/no-require-imports */

interface Plain {
  key: string | Buffer | null
  value: Buffer | null
  headers: { [name: string]: string | Buffer }
}

const now = 1_763_800_000_000

const ofClient = async (records: readonly Plain[]): Promise<Buffer> =>
  (
    await clientBatch({
      records: records.map((record, index) => Record({ ...record, offsetDelta: index, timestampDelta: 0 })),
      firstTimestamp: now,
      maxTimestamp: now,
      producerId: Long.fromInt(-1),
      producerEpoch: 0,
      firstSequence: 0,
      lastOffsetDelta: records.length - 1,
    })
  ).buffer

const ours = (records: readonly Plain[], initialBytes = 64): Buffer => {
  const batch = RecordBatch.begin(initialBytes)
  for (const { key, value, headers } of records) batch.add(key, value, 0, value?.length ?? 0, headers)
  return batch.finish(now)
}

const records: readonly Plain[] = [
  { key: 'k', value: Buffer.from('v'), headers: {} },
  { key: null, value: Buffer.from('no key'), headers: { a: '1' } },
  { key: 'tombstone', value: null, headers: { 'content-type': 'x', b: Buffer.from([0, 255]) } },
  { key: Buffer.from([1, 2, 3]), value: Buffer.alloc(0), headers: { empty: '' } },
  { key: '사용자-7', value: Buffer.alloc(300, 7), headers: { ce_id: 'é'.repeat(80) } },
  { key: 'large', value: Buffer.alloc(70_000, 1), headers: {} },
]

it('a batch has the very bytes that the client would have written', async () => {
  expect(ours(records).equals(await ofClient(records))).toBe(true)
})

it('also with more records than one byte counts, in a buffer that had to grow', async () => {
  const many = Array.from(
    { length: 9_000 },
    (_, index): Plain => ({ key: `key-${index}`, value: Buffer.from(`value ${index}`), headers: { n: String(index) } }),
  )
  expect(ours(many).equals(await ofClient(many))).toBe(true)
})

it('a header with several values is written once for each, an undefined one not at all', () => {
  const batch = RecordBatch.begin(64)
  batch.add('k', Buffer.from('v'), 0, 1, { a: ['1', Buffer.from('2')], b: undefined, c: '3' })
  const text = batch.finish(now).toString('latin1')
  expect(text.slice(-13)).toBe('\u0006\u0002a\u00021\u0002a\u00022\u0002c\u00023')
})

it('a header without value is one of its own kind, also among several', async () => {
  const batch = RecordBatch.begin(64)
  batch.add('k', Buffer.from('v'), 0, 1, { a: null, b: ['1', null], c: '' })
  // Length -1 is written as 1.
  expect(batch.finish(now).toString('latin1').slice(-14)).toBe('\u0008\u0002a\u0001\u0002b\u00021\u0002b\u0001\u0002c\u0000')
})

it('a record taken back leaves no trace', async () => {
  const batch = RecordBatch.begin(64)
  const add = ({ key, value, headers }: Plain): void => batch.add(key, value, 0, value?.length ?? 0, headers)
  add(records[0]!)
  const before = batch.size
  add(records[5]!)
  batch.takeBack(before)
  add(records[1]!)
  expect(batch.finish(now).equals(await ofClient(records.slice(0, 2)))).toBe(true)
})

it('shared headers follow the own ones', async () => {
  const batch = RecordBatch.begin(64)
  const value = Buffer.from('xxvaluexx')
  batch.add('k', value, 2, 7, { ce_id: '1' }, new SharedHeaders({ ce_type: 't', ce_source: '/s' }))
  expect(
    batch
      .finish(now)
      .equals(await ofClient([{ key: 'k', value: Buffer.from('value'), headers: { ce_id: '1', ce_type: 't', ce_source: '/s' } }])),
  ).toBe(true)
})

it.each([0, 1, 2, 3, 4, 5, 63, 1_000])('the checksum of %i bytes is that of the standard', (length) => {
  const bytes = Buffer.from(Array.from({ length: length + 8 }, (_, index) => (index * 131 + 17) & 0xff))
  expect(crc32c(bytes, 3, 3 + length)).toBe(clientCrc(bytes.subarray(3, 3 + length)))
})

it('the checksum of "123456789" is the check value of CRC-32C', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283)
})
