// Records as they stand on topics, with key, value and headers as bytes.
import { deadLetterTopic, topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'

/** A record as it is checked in; bytes as base64. */
export interface ReleasedRecord {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

const withinMs = 30_000

/** Every record that the topics hold now, topic by topic, at most `most` of each. */
export async function recordsOf(connection: KafkaConnection, most = 60): Promise<ReleasedRecord[]> {
  const found: ReleasedRecord[] = []
  for (const { name } of [...Object.values(topics), deadLetterTopic]) found.push(...(await recordsOfTopic(connection, name, most)))
  return found
}

async function recordsOfTopic(connection: KafkaConnection, name: string, most: number): Promise<ReleasedRecord[]> {
  const unread = new Map(
    [...(await connection.offsets(name))].filter(([, { low, end }]) => end > low).map(([partition, { end }]) => [partition, end]),
  )
  const found: ReleasedRecord[] = []
  if (unread.size === 0) return found
  const consumer = connection.consumer({ groupId: `record-release-${process.hrtime.bigint()}` })
  await consumer.connect()
  await consumer.subscribe({ topics: [connection.physical(name)], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { key, value, headers } of batch.messages) {
        if (found.length >= most) break
        found.push({
          topic: name,
          key: key?.toString('base64') ?? null,
          value: value?.toString('base64') ?? null,
          headers: Object.fromEntries(Object.entries(headers ?? {}).map(([header, text]) => [header, String(text)])),
        })
      }
      if (Number(batch.lastOffset()) + 1 >= (unread.get(batch.partition) ?? 0)) unread.delete(batch.partition)
    },
  })
  const deadline = Date.now() + withinMs
  while (unread.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
  await connection.release(consumer)
  if (unread.size > 0) throw new Error(`${name} could not be read to its end within ${withinMs / 1_000} s`)
  return found
}
