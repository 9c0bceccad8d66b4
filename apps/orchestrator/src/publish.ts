// Publishing what was committed: changes to `stepcast.sequences.v1`, commands to the dispatchers' topics.
import { commandTopicOf, encodeRecord, messageIdOf, newTraceparent, topics, type ChannelType } from '@stepcast/contracts'
import type { KafkaConnection, RawRecord } from '@stepcast/kafka'
import { evolve, notStarted, react, type Effect, type Sequence } from '@stepcast/sequence'
import { decodeChange, publishedRecord } from './changeCodec'
import { changesAfter } from './sql/changes'
import type { Queryable } from './sql/arrays'
import { loadSequences, type LoadedSequence } from './sql/sequences'
import type { CommittedChange } from './turn'

/** Publishes changes and their commands, in order; answers when Kafka has them all. Safe to repeat: readers know positions and message ids. */
export async function publishChanges(connection: KafkaConnection, partition: number, changes: readonly CommittedChange[]): Promise<void> {
  if (changes.length === 0) return
  const { registry } = connection
  const [producer, sequencesSchema, commandsSchema] = await Promise.all([
    connection.producer(), registry.writerIdOf(topics.sequences), registry.writerIdOf(topics.inAppCommands),
  ])
  const time = new Date().toISOString()
  const headers = (type: string, id: string, traceparent: string): Readonly<Record<string, string>> => ({
    ce_specversion: '1.0', ce_id: id, ce_type: type, ce_source: '/orchestrator', ce_time: time, 'content-type': 'application/avro', traceparent,
  })
  const byTopic = new Map<string, RawRecord[]>()
  const add = (topic: string, record: RawRecord): void => {
    const records = byTopic.get(topic)
    if (records) records.push(record)
    else byTopic.set(topic, [record])
  }
  for (const change of changes) {
    const { head, version, position, data } = change
    const traceparent = change.traceparent ?? newTraceparent()
    add(topics.sequences.name, {
      key: head.sequenceId, partition, value: publishedRecord(sequencesSchema, head, { version, logPartition: partition, logPosition: position }, data),
      headers: headers('stepcast.v1.SequenceChanged', `${partition}-${position}`, traceparent),
    })
    for (const effect of change.effects) {
      add(commandTopicOf[effect.channelType].name, {
        key: head.sequenceId, partition, value: encodeCommand(commandsSchema, change, effect),
        headers: headers('stepcast.v1.DispatchStep', `${messageIdOf(head.sequenceId, effect.step, effect.channelType)}-${effect.type}-${effect.commandedAt}`, traceparent),
      })
    }
  }
  await Promise.all([...byTopic].map(([topic, records]) => producer.sendRaw(topic, records)))
}

function encodeCommand(schemaId: number, { head, variables }: CommittedChange, effect: Effect): Buffer {
  const { workspaceId, sequenceId, sendId, userId, templateId, templateVersion, campaignId } = head
  const { type: action, step, channelType, commandedAt, expiresAt, windowMs } = effect
  return encodeRecord('DispatchStep', schemaId, {
    action, workspaceId, messageId: messageIdOf(sequenceId, step, channelType satisfies ChannelType), sequenceId, sendId, step, channelType, userId,
    templateId, templateVersion, campaignId, variables: action === 'send' ? (variables ?? {}) : {}, commandedAt, expiresAt, windowMs,
  })
}

// A few thousand changes with their histories: some megabytes.
const republishAtOnce = 2_000

/**
 * Publishes again what was committed after `published`: the one way to catch up, after a crash, an error or a new owner.
 * Answers the position reached, and the sequences whose end is published.
 */
export async function republish(connection: KafkaConnection, db: Queryable, partition: number, published: number, to: number): Promise<readonly string[]> {
  const ended: string[] = []
  for (let from = published; from < to; ) {
    const rows = await changesAfter(db, partition, from, republishAtOnce)
    if (rows.length === 0) throw new Error(`partition ${partition} has no changes after position ${from}, its cursor says ${to}`)
    const wanted = new Set(rows.map(({ position }) => position))
    const loaded = await loadSequences(db, [...new Set(rows.map(({ sequenceId }) => sequenceId))])
    const changes = loaded.flatMap((sequence) => committedOf(sequence, wanted)).sort((a, b) => a.position - b.position)
    await publishChanges(connection, partition, changes)
    for (const change of changes) if (change.ended) ended.push(change.head.sequenceId)
    from = rows[rows.length - 1]!.position
  }
  return ended
}

/** The wanted changes of a loaded sequence, their commands derived again from the facts. */
function committedOf({ head, variables, changes }: LoadedSequence, wanted: ReadonlySet<number>): CommittedChange[] {
  let state: Sequence = notStarted
  return changes.flatMap(({ version, position, data }) => {
    const { recordedAt, events } = decodeChange(data)
    const before = state
    const effects: Effect[] = []
    for (const event of events) {
      for (const effect of react(state, event)) effects.push(effect)
      state = evolve(state, event, recordedAt)
    }
    const ended = state.status === 'ended' && before.status !== 'ended'
    return wanted.has(position) ? [{ head, version, position, data, effects, variables, traceparent: null, ended }] : []
  })
}
