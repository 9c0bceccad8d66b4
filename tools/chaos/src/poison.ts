// Records that nobody can use, with the reason their dead letters must give.
import { encodeRecord, topics, wireHeader, type Topic } from '@stepcast/contracts'
import type { KafkaConnection, RawRecord } from '@stepcast/kafka'
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
  readonly topic: string
  readonly record: RawRecord
  readonly poison: Poison
}

const tooLargeBytes = 300 * 1024
const noSchema = 0x7fffffff

/** One of each kind. Compacted topics take no null key: the broker itself refuses it. */
export async function poisonRecords({
  connection,
  workspaceId,
  otherWorkspaceId,
  messageId,
  random,
  partitions,
}: PoisonOptions): Promise<PoisonRecord[]> {
  const records: PoisonRecord[] = []
  const add = (topic: Topic, reason: string, value: Buffer, key: string | null = `poison-${random.below(1_000)}`): void => {
    const partition = topic.partitions === 'single' ? 0 : random.below(partitions)
    records.push({ topic: topic.name, record: { key, value, partition }, poison: { topic: topic.name, digest: digestOf(value), reason } })
  }
  const garbage = (): Buffer => Buffer.concat([Buffer.from([0xff]), random.bytes(50)])
  const orphan = (): Buffer => Buffer.concat([wireHeader(noSchema), random.bytes(20)])
  for (const topic of [
    topics.sends,
    topics.engagements,
    topics.inAppCommands,
    topics.pushCommands,
    topics.sequences,
    topics.controls,
    topics.templates,
    topics.users,
  ]) {
    add(topic, 'not_avro', garbage())
    add(topic, 'unknown_schema', orphan())
  }

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
  const sendsId = await writerIdOf(() => connection, topics.sends)
  add(topics.sends, 'undecodable', Buffer.concat([wireHeader(sendsId), Buffer.from([0x7f]), random.bytes(3)]))
  add(topics.sends, 'too_large', encodeRecord('SendRequested', sendsId, { ...send, variables: { orderNo: 'x'.repeat(tooLargeBytes) } }))
  add(topics.sends, 'unknown_template', encodeRecord('SendRequested', sendsId, { ...send, templateId: 'no-such-template' }))
  add(topics.sends, 'missing_variables', encodeRecord('SendRequested', sendsId, send))
  add(topics.sends, 'invalid_send', encodeRecord('SendRequested', sendsId, { ...send, workspaceId: 'Not A Workspace' }))

  const report = {
    workspaceId,
    messageId: `poison ${sendId}`,
    kind: 'viewed' as const,
    occurredAt: 1,
    source: 'chaos',
    reason: null,
    providerMessageId: null,
    detail: {},
  }
  const reportsId = await writerIdOf(() => connection, topics.engagements)
  add(topics.engagements, 'invalid_message_id', encodeRecord('EngagementReported', reportsId, report))
  if (messageId !== null) {
    add(
      topics.engagements,
      'wrong_workspace',
      encodeRecord('EngagementReported', reportsId, { ...report, workspaceId: otherWorkspaceId, messageId, source: sendId }),
    )
  }

  const command = {
    action: 'send' as const,
    workspaceId,
    messageId: messageId ?? '00000000-0000-5000-8000-000000000000.1.sms',
    sequenceId: 'poison',
    sendId,
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
  const commandsId = await writerIdOf(() => connection, topics.inAppCommands)
  const commandBytes = encodeRecord('DispatchStep', commandsId, command)
  for (const topic of [topics.inAppCommands, topics.pushCommands]) add(topic, 'null_key', commandBytes, null)
  add(topics.pushCommands, 'wrong_channel', encodeRecord('DispatchStep', commandsId, { ...command, expiresAt: 3 }))
  add(topics.inAppCommands, 'wrong_message', encodeRecord('DispatchStep', commandsId, { ...command, expiresAt: 3 }))
  return records
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
