// What the last release wrote stays readable: its schemas resolve to today's, its records decode, topic by topic.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as avro from 'avsc'
import { avroTypes } from './codec'
import { RecordDecoder } from './recordDecoder'
import { subjectOf, topics, type RecordName } from './topics'

const folder = join(__dirname, '..', 'released')
const read = (file: string): string => readFileSync(join(folder, file), 'utf8')

interface Released {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

const schemas = JSON.parse(read('schemas.json')) as Readonly<Record<string, { readonly subject: string; readonly schema: avro.Schema }>>
const records = read('records.jsonl')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line) as Released)
const all = Object.values(topics)

it('holds a schema and records of every topic', () => {
  for (const { name } of all) {
    // Topics that share a record share its schema.
    const { record } = all.find((topic) => topic.name === name)!
    expect(Object.values(schemas).map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(
        all
          .filter((topic) => topic.record === record)
          .map((topic) => subjectOf(topic.name))
          .slice(-1),
      ),
    )
  }
  expect(new Set(records.map(({ topic }) => topic))).toEqual(
    new Set([...all.map(({ name }) => name), ...records.filter(({ topic }) => topic.includes('dead-letters')).map(({ topic }) => topic)]),
  )
})

it.each(all.map((topic) => [topic.name, topic.record] as const))(
  '%s: every record of the last release is read as %s',
  async (name, record: RecordName) => {
    const decoder = new RecordDecoder(record, async (id) => schemas[id]?.schema ?? null)
    const values = records.filter(({ topic, value }) => topic === name && value !== null)
    expect(values.length).toBeGreaterThan(0)
    for (const { value } of values) {
      const decoded = await decoder.decode(Buffer.from(value!, 'base64'))
      expect(avroTypes[record].isValid(decoded)).toBe(true)
    }
  },
)
