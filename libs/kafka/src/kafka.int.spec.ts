import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { ConfigResourceTypes } from 'kafkajs'
import { avroSchemas, deadLetterTopic, subjectOf, topics, type CancelRequested, type TemplateChanged } from '@stepcast/contracts'
import { eventually, readDeadLetters, readTopic, specStack, type SpecStack } from '@stepcast/testing'
import { consumeRecords, type IncomingRecord } from './index'

let stack: SpecStack
beforeAll(async () => {
  stack = await specStack(__filename)
})
afterAll(() => stack.stop())

const cancel = (cancelId: string): CancelRequested => ({
  cancelId,
  workspaceId: 'w',
  scope: 'send',
  id: 's',
  requestedBy: 'spec',
  requestedAt: 1,
})

it('records come back as they were sent, tagged unions, tombstones and headers included', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  const value: TemplateChanged = { workspaceId: 'w', templateId: 't', changedAt: 5, change: { type: 'TemplateArchived', archivedAt: 7 } }
  await producer.send(topics.templates, [
    { key: 'w/t', value },
    { key: 'w/u', value: null },
  ])
  const [first, second] = await readTopic(connection, topics.templates)
  expect(first).toMatchObject({ key: 'w/t', value, headers: { ce_type: 'stepcast.v1.TemplateChanged', ce_specversion: '1.0' } })
  expect(first!.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  expect(second).toMatchObject({ key: 'w/u', value: null })
})

it('what cannot be read becomes a dead letter with reason and origin, its neighbours are unharmed, a failing handler is asked again', async () => {
  const connection = stack.connection()
  const producer = await connection.producer()
  await producer.send(topics.controls, [{ key: 'w1', value: cancel('c1'), partition: 0 }])
  await producer.sendRaw(topics.controls.name, [
    { key: 'bytes', value: Buffer.from('not avro'), partition: 0 },
    { key: 'id', value: Buffer.from([0, 0, 15, 66, 63, 1]), partition: 0 },
    { key: null, value: Buffer.from([0, 0, 0, 0, 1]), partition: 0 },
  ])
  await producer.send(topics.controls, [{ key: 'w2', value: cancel('c2'), partition: 0 }])
  const seen: IncomingRecord<'CancelRequested'>[] = []
  let failures = 2
  const consumer = await consumeRecords(connection, {
    topic: topics.controls,
    groupId: 'spec',
    keyRequired: true,
    handle: async (records) => {
      if (failures-- > 0) throw new Error('a passing outage')
      seen.push(...records)
    },
  })
  await eventually(() => seen.length === 2)
  expect(seen.map(({ key }) => key)).toEqual(['w1', 'w2'])
  const letters = await readDeadLetters(connection)
  const distinct = [...new Map(letters.map((letter) => [letter.headers.offset, letter])).values()]
  expect(distinct.map(({ headers }) => [headers.topic, headers.offset, headers.reason]).sort()).toEqual([
    ['stepcast.controls.v1', '1', 'not_avro'],
    ['stepcast.controls.v1', '2', 'unknown_schema'],
    ['stepcast.controls.v1', '3', 'null_key'],
  ])
  expect(distinct.find(({ headers }) => headers.offset === '1')!.value!.toString()).toBe('not avro')
  await consumer.stop()
  expect(deadLetterTopic.retentionDays).toBe(14)
})

it('topics keep records for as long as published, one segment longer at most; compacted ones forget what was erased within a week', async () => {
  const connection = stack.connection()
  const admin = await connection.admin()
  const configOf = async (name: string): Promise<Record<string, string>> => {
    const asked = [{ type: ConfigResourceTypes.TOPIC, name: connection.physical(name) }]
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: asked })
    return Object.fromEntries(resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]))
  }
  const days = (count: number): string => String(count * 86_400_000)
  expect(await configOf(topics.sends.name)).toMatchObject({ 'cleanup.policy': 'delete', 'retention.ms': days(7), 'segment.ms': days(1) })
  expect(await configOf(deadLetterTopic.name)).toMatchObject({ 'retention.ms': days(14), 'segment.ms': days(2) })
  expect(await configOf(topics.sequences.name)).toMatchObject({ 'retention.ms': days(90), 'segment.ms': days(7) })
  expect(await configOf(topics.users.name)).toMatchObject({
    'cleanup.policy': 'compact',
    'max.compaction.lag.ms': days(7),
    'delete.retention.ms': days(7),
  })
})

it('the registry refuses a schema that could not read what is out there', async () => {
  const registry = new SchemaRegistry({ host: stack.env.SCHEMA_REGISTRY_URL! })
  const subject = subjectOf(topics.controls.name)
  const narrower = { ...avroSchemas.CancelRequested, fields: [...avroSchemas.CancelRequested.fields, { name: 'price', type: 'long' }] }
  await expect(registry.register({ type: SchemaType.AVRO, schema: JSON.stringify(narrower) }, { subject })).rejects.toThrow()
  const wider = {
    ...avroSchemas.CancelRequested,
    fields: [...avroSchemas.CancelRequested.fields, { name: 'note', type: ['null', 'string'], default: null }],
  }
  await expect(
    registry.register({ type: SchemaType.AVRO, schema: JSON.stringify(wider) }, { subject: `${subject}-spec` }),
  ).resolves.toBeTruthy()
})
