// Records that nobody can use, with the reason their dead letters must give: everything that has ever stopped a partition is among them.
import { commandTopicOf, encodeRecord, maxMessageBytes, topics, wireHeader, type Topic } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { batchOf, codecs, type Codec, type RawHeader, type WireRecord } from './batches'
import type { Poison } from './history'
import type { Random } from './random'
import { digestOf } from './watch'

/** What to make poison of. */
export interface PoisonOptions {
  readonly connection: KafkaConnection
  readonly workspaceId: string
  readonly otherWorkspaceId: string
  /** A message that was commanded; null: none was yet. */
  readonly messageId: string | null
  readonly random: Random
  readonly partitions: number
}

/** A record to be put on a topic. */
export interface PoisonRecord {
  readonly partition: number
  readonly record: WireRecord
  readonly codec: Codec
  readonly poison: Poison
}

/** How a record is written where that is the point of it. */
interface How {
  readonly key?: string | null
  readonly headers?: readonly RawHeader[]
  readonly codec?: Codec
  readonly partition?: number
}

type Add = (topic: Topic, reason: string, value: Buffer, how?: How) => void

const tooLargeBytes = 300 * 1024
const noSchema = 0x7fffffff
const microseconds = 1_000
/** More than a reader unpacks of one batch. */
const bombBytes = 66 * 1024 * 1024
const bomb = (): Buffer => (zeros ??= Buffer.alloc(bombBytes))
let zeros: Buffer | null = null

/** One of each kind. Compacted topics take no null key: the broker itself refuses it. */
export async function poisonRecords(options: PoisonOptions): Promise<PoisonRecord[]> {
  const { random, partitions } = options
  const records: PoisonRecord[] = []
  const add: Add = (topic, reason, value, { key = `poison-${random.below(1_000)}`, headers = [], codec = 'none', partition } = {}) => {
    const drawn = random.below(partitions)
    records.push({
      partition: topic.partitions === 'single' ? 0 : (partition ?? drawn),
      record: { key: key === null ? null : Buffer.from(key), value, headers },
      codec,
      poison: { topic: topic.name, digest: digestOf(value), reason, place: '' },
    })
  }
  addNoSense(add, random)
  addLarge(add, random)
  await addSends(add, options)
  await addEngagements(add, options)
  await addCancels(add, options)
  await addCommands(add, options)
  await addWorkspaces(add, options)
  return records
}

const garbage = (random: Random, bytes = 50): Buffer => {
  const all = Buffer.alloc(bytes + 1, random.bytes(50))
  all[0] = 0xff
  return all
}

/** Bytes without sense on every topic: plain, by every codec, and with names that no database takes. */
function addNoSense(add: Add, random: Random): void {
  const orphan = (): Buffer => Buffer.concat([wireHeader(noSchema), random.bytes(20)])
  for (const topic of Object.values(topics)) {
    add(topic, 'not_avro', garbage(random))
    add(topic, 'unknown_schema', orphan())
    for (const codec of codecs) add(topic, 'not_avro', garbage(random), { codec })
    add(topic, 'not_avro', garbage(random), { key: 'a\0b', headers: [['c\0d', Buffer.from('e\0f')]] })
    add(topic, 'not_avro', garbage(random), {
      headers: ['origin-topic', 'origin-partition', 'origin-offset'].map((name): RawHeader => [name, Buffer.from('a\0b')]),
    })
  }
}

/** At the topic's limit, beyond it once unpacked, and all in the headers. */
function addLarge(add: Add, random: Random): void {
  const around = batchOf([{ key: Buffer.from('big'), value: Buffer.alloc(4_000_000), headers: [] }], 0).length - 4_000_000
  // Eight megabytes each time are enough.
  for (const less of [0, 120])
    add(
      random.pick([topics.sends, topics.pushCommands, topics.users]),
      'not_avro or too_large',
      garbage(random, maxMessageBytes - around - less - 1),
      { key: 'big' },
    )
  add(topics.sends, 'not_avro or too_large', garbage(random, 6_000_000), { codec: 'gzip' })
  add(topics.engagements, 'not_avro or too_large', garbage(random, 6_000_000), { codec: 'gzip' })
  add(topics.sends, 'not_avro or too_large', garbage(random), { headers: [['pad', Buffer.alloc(4_190_000, 'x')]] })
  if (random.chance(0.3)) add(topics.controls, 'unreadable', bomb(), { codec: 'zstd' })
}

async function addSends(add: Add, { connection, workspaceId, random, partitions }: PoisonOptions): Promise<void> {
  const sendId = `poison-${random.below(1_000_000_000)}`
  const send = {
    workspaceId,
    sendId,
    userId: 'user-1',
    templateId: 'feed-viewed',
    templateVersion: null,
    campaignId: null,
    variables: {},
    tag: null,
    source: null,
    requestedAt: 1,
  }
  const id = await writerIdOf(() => connection, topics.sends)
  const encoded = (more: Partial<typeof send>): Buffer => encodeRecord('SendRequested', id, { ...send, ...more })
  add(topics.sends, 'undecodable', Buffer.concat([wireHeader(id), Buffer.from([0x7f]), random.bytes(3)]))
  add(topics.sends, 'too_large', encoded({ variables: { orderNo: 'x'.repeat(tooLargeBytes) } }))
  add(topics.sends, 'unknown_template', encoded({ templateId: 'no-such-template' }))
  add(topics.sends, 'missing_variables', encoded({}))
  add(topics.sends, 'invalid_send', encoded({ workspaceId: 'Not A Workspace' }))
  // Refused at the edge; a build without that rule sets it aside when its turn has failed.
  add(topics.sends, 'invalid_send or unprocessable', encoded({ userId: 'nul', variables: { orderNo: 'a\0b' } }))
  const times = [Date.now() * microseconds, 8.9e15, -6.3e13, Date.UTC(10_000, 0, 1)]
  times.forEach((requestedAt, index) =>
    add(topics.sends, 'invalid_time', encoded({ userId: `late-${index}`, variables: { orderNo: '1' }, requestedAt })),
  )
  // Small, and on each partition, so that most of them are away from home: what is sent home is larger than it was.
  for (let partition = 0; partition < partitions; partition++)
    add(topics.sends, 'too_large', encoded({ userId: `heavy-${partition}`, variables: { orderNo: '1' } }), {
      partition,
      headers: [['pad', Buffer.alloc(partition === 0 ? 4_194_000 - 400 : 600_000, 'x')]],
    })
}

async function addEngagements(add: Add, { connection, workspaceId, otherWorkspaceId, messageId, random }: PoisonOptions): Promise<void> {
  const report = {
    workspaceId,
    messageId: `poison ${random.below(1_000_000_000)}`,
    kind: 'viewed' as const,
    occurredAt: 1,
    source: 'chaos',
    reason: null,
    providerMessageId: null,
    detail: {} as Record<string, string>,
  }
  const id = await writerIdOf(() => connection, topics.engagements)
  const encoded = (more: Partial<typeof report>): Buffer => encodeRecord('EngagementReported', id, { ...report, ...more })
  add(topics.engagements, 'invalid_message_id', encoded({}))
  const nobodys = `00000000-0000-5000-8000-${String(random.below(1_000_000_000)).padStart(12, '0')}.1.in_app`
  add(topics.engagements, 'invalid_engagement', encoded({ messageId: nobodys, detail: { 'a\0b': 'c' } }))
  add(topics.engagements, 'invalid_engagement', encoded({ messageId: nobodys, detail: { a: 'b\0c' } }))
  for (const occurredAt of [9e15, -9e15, Date.now() * microseconds])
    add(topics.engagements, 'invalid_time', encoded({ messageId: nobodys, occurredAt }))
  if (messageId !== null)
    add(
      topics.engagements,
      'wrong_workspace',
      encoded({ workspaceId: otherWorkspaceId, messageId, source: `${random.below(1_000_000_000)}` }),
    )
}

async function addCancels(add: Add, { connection, workspaceId, random, partitions }: PoisonOptions): Promise<void> {
  const cancel = {
    cancelId: `poison-${random.below(1_000_000_000)}`,
    workspaceId,
    scope: 'send' as const,
    id: 'nobody',
    requestedBy: 'chaos',
    requestedAt: Date.now(),
  }
  const id = await writerIdOf(() => connection, topics.controls)
  const encoded = (more: Partial<typeof cancel>): Buffer => encodeRecord('CancelRequested', id, { ...cancel, ...more })
  for (let partition = 0; partition < partitions; partition++)
    add(topics.controls, 'invalid_cancel', encoded({ requestedBy: `a\0${partition}` }), { partition })
  for (const requestedAt of [Date.now() * microseconds, 8.9e15, -6.3e13]) add(topics.controls, 'invalid_time', encoded({ requestedAt }))
}

async function addCommands(add: Add, { connection, workspaceId, messageId }: PoisonOptions): Promise<void> {
  const command = {
    action: 'send' as const,
    workspaceId,
    messageId: messageId ?? '00000000-0000-5000-8000-000000000000.1.sms',
    sequenceId: 'poison',
    sendId: `poison-${Date.now()}`,
    step: 1,
    channelType: 'sms',
    userId: 'user-1',
    templateId: 'feed-viewed',
    templateVersion: 1,
    campaignId: null,
    variables: {},
    commandedAt: 1,
    expiresAt: 2,
    windowMs: null,
  }
  const id = await writerIdOf(() => connection, topics.inAppCommands)
  const bytes = encodeRecord('DispatchStep', id, command)
  for (const topic of Object.values(commandTopicOf)) add(topic, 'null_key', bytes, { key: null })
  add(topics.pushCommands, 'wrong_channel', encodeRecord('DispatchStep', id, { ...command, expiresAt: 3 }))
  add(topics.inAppCommands, 'wrong_channel', encodeRecord('DispatchStep', id, { ...command, expiresAt: 3 }))
}

async function addWorkspaces(add: Add, { connection, random }: PoisonOptions): Promise<void> {
  const id = await writerIdOf(() => connection, topics.workspaces)
  const workspaceId = `poison-${random.below(1_000_000_000)}`
  for (const settings of ['no JSON', '', '{"a":"\\u0000"}', '[]'])
    add(topics.workspaces, 'invalid_workspace', encodeRecord('WorkspaceChanged', id, { workspaceId, settings, updatedAt: Date.now() }), {
      key: workspaceId,
    })
}

/** The id of our own schema of a topic, asked until the registry answers: its database is stopped as well. */
export async function writerIdOf(connection: () => KafkaConnection, topic: Topic): Promise<number> {
  for (;;) {
    try {
      return await connection().registry.writerIdOf(topic)
    } catch (error) {
      if ((error as { retriable?: boolean }).retriable !== true) throw error
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }
}
