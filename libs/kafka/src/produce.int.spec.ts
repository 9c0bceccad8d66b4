// Where records go and what is on them, as the broker and another client see it.
import { Kafka, Partitioners, type KafkaMessage } from 'kafkajs'
import { dataSchemaOf, deadLetterTopic, topics, type CancelRequested } from '@stepcast/contracts'
import { eventually, specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import { consumeRecords, maxChunkBytes, type EncodedBatch, type KafkaConnection, type RawRecord } from './index'

let stack: SpecStack
let kafka: Kafka
beforeAll(async () => {
  stack = await specStack(__filename)
  kafka = new Kafka({ brokers: stack.env.KAFKA_BROKERS!.split(','), logLevel: 0 })
})
afterAll(() => stack.stop())

type Seen = KafkaMessage & { readonly partition: number }

/** What a topic holds beyond the given ends, as the client's own consumer reads it. */
async function readBeyond(connection: KafkaConnection, topicName: string, before: ReadonlyMap<number, number>): Promise<readonly Seen[]> {
  const wanted = [...(await connection.endOffsets(topicName))].reduce((sum, [partition, end]) => sum + end - before.get(partition)!, 0)
  const seen: Seen[] = []
  const consumer = kafka.consumer({ groupId: connection.physical(`spec-${process.hrtime.bigint()}`), maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: [connection.physical(topicName)], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      if (Number(message.offset) >= before.get(partition)!) seen.push({ ...message, partition })
    },
  })
  await eventually(() => seen.length >= wanted)
  await consumer.disconnect()
  return seen.sort((a, b) => a.partition - b.partition || Number(a.offset) - Number(b.offset))
}

const textOf = (headers: KafkaMessage['headers']): Record<string, string> =>
  Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]))

const cancel = (cancelId: string): CancelRequested => ({
  cancelId,
  workspaceId: 'w',
  scope: 'send',
  id: 's',
  requestedBy: 'spec',
  requestedAt: 1,
})

it('a key has the partition that other clients give it, whatever it is made of', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  const before = await connection.endOffsets(topics.sends.name)
  const keys = Array.from({ length: 3_000 }, (_, n) =>
    n % 3 === 0 ? `키-${'x'.repeat(n % 300)}${n}` : n % 3 === 1 ? Buffer.from([n & 0xff, n >> 8, 0xff, 0]) : `key ${n}`,
  )
  keys.push('', 'k'.repeat(1_000))
  await producer.sendRaw(
    topics.sends.name,
    keys.map((key, n) => ({ key, value: Buffer.from(String(n)) })),
  )
  const choose = Partitioners.DefaultPartitioner()
  const partitionMetadata = Array.from({ length: specPartitions }, (_, partitionId) => ({
    partitionId,
    leader: 1,
    partitionErrorCode: 0,
    replicas: [1],
    isr: [1],
  }))
  const seen = await readBeyond(connection, topics.sends.name, before)
  expect(seen).toHaveLength(keys.length)
  const expected = keys.map((key) => choose({ topic: 't', partitionMetadata, message: { key, value: null } }))
  expect(new Set(expected).size).toBe(specPartitions)
  for (const { value, key, partition } of seen) {
    const wanted = keys[Number(String(value))]!
    expect(key!.equals(Buffer.from(wanted as string))).toBe(true)
    expect(partition).toBe(expected[Number(String(value))])
  }
})

it('records without key are spread evenly, one with a partition of its own goes there', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  const before = await connection.endOffsets(topics.sends.name)
  // One at a time and several at once.
  for (let n = 0; n < specPartitions; n++) await producer.sendRaw(topics.sends.name, [{ key: null, value: Buffer.from('v') }])
  await producer.sendRaw(
    topics.sends.name,
    Array.from({ length: specPartitions * 2 }, () => ({ key: null, value: Buffer.from('v') })),
  )
  const spread = await connection.endOffsets(topics.sends.name)
  for (const [partition, end] of spread) expect(end - before.get(partition)!).toBe(3)
  for (let partition = 0; partition < specPartitions; partition++)
    await producer.sendRaw(topics.sends.name, [{ key: 'same', value: null, partition }])
  for (const [partition, end] of await connection.endOffsets(topics.sends.name)) expect(end - spread.get(partition)!).toBe(1)
})

it('every record says what it is; what the sender gives takes the place of what would be there', async () => {
  const connection = stack.connection('speaker')
  const producer = await connection.producer()
  const before = await connection.endOffsets(topics.controls.name)
  await producer.send(topics.controls, [
    { key: 'a', value: cancel('a'), partition: 0 },
    { key: 'b', value: cancel('b'), partition: 0, headers: { traceparent: 'given', note: 'é' } },
    { key: 'c', value: cancel('c'), partition: 0, headers: { ce_type: 'other', ce_id: 'mine' } },
    { key: 'd', value: null, partition: 0 },
  ])
  const seen = await readBeyond(connection, topics.controls.name, before)
  const common = {
    ce_specversion: '1.0',
    ce_type: 'stepcast.v1.CancelRequested',
    ce_source: '/speaker',
    'content-type': 'application/avro',
    ce_dataschema: dataSchemaOf('CancelRequested'),
  }
  const own = {
    ce_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    ce_time: new Date(Number(seen[0]!.timestamp)).toISOString().replace(/\d\dZ$/, ''),
  }
  const headers = seen.map((record) => textOf(record.headers))
  for (const { ce_time: time } of headers) expect(Math.abs(Date.parse(time!) - Number(seen[0]!.timestamp))).toBeLessThan(1_000)
  const traceparent = expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  const ce_time = expect.any(String)
  expect(headers).toEqual([
    { ...common, ce_id: own.ce_id, ce_time, traceparent },
    { ...common, ce_id: own.ce_id, ce_time, traceparent: 'given', note: 'é' },
    { ...common, ce_id: 'mine', ce_time, traceparent, ce_type: 'other' },
    { ...common, ce_id: own.ce_id, ce_time, traceparent },
  ])
  expect(new Set(headers.map((each) => each.ce_id)).size).toBe(4)
  expect(new Set(headers.map((each) => each.traceparent)).size).toBe(4)
  expect(seen.map(({ key, value }) => [String(key), value === null])).toEqual([
    ['a', false],
    ['b', false],
    ['c', false],
    ['d', true],
  ])
})

it('nothing is written when one record does not fit its schema, and the error names the field', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  const before = await connection.endOffsets(topics.controls.name)
  const wrong = { ...cancel('x'), requestedAt: 'now' as unknown as number }
  const large = Array.from({ length: 3_000 }, (_, n) => ({ key: `k${n}`, value: { ...cancel(`c${n}`), id: 'x'.repeat(500) } }))
  await expect(producer.send(topics.controls, [...large, { key: 'k', value: wrong }])).rejects.toMatchObject({
    reason: 'unencodable',
    retriable: false,
    message: expect.stringContaining('requestedAt'),
  })
  expect(await connection.endOffsets(topics.controls.name)).toEqual(before)
})

it('a key keeps its order over many requests, none of them larger than a chunk unless a single record is', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  const before = await connection.endOffsets(topics.engagements.name)
  const records: RawRecord[] = Array.from({ length: 4_000 }, (_, n) => ({
    key: `k${n % 50}`,
    value: Buffer.alloc((n * 37) % 900, 1),
    headers: { n: String(n), more: ['1', Buffer.from([0, 255])] },
  }))
  records.splice(2_000, 0, { key: 'k7', value: Buffer.alloc(maxChunkBytes * 2), headers: { n: '1999.5' } })
  const requests: { readonly bytes: number; readonly records: number }[] = []
  const write = producer.sendEncoded.bind(producer)
  jest.spyOn(producer, 'sendEncoded').mockImplementation(async (batches: readonly EncodedBatch[]) => {
    requests.push({
      bytes: batches.reduce((sum, { batch }) => sum + batch.size, 0),
      records: batches.reduce((sum, { batch }) => sum + batch.count, 0),
    })
    await write(batches)
  })
  await producer.sendRaw(topics.engagements.name, records)
  expect(requests.filter(({ bytes }) => bytes > maxChunkBytes).map((request) => request.records)).toEqual([1])
  // Full, but for the one before the large record and the last.
  expect(requests.filter(({ bytes }) => bytes < maxChunkBytes - 2_000).length).toBeLessThanOrEqual(2)
  expect(requests.length).toBeGreaterThan(4)
  const seen = await readBeyond(connection, topics.engagements.name, before)
  expect(seen).toHaveLength(records.length)
  for (let key = 0; key < 50; key++) {
    const order = seen.filter((record) => String(record.key) === `k${key}`).map((record) => Number(record.headers!.n))
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(order.length).toBeGreaterThanOrEqual(80)
  }
  expect(seen[0]!.headers!.more).toEqual([Buffer.from('1'), Buffer.from([0, 255])])
})

it('a partition that is not there is an error, not a record lost', async () => {
  const producer = await stack.connection().producer()
  const record = { key: 'k', value: Buffer.from('v') }
  await expect(producer.sendRaw(topics.sends.name, [record, { ...record, partition: specPartitions }])).rejects.toMatchObject({
    retriable: true,
  })
})

it('after the end nothing is sent, and the connection stays closed', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  const send = (): Promise<void> => producer.sendRaw(topics.sends.name, [{ key: 'k', value: Buffer.from('v') }])
  await send()
  await connection.close()
  const ends = await stack.connection().endOffsets(topics.sends.name)
  await expect(send()).rejects.toMatchObject({ retriable: true })
  expect(await stack.connection().endOffsets(topics.sends.name)).toEqual(ends)
})

it('a record with several headers of one name, with bytes and without a value, becomes a dead letter that has them too', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  const before = await connection.endOffsets(deadLetterTopic.name)
  const headers = { twice: ['1', Buffer.from([0, 255])], nothing: null, text: 'é' } as unknown as NonNullable<RawRecord['headers']>
  await producer.sendRaw(topics.workspaces.name, [{ key: Buffer.from([1, 2]), value: Buffer.from('not avro'), headers }])
  const consumer = await consumeRecords(connection, { topic: topics.workspaces, groupId: 'bad-headers', handle: async () => {} })
  await eventually(async () =>
    [...(await connection.endOffsets(deadLetterTopic.name))].some(([partition, end]) => end > before.get(partition)!),
  )
  await consumer.stop()
  const [letter] = await readBeyond(connection, deadLetterTopic.name, before)
  expect(letter!.key).toEqual(Buffer.from([1, 2]))
  expect(letter!.headers).toMatchObject({
    twice: [Buffer.from('1'), Buffer.from([0, 255])],
    nothing: null,
    text: Buffer.from('é'),
    reason: Buffer.from('not_avro'),
  })
})

it('an open transaction of another producer ends the readable part of a topic', async () => {
  const connection = stack.connection()
  const own = await connection.producer()
  const topicName = topics.engagements.name
  const end = async (): Promise<number> => (await connection.endOffsets(topicName)).get(1)!
  const before = await end()
  const other = kafka.producer({ transactionalId: connection.physical('open'), idempotent: true, maxInFlightRequests: 1 })
  await other.connect()
  const transaction = await other.transaction()
  await transaction.send({ topic: connection.physical(topicName), messages: [{ key: 'k', value: 'v', partition: 1 }] })
  await own.sendRaw(topicName, [{ key: 'k', value: Buffer.from('v'), partition: 1 }])
  expect(await end()).toBe(before)
  await transaction.commit()
  await eventually(async () => (await end()) === before + 3)
  await other.disconnect()
})
