import { RecordDecoder } from '@stepcast/contracts'
import { decodeAll } from './consume'

it('a record shows each of its headers as text, whatever its name', async () => {
  // A computed name makes `__proto__` a field like any other.
  const headers = {
    traceparent: Buffer.from('00-1'),
    ['__proto__']: Buffer.from('é'),
    constructor: Buffer.from('c'),
    twice: [Buffer.from('1'), '2'],
  }
  const raw = { topic: 't', partition: 0, offset: 7, key: null, value: null, headers, timestamp: 1 }
  const decoder = new RecordDecoder('CancelRequested', () => Promise.reject(new Error('there is no value')))
  const { records } = await decodeAll(decoder, [raw], { keyRequired: false, tombstones: true })
  const shown = records[0]!.headers
  expect(Object.entries(shown)).toEqual([
    ['traceparent', '00-1'],
    ['__proto__', 'é'],
    ['constructor', 'c'],
    ['twice', '1,2'],
  ])
  expect(Object.getPrototypeOf(shown)).toBe(Object.prototype)
  expect(headers.traceparent).toEqual(Buffer.from('00-1'))
})

it('a trace travels on only where it is one: what is none could not be stored, and nobody could follow it', async () => {
  const good = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`
  const wrong = [
    '',
    '00-1',
    `${good}\0`,
    good.toUpperCase(),
    good.replace('ab'.repeat(16), '0'.repeat(32)),
    'x'.repeat(100_000),
    ['00-1', good],
  ]
  const decoder = new RecordDecoder('CancelRequested', () => Promise.reject(new Error('there is no value')))
  const raws = [good, ...wrong].map((traceparent) => ({
    topic: 't',
    partition: 0,
    offset: 7,
    key: null,
    value: null,
    headers: { traceparent },
    timestamp: 1,
  }))
  const { records } = await decodeAll(decoder, [...raws, { ...raws[0]!, headers: {} }], { keyRequired: false, tombstones: true })
  expect(records.map(({ traceparent }) => traceparent)).toEqual([good, ...wrong.map(() => null), null])
})
