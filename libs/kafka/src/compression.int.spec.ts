import { ConfigResourceTypes } from 'kafkajs'
import { RecordDecoder, encodeRecord, topics, type SendRequested } from '@stepcast/contracts'
import { eventually, produceByJava, readDeadLetters, specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import { consumeRecords, decodeAll, Mailboxes, type KafkaConnection, type RawIncoming } from './index'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const sends = topics.sends.name
const send: SendRequested = {
  workspaceId: 'w',
  sendId: 's',
  userId: 'u',
  templateId: 't',
  templateVersion: null,
  campaignId: null,
  variables: { name: 'é'.repeat(500) },
  requestedAt: 1_700_000_000_000,
  source: null,
  tag: null,
}
const perCodec = 100

let stack: SpecStack
let value: Buffer
beforeAll(async () => {
  stack = await specStack(__filename)
  value = encodeRecord('SendRequested', await stack.connection().registry.writerIdOf(topics.sends), send)
})
afterAll(() => stack.stop())

/** Everything on the sends topic, by consumeRecords. */
async function consumed(
  groupId: string,
  until: (keys: readonly string[], places: ReadonlySet<string>) => boolean,
): Promise<readonly string[]> {
  const keys: string[] = []
  const places = new Set<string>()
  const consumer = await consumeRecords(stack.connection(), {
    topic: topics.sends,
    groupId,
    handle: async (records) => {
      for (const record of records) {
        expect(record.value).toMatchObject({ sendId: 's', variables: send.variables })
        // At least once: a batch may come again.
        if (!places.has(`${record.partition} ${record.offset}`)) keys.push(record.key!)
        places.add(`${record.partition} ${record.offset}`)
      }
    },
  })
  await eventually(() => until(keys, places))
  await consumer.stop()
  return keys
}

/** Likewise by mailboxes, as the orchestrator does. */
async function collected(groupId: string, until: (records: readonly RawIncoming[]) => boolean): Promise<readonly RawIncoming[]> {
  const records: RawIncoming[] = []
  const mailboxes: Mailboxes = new Mailboxes(stack.connection(), {
    topics: [sends],
    groupId,
    takeOver: async () => ({ [sends]: 0 }),
    lost: () => {},
    arrived: (partition) => {
      const { records: waiting, nextOffset } = mailboxes.peek(partition, sends, 10_000)
      records.push(...waiting)
      if (mailboxes.behind(partition, sends)) mailboxes.done(partition, sends, nextOffset)
    },
  })
  await mailboxes.open()
  await eventually(() => until(records))
  await mailboxes.close()
  return records
}

const expectedKeys = (): string[] => codecs.flatMap((codec) => Array.from({ length: perCodec }, (_, n) => `${codec}${n}`)).sort()

it("what Java's producer compresses with any codec is read, by consumers and by mailboxes", async () => {
  const topic = stack.connection().physical(sends)
  await produceByJava(
    stack.env.KAFKA_BROKERS!,
    codecs.map((codec, n) => ({ topic, partition: n % specPartitions, codec, value, count: perCodec })),
  )
  expect([...(await consumed('consumer', (keys) => keys.length >= expectedKeys().length))].sort()).toEqual(expectedKeys())
  const raws = await collected('mailboxes', (records) => records.length >= expectedKeys().length)
  const { records, letters } = await decodeAll(new RecordDecoder('SendRequested', stack.connection().registry.schemaById), raws, {
    keyRequired: false,
    tombstones: false,
  })
  expect(letters).toEqual([])
  expect(records.map(({ key }) => key!).sort()).toEqual(expectedKeys())
})

it('what the broker compresses, because its topic is set so, is read', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
    await setCompression(connection, codec)
    await producer.sendRaw(
      sends,
      Array.from({ length: perCodec }, (_, n) => ({ key: `topic ${codec} ${n}`, value, partition: 0 })),
    )
  }
  const mine = (keys: readonly string[]): string[] => keys.filter((key) => key.startsWith('topic'))
  expect(new Set(mine(await consumed('topic', (keys) => mine(keys).length >= 4 * perCodec))).size).toBe(4 * perCodec)
})

async function setCompression(connection: KafkaConnection, codec: string): Promise<void> {
  const admin = await connection.admin()
  const name = connection.physical(sends)
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name,
        configEntries: [
          { name: 'compression.type', value: codec },
          { name: 'max.message.bytes', value: '4194304' },
        ],
      },
    ],
  })
  await eventually(async () => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name, configNames: ['compression.type'] }],
    })
    return resources[0]!.configEntries[0]!.configValue === codec
  })
}

it('a batch of more than 64 MB is passed by and told, its neighbours are read; one record of 6 MB that came in a few kB gets a letter that fits', async () => {
  const connection = stack.connection()
  await setCompression(connection, 'producer')
  const topic = connection.physical(sends)
  const bombs = ['gzip', 'snappy', 'lz4', 'zstd'] as const
  await produceByJava(stack.env.KAFKA_BROKERS!, [
    ...bombs.map((codec) => ({ topic, partition: 1, codec, value: 70_000_000, count: 1 })),
    { topic, partition: 1, codec: 'gzip', value: 6_000_000, count: 1 },
    { topic, partition: 1, codec: 'none', value, count: 1 },
  ])
  const last = (await connection.endOffsets(sends)).get(1)! - 1
  const raws = await collected('bombs', (records) => records.some(({ partition, offset }) => partition === 1 && offset === last))
  const { records } = await decodeAll(new RecordDecoder('SendRequested', connection.registry.schemaById), raws, {
    keyRequired: false,
    tombstones: false,
  })
  expect(records.some(({ partition, offset }) => partition === 1 && offset === last)).toBe(true)
  expect(raws.filter(({ passed }) => passed !== undefined).map(({ offset }) => offset)).toEqual([last - 5, last - 4, last - 3, last - 2])

  await consumed('after bombs', (_, places) => places.has(`1 ${last}`))
  const letters = (await readDeadLetters(stack.connection())).map(({ headers, value: bytes }) => ({ ...headers, bytes }))
  expect(letters).toHaveLength(5)
  expect(letters).toEqual(
    expect.arrayContaining([
      ...bombs.map(
        (codec, n) =>
          expect.objectContaining({
            reason: 'unreadable',
            offset: String(last - 5 + n),
            bytes: null,
            detail: `the batch of offsets ${last - 5 + n} to ${last - 5 + n} cannot be read: more than 67108864 bytes when ${codec} is decompressed`,
          }) as unknown,
      ),
      expect.objectContaining({ reason: 'unknown_schema', offset: String(last - 1), 'value-bytes': '6000000', bytes: null }),
    ]),
  )
}, 180_000)
