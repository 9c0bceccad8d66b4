// Reads a topic in specs: every record so far, or as soon as there are enough.
import { deadLetterTopic, type AvroRecords, type RecordName, type Topic } from '@stepcast/contracts'
import { consumeRecords, type IncomingRecord, type KafkaConnection } from '@stepcast/kafka'
import { eventually } from './eventually'

/** Everything a topic holds, read to the end it had at the call. */
export async function readTopic<R extends RecordName>(connection: KafkaConnection, topic: Topic<R>): Promise<IncomingRecord<R>[]> {
  const offsets = await connection.offsets(topic.name)
  const wanted = [...offsets].filter(([, { low, end }]) => end > low)
  if (wanted.length === 0) return []
  const found: IncomingRecord<R>[] = []
  const reached = new Map<number, number>()
  const consumer = await consumeRecords(connection, {
    topic,
    groupId: `reader-${process.hrtime.bigint()}`,
    tombstones: true,
    handle: async (records, { partition, nextOffset }) => {
      found.push(...records)
      reached.set(partition, nextOffset)
    },
  })
  try {
    await eventually(() => wanted.every(([partition, { end }]) => (reached.get(partition) ?? 0) >= end), { everyMs: 20 })
  } finally {
    await consumer.stop()
  }
  return found.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** The values of a topic, tombstones left out. */
export async function readValues<R extends RecordName>(connection: KafkaConnection, topic: Topic<R>): Promise<AvroRecords[R][]> {
  return (await readTopic(connection, topic)).flatMap(({ value }) => (value === null ? [] : [value]))
}

/** A dead letter as an operator sees it. */
export interface ReadDeadLetter {
  readonly key: string | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
}

/** Every dead letter so far. */
export async function readDeadLetters(connection: KafkaConnection): Promise<ReadDeadLetter[]> {
  const offsets = await connection.offsets(deadLetterTopic.name)
  const total = [...offsets.values()].reduce((sum, { low, end }) => sum + end - low, 0)
  if (total === 0) return []
  const found: ReadDeadLetter[] = []
  const consumer = connection.consumer({ groupId: `dead-letters-${process.hrtime.bigint()}` })
  await consumer.connect()
  await consumer.subscribe({ topics: [connection.physical(deadLetterTopic.name)], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      const headers = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, header]) => [name, String(header)]))
      found.push({ key: message.key?.toString() ?? null, value: message.value, headers })
    },
  })
  try {
    await eventually(() => found.length >= total, { everyMs: 20 })
  } finally {
    await connection.release(consumer)
  }
  return found
}
