import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as avro from 'avsc'
import {
  avroSchemas,
  avroTypeFor,
  avroTypes,
  CodecError,
  dataSchemaOf,
  encodeRecord,
  RecordDecoder,
  type SendRequested,
  type SequenceChanged,
} from './index'

const released = join(__dirname, '..', 'avro', 'released')
const releases = readdirSync(released, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const send: SendRequested = {
  workspaceId: 'w',
  sendId: 's',
  userId: 'u',
  templateId: 't',
  templateVersion: null,
  campaignId: null,
  variables: { a: 'b' },
  tag: null,
  source: 'http',
  requestedAt: 5,
}

describe.each(releases)('records of release %s', (release) => {
  const files = readdirSync(join(released, release)).filter((file) => file.endsWith('.avsc'))

  it.each(files)('%s are read by today’s schema', (file) => {
    const written = JSON.parse(readFileSync(join(released, release, file), 'utf8')) as { name: keyof typeof avroTypes }
    const writer = avro.Type.forSchema(written as never, { wrapUnions: 'auto' })
    const resolver = avroTypes[written.name].createResolver(writer)
    // Fifty random records, so that every branch of every union comes up.
    for (let i = 0; i < 50; i++) {
      const bytes = writer.toBuffer(writer.random())
      expect(avroTypes[written.name].fromBuffer(bytes, resolver)).toBeTruthy()
    }
  })
})

it('an incompatible change would be noticed: a field made required cannot be read from what is out there', () => {
  const { fields, ...rest } = avroSchemas.SendRequested
  const narrower = { ...rest, fields: [...fields, { name: 'price', type: 'long' }] }
  expect(() => avroTypeFor(narrower).createResolver(avro.Type.forSchema(avroSchemas.SendRequested as never))).toThrow(/price/)
})

it('records come back as they were written, their tagged unions with a type', async () => {
  const decoder = new RecordDecoder('SequenceChanged', async () => avroSchemas.SequenceChanged)
  const value: SequenceChanged = {
    workspaceId: 'w',
    sequenceId: 'i',
    version: 1,
    logPartition: 0,
    logPosition: 1,
    sendId: 's',
    userId: 'u',
    templateId: 't',
    templateVersion: 1,
    campaignId: null,
    recordedAt: 9,
    events: [
      {
        type: 'SequenceStarted',
        steps: [{ channels: ['push'], stopCondition: null, windowMs: null }],
        onFailure: 'advance',
        lateSignal: 'stop',
        tag: null,
        source: 'http',
        requestedAt: 1,
        dispatchTtlMs: 2,
      },
      { type: 'SequenceEnded', outcome: 'cancelled', step: null, engagement: null },
    ],
  }
  expect(JSON.parse(JSON.stringify(await decoder.decode(encodeRecord('SequenceChanged', 3, value))))).toEqual(value)
})

it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__', ''])(
  'a variable called %j comes back, by our own schema and by the registry’s',
  async (name) => {
    const variables = JSON.parse(JSON.stringify({ a: 'b', NAME: 'VAL' }).replace('NAME', name)) as Record<string, string>
    const bytes = encodeRecord('SendRequested', 3, { ...send, variables })
    const decoder = new RecordDecoder('SendRequested', async () => avroSchemas.SendRequested)
    for (const decoded of [await decoder.decode(bytes), await decoder.decode(bytes, dataSchemaOf('SendRequested'))]) {
      expect(Object.entries(decoded.variables)).toEqual([
        ['a', 'b'],
        [name, 'VAL'],
      ])
      expect(Object.getPrototypeOf(decoded.variables)).toBe(Object.prototype)
    }
  },
)

it('a map in several blocks of told sizes is read', () => {
  const map = avroTypeFor({ type: 'record', name: 'R', fields: [{ name: 'm', type: { type: 'map', values: 'string' } }] })
  // -1 entry, 4 bytes, "a" = "b"; 1 entry, "c" = "d"; the end.
  expect(map.fromBuffer(Buffer.from([0x01, 0x08, 0x02, 0x61, 0x02, 0x62, 0x02, 0x02, 0x63, 0x02, 0x64, 0x00]))).toEqual({
    m: { a: 'b', c: 'd' },
  })
})

it('a field added since, inside a union of records, gets its default', async () => {
  const old = JSON.parse(JSON.stringify(avroSchemas.SequenceChanged)) as {
    fields: { name: string; type: { items: { name: string; fields: { name: string }[] }[] } }[]
  }
  const started = old.fields.find(({ name }) => name === 'events')!.type.items.find(({ name }) => name === 'SequenceStarted')!
  started.fields = started.fields.filter(({ name }) => name !== 'requestedAt' && name !== 'dispatchTtlMs')
  const writer = avro.Type.forSchema(old as never, { wrapUnions: 'auto' })
  const bytes = writer.toBuffer({
    workspaceId: 'w',
    sequenceId: 'i',
    version: 1,
    logPartition: 0,
    logPosition: 1,
    sendId: 's',
    userId: 'u',
    templateId: 't',
    templateVersion: 1,
    campaignId: null,
    recordedAt: 9,
    events: [{ 'stepcast.v1.SequenceStarted': { steps: [], onFailure: 'wait', lateSignal: 'ignore', tag: null, source: 'kafka' } }],
  })
  const decoder = new RecordDecoder('SequenceChanged', async () => old)
  const { events } = await decoder.decode(Buffer.concat([Buffer.from([0, 0, 0, 0, 7]), bytes]))
  expect(events[0]).toMatchObject({ type: 'SequenceStarted', requestedAt: null, dispatchTtlMs: null })
})

it('what cannot be read says why, and the registry is asked once', async () => {
  let asked = 0
  const decoder = new RecordDecoder('SendRequested', async (id) => {
    asked++
    return id === 1 ? avroSchemas.SendRequested : id === 2 ? 'string' : null
  })
  const good = encodeRecord('SendRequested', 1, send)
  expect(await decoder.decode(good)).toMatchObject({ userId: 'u', source: 'http' })
  expect(decoder.decode(good)).toMatchObject({ userId: 'u' })
  const reasons = await Promise.all(
    [
      Buffer.from('x'),
      Buffer.from([0, 0, 0, 0, 9, 1]),
      Buffer.from([0, 0, 0, 0, 2, 1]),
      good.subarray(0, 9),
      Buffer.concat([good, Buffer.from([1])]),
    ].map(async (bytes) => {
      try {
        await decoder.decode(bytes)
        return 'read'
      } catch (error) {
        return (error as CodecError).reason
      }
    }),
  )
  expect(reasons).toEqual(['not_avro', 'unknown_schema', 'undecodable', 'undecodable', 'undecodable'])
  expect(asked).toBe(3)
})

it('what cannot be written names the field', () => {
  expect(() => encodeRecord('SendRequested', 1, { ...send, requestedAt: 'now' as never })).toThrow(/requestedAt/)
})
