// Publishing what was committed: changes to `stepcast.sequences.v1`, commands to the dispatchers' topics.
import {
  ScratchEncoder,
  avroTypes,
  commandTopicOf,
  commonHeaders,
  messageIdOf,
  newTraceparent,
  topics,
  type ChannelType,
  type DispatchStep,
  type Topic,
} from '@stepcast/contracts'
import { RecordBatch, SharedHeaders, maxChunkBytes, type EncodedBatch, type KafkaConnection } from '@stepcast/kafka'
import type { Queryable } from '@stepcast/postgres'
import { evolve, notStarted, react, type Effect, type Sequence } from '@stepcast/sequence'
import { decodeChange, writePublished } from './changeCodec'
import type { CommittedChange } from './committed'
import { changesAfter } from './sql/changes'
import { loadSequences, type LoadedSequence } from './sql/sequences'
import { loadVariables } from './sql/variables'
import type { Variables } from './variables'

/** Where to publish, and where variables are kept that are not in memory. */
export interface PublishOptions {
  readonly connection: KafkaConnection
  readonly pool: Queryable
}

// Of so many sequences variables are in memory at once when they have to be read: at 64 kB each, 6 MB.
const loadedAtOnce = 100

/** Publishes changes and their commands, in order; answers when Kafka has them all. Safe to repeat: readers know positions and message ids. */
export async function publishChanges(
  { connection, pool }: PublishOptions,
  partition: number,
  changes: readonly CommittedChange[],
): Promise<void> {
  if (changes.length === 0) return
  const { registry } = connection
  const [producer, sequencesSchema, commandsSchema] = await Promise.all([
    connection.producer(),
    registry.writerIdOf(topics.sequences),
    registry.writerIdOf(topics.inAppCommands),
  ])
  const chunk = new Chunk(partition)
  // Only commands need variables, and most of them are in memory.
  const unread = changes.filter(({ variables, effects }) => variables === 'stored' && effects.some(({ type }) => type === 'send'))
  let read: ReadonlyMap<string, Variables> = new Map()
  let next = 0
  for (const change of changes) {
    const traceparent = change.traceparent ?? newTraceparent()
    const { sequenceId } = change.head
    if (change === unread[next] && next++ % loadedAtOnce === 0) {
      read = await loadVariables(
        pool,
        unread.slice(next - 1, next - 1 + loadedAtOnce).map(({ head }) => head.sequenceId),
      )
    }
    encodeChanged(chunk, sequencesSchema, change, traceparent)
    const variables = change.variables === 'stored' ? read.get(sequenceId) : change.variables
    for (const effect of change.effects) encodeCommand(chunk, commandsSchema, change, variables ?? {}, effect, traceparent)
    if (chunk.isFull) await producer.sendEncoded(chunk.take())
  }
  if (!chunk.isEmpty) await producer.sendEncoded(chunk.take())
}

// Reused by every publish of the process: values are encoded here and copied into their batch in the same tick.
const scratch = new ScratchEncoder()

/** One batch for each topic that the records at hand go to, until one of them is full. */
class Chunk {
  private batches = new Map<string, { batch: RecordBatch; headers: SharedHeaders }>()
  private fullest = 0

  constructor(readonly partition: number) {}

  get isEmpty(): boolean {
    return this.batches.size === 0
  }

  get isFull(): boolean {
    return this.fullest >= maxChunkBytes
  }

  /** Adds the record that stands in the scratch buffer up to `end`. */
  add(topic: Topic, id: string, key: string, end: number, traceparent: string): void {
    let open = this.batches.get(topic.name)
    if (!open) {
      open = { batch: RecordBatch.begin(), headers: new SharedHeaders(commonHeaders(topic.record, 'orchestrator')) }
      this.batches.set(topic.name, open)
    }
    open.batch.add(key, scratch.buffer, 0, end, { ce_id: id, traceparent }, open.headers)
    this.fullest = Math.max(this.fullest, open.batch.size)
  }

  take(): EncodedBatch[] {
    const taken = [...this.batches].map(([topic, { batch }]) => ({ topic, partition: this.partition, batch }))
    this.batches = new Map()
    this.fullest = 0
    return taken
  }
}

function encodeChanged(chunk: Chunk, schemaId: number, change: CommittedChange, traceparent: string): void {
  const { partition } = chunk
  const { head, version, position } = change
  const end = writePublished(scratch, schemaId, head, { version, logPartition: partition, logPosition: position }, change)
  chunk.add(topics.sequences, `${partition}-${position}`, head.sequenceId, end, traceparent)
}

function encodeCommand(
  chunk: Chunk,
  schemaId: number,
  { head }: CommittedChange,
  variables: Variables,
  effect: Effect,
  traceparent: string,
): void {
  const { workspaceId, sequenceId, sendId, userId, templateId, templateVersion, campaignId } = head
  const { type: action, step, channelType, commandedAt, expiresAt, windowMs } = effect
  const messageId = messageIdOf(sequenceId, step, channelType satisfies ChannelType)
  const command: DispatchStep = {
    action,
    workspaceId,
    messageId,
    sequenceId,
    sendId,
    step,
    channelType,
    userId,
    templateId,
    templateVersion,
    campaignId,
    variables: action === 'send' ? variables : {},
    commandedAt,
    expiresAt,
    windowMs,
  }
  const end = scratch.write(avroTypes.DispatchStep, command, scratch.begin(schemaId))
  chunk.add(commandTopicOf[channelType], `${messageId}-${action}-${commandedAt}`, sequenceId, end, traceparent)
}

// So many changes with their sequences' histories are in memory at once: a megabyte, where receipts say no more than they must.
const republishAtOnce = 500

/**
 * Publishes again what was committed after `published`: the one way to catch up, after a crash, an error or a new owner.
 * Answers the position reached, and the sequences whose end is published.
 */
export async function republish(options: PublishOptions, partition: number, published: number, to: number): Promise<readonly string[]> {
  const ended: string[] = []
  for (let from = published; from < to; ) {
    const rows = await changesAfter(options.pool, partition, from, republishAtOnce)
    if (rows.length === 0) throw new Error(`partition ${partition} has no changes after position ${from}, its cursor says ${to}`)
    const wanted = new Set(rows.map(({ position }) => position))
    const loaded = await loadSequences(options.pool, [...new Set(rows.map(({ sequenceId }) => sequenceId))])
    const changes = loaded.flatMap((sequence) => committedOf(sequence, wanted)).sort((a, b) => a.position - b.position)
    await publishChanges(options, partition, changes)
    for (const change of changes) if (change.ended) ended.push(change.head.sequenceId)
    from = rows[rows.length - 1]!.position
  }
  return ended
}

/** The wanted changes of a loaded sequence, their commands derived again from the facts. */
function committedOf({ head, changes }: LoadedSequence, wanted: ReadonlySet<number>): CommittedChange[] {
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
    return wanted.has(position)
      ? [{ head, version, position, bytes: data, from: 0, to: data.length, effects, variables: 'stored', traceparent: null, ended }]
      : []
  })
}
