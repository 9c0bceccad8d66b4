// A topic as a spec sees it arriving: one consumer for the whole file, everything so far in memory.
import { deadLetterTopic, type AvroRecords, type RecordName, type Topic } from '@stepcast/contracts'
import { consumeRecords, type IncomingRecord, type KafkaConnection } from '@stepcast/kafka'
import type { ReadDeadLetter } from './topicReader'

/** A topic being watched. */
export interface WatchedTopic<R extends RecordName> {
  /** Every record so far, duplicates included, in order per partition. */
  readonly records: readonly IncomingRecord<R>[]
  /** Their values, tombstones left out. */
  values(): AvroRecords[R][]
  stop(): Promise<void>
}

/** Watches a topic from its beginning. */
export async function watchTopic<R extends RecordName>(connection: KafkaConnection, topic: Topic<R>): Promise<WatchedTopic<R>> {
  const records: IncomingRecord<R>[] = []
  const consumer = await consumeRecords(connection, {
    topic,
    groupId: `watch-${process.hrtime.bigint()}`,
    tombstones: true,
    handle: async (arrived) => void records.push(...arrived),
  })
  return { records, values: () => records.flatMap(({ value }) => (value === null ? [] : [value])), stop: () => consumer.stop() }
}

/** The dead letters being watched. */
export interface WatchedDeadLetters {
  readonly letters: readonly ReadDeadLetter[]
  stop(): Promise<void>
}

/** Watches the dead letters from their beginning. */
export async function watchDeadLetters(connection: KafkaConnection): Promise<WatchedDeadLetters> {
  const letters: ReadDeadLetter[] = []
  const consumer = connection.consumer({ groupId: `watch-${process.hrtime.bigint()}`, maxWaitTimeInMs: 500 })
  await consumer.connect()
  await consumer.subscribe({ topics: [connection.physical(deadLetterTopic.name)], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      const headers = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, header]) => [name, String(header)]))
      letters.push({ key: message.key?.toString() ?? null, value: message.value, headers })
    },
  })
  return { letters, stop: () => connection.release(consumer) }
}
