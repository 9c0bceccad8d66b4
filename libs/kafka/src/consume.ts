// Consuming in batches, at least once: decode, hand over, commit; what cannot be decoded goes to the dead letters.
import type { Batch, Consumer, KafkaMessage } from 'kafkajs'
import { CodecError, RecordDecoder, type AvroRecords, type RecordName, type Topic } from '@stepcast/contracts'
import type { KafkaConnection } from './connection'
import { writeDeadLetters, type DeadLetter, type RawIncoming } from './deadLetter'
import { bytesOf, passedBy } from './fetchedBatches'

/** A decoded record with where it came from. */
export interface IncomingRecord<R extends RecordName> {
  readonly key: string | null
  /** null: a tombstone. */
  readonly value: AvroRecords[R] | null
  readonly partition: number
  readonly offset: number
  readonly headers: Readonly<Record<string, string>>
  readonly timestamp: number
  readonly raw: RawIncoming
  /** One header as text; null: it has none of that name. */
  header(name: string): string | null
}

/** What a handler may do with the batch at hand besides reading it. */
export interface BatchContext<R extends RecordName> {
  readonly partition: number
  /** One past the last offset of this batch, control records included. */
  readonly nextOffset: number
  /** Puts one record aside; answers once Kafka has it. */
  deadLetter(record: IncomingRecord<R>, reason: string, detail: string): Promise<void>
}

/** How a topic is consumed. */
export interface ConsumeOptions<R extends RecordName> {
  readonly topic: Topic<R>
  readonly groupId: string
  /** A null key is a dead letter `null_key`. */
  readonly keyRequired?: boolean
  /** At most this many records a call; 2,000 unless told: about a megabyte of ours. */
  readonly maxRecords?: number
  readonly fromBeginning?: true
  /** Tombstones (null values) are given to the handler; else they are dead letters. True for compacted topics unless told. */
  readonly tombstones?: boolean
  /** Where to start a partition instead of the group's offset, asked at every assignment. */
  readonly startAt?: (partition: number) => Promise<number | null>
  /** Takes one partition's records, in order. A throw repeats the same call with backoff, unless its `retriable` is false: that ends the process. */
  handle(records: readonly IncomingRecord<R>[], batch: BatchContext<R>): Promise<void>
}

const heartbeatEveryMs = 3_000
// Of a fetch that finds nothing. Records end it at once; waiting longer costs less while idle, but stopping and heartbeats wait for it too.
const maxWaitMs = 2_000
/** A handler that takes longer hangs: the process ends and its supervisor starts it anew. */
const handlerTimeoutMs = 300_000
const maxBackoffMs = 10_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The client's message as a plain value. */
export const rawOf = (topicName: string, partition: number, message: KafkaMessage): RawIncoming => ({
  topic: topicName, partition, offset: Number(message.offset), key: message.key, value: message.value,
  headers: message.headers ?? {}, timestamp: Number(message.timestamp), bytes: bytesOf(message), passed: passedBy(message),
})

/** A decoded record; its headers become text when somebody asks. */
class Decoded<R extends RecordName> implements IncomingRecord<R> {
  constructor(readonly value: AvroRecords[R] | null, readonly raw: RawIncoming) {}

  get key(): string | null {
    return this.raw.key === null ? null : this.raw.key.toString()
  }

  get partition(): number {
    return this.raw.partition
  }

  get offset(): number {
    return this.raw.offset
  }

  get timestamp(): number {
    return this.raw.timestamp
  }

  get headers(): Readonly<Record<string, string>> {
    // A copy has all of them as fields; to an empty object an assignment would not add `__proto__`.
    const headers: Record<string, unknown> = { ...this.raw.headers }
    for (const name in headers) headers[name] = String(headers[name])
    return headers as Record<string, string>
  }

  header(name: string): string | null {
    const value = this.raw.headers[name]
    return value === undefined ? null : String(value)
  }
}

/** Decodes what can be decoded; the rest come back as dead letters. The registry's outages reject. */
export async function decodeAll<R extends RecordName>(
  decoder: RecordDecoder<R>, raws: readonly RawIncoming[], { keyRequired, tombstones }: { keyRequired: boolean; tombstones: boolean },
): Promise<{ records: IncomingRecord<R>[]; letters: DeadLetter[] }> {
  const records: IncomingRecord<R>[] = []
  const letters: DeadLetter[] = []
  for (const raw of raws) {
    if (raw.passed !== undefined) {
      const { first, last, why } = raw.passed
      if (why !== null) letters.push({ record: raw, reason: 'unreadable', detail: `the batch of offsets ${first} to ${last} cannot be read: ${why}` })
      continue
    }
    if (raw.key === null && keyRequired) {
      letters.push({ record: raw, reason: 'null_key', detail: 'this topic needs a key' })
      continue
    }
    if (raw.value === null && !tombstones) {
      letters.push({ record: raw, reason: 'null_value', detail: 'this topic needs a value' })
      continue
    }
    try {
      const decoded = raw.value === null ? null : decoder.decode(raw.value)
      const value = decoded instanceof Promise ? await decoded : decoded
      records.push(new Decoded(value, raw))
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      letters.push({ record: raw, reason: error.reason, detail: error.message })
    }
  }
  return { records, letters }
}

/** A running consumer. */
export interface RunningConsumer {
  stop(): Promise<void>
}

/**
 * Consumes a topic in batches, one partition's batch at a time and in order, committing offsets after the handler's answer.
 * Bad records never stop it: undecodable values go to the dead letters. Kafka's, the registry's and the handler's outages
 * are waited out with backoff (0.1 s to 10 s).
 */
export async function consumeRecords<R extends RecordName>(connection: KafkaConnection, options: ConsumeOptions<R>): Promise<RunningConsumer> {
  const { topic, groupId } = options
  const maxRecords = options.maxRecords ?? 2_000
  const edge = { keyRequired: options.keyRequired ?? false, tombstones: options.tombstones ?? topic.cleanup === 'compact' }
  const decoder = new RecordDecoder(topic.record, connection.registry.schemaById)
  const physical = connection.physical(topic.name)
  const consumer = connection.consumer({
    groupId, sessionTimeout: 10_000, rebalanceTimeout: 15_000, heartbeatInterval: heartbeatEveryMs, maxWaitTimeInMs: maxWaitMs,
    maxBytesPerPartition: 1024 * 1024, allowAutoTopicCreation: false,
  })
  let stopping = false

  const handleOnce = async (raws: readonly RawIncoming[], partition: number, nextOffset: number): Promise<void> => {
    const { records, letters } = await decodeAll(decoder, raws, edge)
    await writeDeadLetters(connection, letters)
    await options.handle(records, {
      partition, nextOffset,
      deadLetter: (record, reason, detail) => writeDeadLetters(connection, [{ record: record.raw, reason, detail }]),
    })
  }

  const handleUntilDone = async (raws: readonly RawIncoming[], partition: number, nextOffset: number, goOn: () => boolean): Promise<boolean> => {
    for (let attempt = 0; goOn(); attempt++) {
      const hanging = setTimeout(() => connection.fatal(new Error(`${groupId}: a batch of ${topic.name} took over ${handlerTimeoutMs} ms`)), handlerTimeoutMs)
      try {
        await handleOnce(raws, partition, nextOffset)
        return true
      } catch (error) {
        const { message, stack, retriable } = error as Error & { retriable?: boolean }
        if (retriable === false) {
          connection.fatal(error as Error)
          return false
        }
        const delayMs = Math.min(maxBackoffMs, 100 * 2 ** attempt)
        connection.log.warn({ group: groupId, topic: topic.name, partition, attempt, delayMs, error: message, stack }, 'batch failed, trying again')
        await pause(delayMs)
      } finally {
        clearTimeout(hanging)
      }
    }
    return false
  }

  if (options.startAt) seekWhenAssigned(connection, consumer, physical, options.startAt, () => stopping)
  await consumer.connect()
  await consumer.subscribe({ topics: [physical], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: 4,
    eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, isRunning, isStale }) => {
      const goOn = (): boolean => !stopping && isRunning() && !isStale()
      let lost: Error | null = null
      const beat = setInterval(() => heartbeat().catch((error: Error) => (lost = error)), heartbeatEveryMs)
      try {
        for (const part of partsOf(batch, maxRecords)) {
          const raws = part.messages.map((message) => rawOf(topic.name, batch.partition, message))
          if (!(await handleUntilDone(raws, batch.partition, part.nextOffset, () => goOn() && lost === null))) break
          resolveOffset(String(part.nextOffset - 1))
          await commitOffsetsIfNecessary({ topics: [{ topic: physical, partitions: [{ partition: batch.partition, offset: String(part.nextOffset) }] }] })
        }
      } finally {
        clearInterval(beat)
      }
      if (lost) throw lost
      await heartbeat()
    },
  })
  return {
    async stop() {
      stopping = true
      await connection.release(consumer)
    },
  }
}

function* partsOf(batch: Batch, maxRecords: number): Generator<{ messages: readonly KafkaMessage[]; nextOffset: number }> {
  const { messages } = batch
  for (let from = 0; from < messages.length; from += maxRecords) {
    const part = messages.slice(from, from + maxRecords)
    const isLast = from + maxRecords >= messages.length
    // The batch's own last offset covers control records after the last message.
    yield { messages: part, nextOffset: Number(isLast ? batch.lastOffset() : part[part.length - 1]!.offset) + 1 }
  }
}

// GROUP_JOIN listeners are not awaited and fetching starts before a seek: so pause at once, ask, seek, resume.
function seekWhenAssigned(
  connection: KafkaConnection, consumer: Consumer, physical: string, startAt: (partition: number) => Promise<number | null>, isStopping: () => boolean,
): void {
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const partitions = payload.memberAssignment[physical] ?? []
    if (partitions.length === 0) return
    consumer.pause([{ topic: physical, partitions }])
    void Promise.all(partitions.map(async (partition) => {
      const offset = await startAt(partition)
      if (offset !== null) consumer.seek({ topic: physical, partition, offset: String(offset) })
      consumer.resume([{ topic: physical, partitions: [partition] }])
    })).catch((error: Error) => {
      // Stopped right after joining: nobody needs the answer, and what it would be read from may be closed.
      if (!isStopping()) connection.fatal(error)
    })
  })
}
