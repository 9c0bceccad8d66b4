// What is read of a mailbox is taken in parts, and no offset is passed before its input is stored.
import type { RawIncoming } from '@stepcast/kafka'
import { firstOf, restOf, withinBytes } from './portion'

const record = (offset: number, bytes = 10): RawIncoming => ({
  topic: 't',
  partition: 0,
  offset,
  key: null,
  value: Buffer.alloc(bytes),
  headers: {},
  timestamp: 0,
})
const inputs = [3, 4, 9].map((offset) => ({ record: record(offset) }))

it('a part reaches as far as the next input, and the whole to the end: records between are no inputs of ours', () => {
  const portion = { inputs, nextOffset: 12 }
  expect(firstOf(portion, 2)).toEqual({ inputs: inputs.slice(0, 2), nextOffset: 9 })
  expect(firstOf(portion, 3)).toBe(portion)
  expect(restOf(portion, 9)).toEqual({ inputs: inputs.slice(2), nextOffset: 12 })
  expect(restOf(portion, 12)).toBeNull()
})

it('records are taken up to so many bytes, one at least', () => {
  const waiting = { records: [record(1, 60), record(2, 60), record(5, 60)], nextOffset: 8 }
  expect(withinBytes(waiting, 130)).toEqual({ records: waiting.records.slice(0, 2), nextOffset: 5 })
  expect(withinBytes(waiting, 1)).toEqual({ records: waiting.records.slice(0, 1), nextOffset: 2 })
  expect(withinBytes(waiting, 180)).toBe(waiting)
})
