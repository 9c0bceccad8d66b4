// Avro written by hand: what a library would write where it can, and what none would where it cannot.
import { avroSchemas, avroTypes, type RecordName } from '@stepcast/contracts'
import { avroBytes, Entries, Place, Random, type Schema } from '@stepcast/chaos'
import { allTopics, Bases } from './records'

const bases = new Bases(
  'spec',
  new Random(3),
  () => 1_800_000_000_000,
  () => ({ sequences: [], foreign: [] }),
  3,
)

it.each(allTopics.map((topic) => [topic.name, topic] as const))('a good record of %s is read as what it is', (_, topic) => {
  for (let i = 0; i < 10; i++) {
    const { value } = bases.of(topic)
    const bytes = avroBytes(avroSchemas[topic.record as RecordName] as Schema, value)
    expect(bytes.equals(avroTypes[topic.record as RecordName].toBuffer(avroTypes[topic.record as RecordName].fromBuffer(bytes)))).toBe(true)
    expect(avroTypes[topic.record as RecordName].fromBuffer(bytes)).toMatchObject(JSON.parse(JSON.stringify(value)))
  }
})

it('writes what no library would', () => {
  expect(avroBytes('string', Buffer.from([0xff])).toString('hex')).toBe('02ff')
  expect(avroBytes('long', 9_223_372_036_854_775_807n).toString('hex')).toBe('feffffffffffffffff01')
  expect(avroBytes(['null', 'string'], new Place(7)).toString('hex')).toBe('0e')
  expect(
    avroBytes(
      { type: 'map', values: 'string' },
      new Entries([
        ['a', '1'],
        ['a', '2'],
      ]),
    ).toString('hex'),
  ).toBe('040261023102610232' + '00')
})
