import { avroSchemas, CodecError, dataSchemaOf, encodeRecord, RecordDecoder, topics, type CancelRequested } from '@stepcast/contracts'
import { LosableRegistry } from '@stepcast/testing'
import { decodeAll } from './consume'
import { Registry, RegistryUnavailable } from './registry'

let served: LosableRegistry
let registry: Registry
let clock: jest.SpyInstance<number, []>
let now = Date.now()
const later = (ms: number): void => void (now += ms)
beforeEach(async () => {
  clock = jest.spyOn(Date, 'now').mockImplementation(() => now)
  served = await LosableRegistry.start()
  registry = new Registry({ url: served.url, auth: null })
})
afterEach(async () => {
  clock.mockRestore()
  await served.stop()
})

const cancel: CancelRequested = { cancelId: 'c', workspaceId: 'w', scope: 'send', id: 's', requestedBy: 'spec', requestedAt: 1 }
const ours = { ce_dataschema: Buffer.from(dataSchemaOf('CancelRequested')) }
const raw = (value: Buffer, headers = {}): Parameters<typeof decodeAll>[1][number] => ({
  topic: topics.controls.name,
  partition: 0,
  offset: 0,
  key: null,
  value,
  headers,
  timestamp: 0,
})
const readerOf = (): RecordDecoder<'CancelRequested'> => new RecordDecoder('CancelRequested', registry.schemaById)
/** What becomes of a value: the cancelId, or the reason of its dead letter. */
async function read(decoder: RecordDecoder<'CancelRequested'>, value: Buffer, headers = {}): Promise<string> {
  const { records, letters } = await decodeAll(decoder, [raw(value, headers)], { keyRequired: false, tombstones: false })
  return records[0]?.value?.cancelId ?? letters[0]!.reason
}
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))

describe('a reader', () => {
  it('reads records of ours by the schema they name, whatever the registry says of their id, or while it is away', async () => {
    served.put('other-value', 7, avroSchemas.EngagementReported)
    const decoder = readerOf()
    expect(await read(decoder, encodeRecord('CancelRequested', 7, cancel), ours)).toBe('c')
    expect(await read(decoder, encodeRecord('CancelRequested', 12_345, cancel), ours)).toBe('c')
    served.isAway = true
    expect(await read(readerOf(), encodeRecord('CancelRequested', 1, cancel), ours)).toBe('c')
    expect(served.asked).toEqual([])
    expect(await read(decoder, Buffer.concat([encodeRecord('CancelRequested', 7, cancel), Buffer.from([1])]), ours)).toBe('undecodable')
  })

  it('waits for a registry that has lost its schemas; an id that only its writer knows is a dead letter', async () => {
    const value = encodeRecord('CancelRequested', 5, cancel)
    await expect(read(readerOf(), value)).rejects.toBeInstanceOf(RegistryUnavailable)
    served.putOurs()
    expect(await read(readerOf(), encodeRecord('CancelRequested', 99, cancel))).toBe('unknown_schema')
    served.put('foreign', 99, avroSchemas.EngagementReported)
    expect(await read(readerOf(), encodeRecord('CancelRequested', 99, cancel))).toBe('undecodable')
  })

  it('forgets after half a minute that an id was unknown, or not readable', async () => {
    served.putOurs()
    served.put('foreign', 41, 'string')
    const decoder = readerOf()
    const [unknown, foreign] = [40, 41].map((id) => encodeRecord('CancelRequested', id, cancel)) as [Buffer, Buffer]
    expect([await read(decoder, unknown), await read(decoder, foreign)]).toEqual(['unknown_schema', 'undecodable'])
    served.put('stepcast.controls.v1-value', 40, avroSchemas.CancelRequested)
    served.put('stepcast.controls.v1-value', 41, avroSchemas.CancelRequested)
    expect([await read(decoder, unknown), await read(decoder, foreign)]).toEqual(['unknown_schema', 'undecodable'])
    later(30_000)
    expect([await read(decoder, unknown), await read(decoder, foreign)]).toEqual(['c', 'c'])
  })

  it('notices within half a minute that an id has another meaning, and asks once for all records of that time', async () => {
    // Two more fields in front of ours, both with defaults for readers; the bytes of one read as the other would be nonsense.
    const wider = {
      ...avroSchemas.CancelRequested,
      fields: [{ name: 'note', type: 'string', default: '' }, ...avroSchemas.CancelRequested.fields],
    }
    served.put('stepcast.controls.v1-value', 3, avroSchemas.CancelRequested)
    const decoder = readerOf()
    const old = encodeRecord('CancelRequested', 3, cancel)
    const fresh = Buffer.concat([old.subarray(0, 5), Buffer.from([8]), Buffer.from('note'), old.subarray(5)])
    expect(await read(decoder, old)).toBe('c')
    served.put('stepcast.controls.v1-value', 3, wider)
    later(30_000)
    served.asked.length = 0
    expect(await read(decoder, fresh)).toBe('c')
    for (let n = 0; n < 20; n++) expect(await read(decoder, fresh)).toBe('c')
    expect(served.asked).toEqual(['GET /schemas/ids/3'])
  })

  it('goes on with what it knows while the registry is away or has lost everything', async () => {
    served.putOurs()
    const decoder = readerOf()
    const value = encodeRecord('CancelRequested', 8, cancel)
    expect(await read(decoder, value)).toBe('c')
    served.isAway = true
    later(30_000)
    expect(await read(decoder, value)).toBe('c')
    served.isAway = false
    served.lose()
    later(30_000)
    expect(await read(decoder, value)).toBe('c')
  })
})

describe('a writer', () => {
  it('takes the new id within half a minute of a registry made anew, and never waits for the look', async () => {
    served.putOurs()
    expect(await registry.writerIdOf(topics.sends)).toBe(1)
    served.lose()
    served.putOurs(Object.values(topics).reverse(), 101)
    expect(await registry.writerIdOf(topics.sends)).toBe(1)
    later(30_000)
    expect(await registry.writerIdOf(topics.sends)).toBe(1)
    await settled()
    expect(await registry.writerIdOf(topics.sends)).toBe(111)
  })

  it('asks before it writes after a long rest', async () => {
    served.putOurs()
    expect(await registry.writerIdOf(topics.sends)).toBe(1)
    served.lose()
    served.putOurs(Object.values(topics).reverse(), 101)
    later(3_600_000)
    expect(await registry.writerIdOf(topics.sends)).toBe(111)
  })

  it('waits while the registry does not hold its schema, rather than write an id that may mean something else', async () => {
    served.putOurs()
    await registry.writerIdOf(topics.sends)
    served.lose()
    later(30_000)
    await registry.writerIdOf(topics.sends)
    await settled()
    await expect(registry.writerIdOf(topics.sends)).rejects.toThrow(/does not hold our schema of SendRequested.*set-up/)
    await expect(registry.writerIdOf(topics.sends)).rejects.toMatchObject({ retriable: true })
    served.putOurs(Object.values(topics).reverse(), 101)
    expect(await registry.writerIdOf(topics.sends)).toBe(111)
  })

  it('goes on with the id it knows while the registry is away, asking now and then', async () => {
    served.putOurs()
    await registry.writerIdOf(topics.sends)
    served.isAway = true
    later(3_600_000)
    expect(await registry.writerIdOf(topics.sends)).toBe(1)
    served.asked.length = 0
    for (let n = 0; n < 10; n++) expect(await registry.writerIdOf(topics.sends)).toBe(1)
    served.isAway = false
    served.lose()
    served.putOurs(Object.values(topics).reverse(), 101)
    later(5_000)
    await registry.writerIdOf(topics.sends)
    await settled()
    expect(await registry.writerIdOf(topics.sends)).toBe(111)
  })

  it('a registry that was never reached is an outage, and asked again at once', async () => {
    served.isAway = true
    await expect(registry.writerIdOf(topics.sends)).rejects.toBeInstanceOf(RegistryUnavailable)
    served.isAway = false
    served.putOurs()
    expect(await registry.writerIdOf(topics.sends)).toBe(1)
  })
})

it('what could not be read says so as a CodecError', () => {
  expect(() => readerOf().decode(Buffer.from('x'))).toThrow(CodecError)
})
