// Dead letters: records that could not be used, kept with their bytes, their origin and the reason.
import type { IHeaders } from 'kafkajs'
import { deadLetterTopic } from '@stepcast/contracts'
import type { KafkaConnection } from './connection'
import type { Passed } from './fetchedBatches'

/** A record as it came from the broker. */
export interface RawIncoming {
  /** The topic's name without prefix. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: IHeaders
  /** Broker or producer time, milliseconds. */
  readonly timestamp: number
  /** Of the whole record, headers included, as they were fetched; not known of those that a spec makes. */
  readonly bytes?: number | undefined
  /** It is no record: it stands for these offsets. */
  readonly passed?: Passed | undefined
}

/** Reasons are snake_case words that an operator filters by; the detail is a sentence without personal data. */
export interface DeadLetter {
  readonly record: RawIncoming
  readonly reason: string
  readonly detail: string
}

const text = (header: IHeaders[string]): string | undefined => (header === undefined ? undefined : String(header))

/**
 * Writes dead letters; answers once Kafka has them. `origin-*` headers of a rerouted record win over where it was found,
 * so that an operator is led to the producer's own record.
 */
export async function writeDeadLetters(connection: KafkaConnection, letters: readonly DeadLetter[]): Promise<void> {
  if (letters.length === 0) return
  const producer = await connection.producer()
  await producer.sendRaw(
    deadLetterTopic.name,
    letters.map(({ record, reason, detail }) => ({
      key: record.key,
      value: record.value,
      headers: {
        ...record.headers,
        topic: text(record.headers['origin-topic']) ?? record.topic,
        partition: text(record.headers['origin-partition']) ?? String(record.partition),
        offset: text(record.headers['origin-offset']) ?? String(record.offset),
        reason,
        detail,
      },
    })),
  )
  for (const { record, reason, detail } of letters) {
    connection.onDeadLetter(record.topic, reason)
    connection.log.warn({ topic: record.topic, partition: record.partition, offset: record.offset, reason, detail }, 'dead letter')
  }
}
