import { RecordDecoder } from '@stepcast/contracts'
import { decodeAll } from './consume'

it('a record shows each of its headers as text, whatever its name', async () => {
  // A computed name makes `__proto__` a field like any other.
  const headers = { traceparent: Buffer.from('00-1'), ['__proto__']: Buffer.from('é'), constructor: Buffer.from('c'), twice: [Buffer.from('1'), '2'] }
  const raw = { topic: 't', partition: 0, offset: 7, key: null, value: null, headers, timestamp: 1 }
  const decoder = new RecordDecoder('CancelRequested', () => Promise.reject(new Error('there is no value')))
  const { records } = await decodeAll(decoder, [raw], { keyRequired: false, tombstones: true })
  const shown = records[0]!.headers
  expect(Object.entries(shown)).toEqual([['traceparent', '00-1'], ['__proto__', 'é'], ['constructor', 'c'], ['twice', '1,2']])
  expect(Object.getPrototypeOf(shown)).toBe(Object.prototype)
  expect([records[0]!.header('__proto__'), records[0]!.header('traceparent'), records[0]!.header('other')]).toEqual(['é', '00-1', null])
  expect(headers.traceparent).toEqual(Buffer.from('00-1'))
})
