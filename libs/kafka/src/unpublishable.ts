// A record that a service could not write: kept on the dead letters as JSON, since it has no bytes and no place on its topic.
import { errorClass } from '@stepcast/contracts'
import type { KafkaConnection } from './connection'
import { writeDeadLetters } from './deadLetter'

/** The partition of letters about records that were never written. */
export const neverWritten = -1
// Letters of one place are about one record, so each has an offset of its own.
let lastOffset = 0

/** Puts a record that was never written on the dead letters: its partition is {@link neverWritten}, its value JSON. For the last resort of an outbox. */
export const keepUnpublishable =
  (connection: KafkaConnection) =>
  ({
    topic,
    key,
    value,
    traceparent,
    error,
  }: {
    readonly topic: string
    readonly key: string
    readonly value: unknown
    readonly traceparent: string | null
    readonly error: unknown
  }): Promise<void> =>
    writeDeadLetters(connection, [
      {
        record: {
          topic,
          partition: neverWritten,
          offset: (lastOffset = Math.max(Date.now(), lastOffset + 1)),
          key: Buffer.from(key),
          value: value === null ? null : Buffer.from(JSON.stringify(value)),
          headers: { 'content-type': 'application/json', ...(traceparent === null ? {} : { traceparent }) },
          timestamp: Date.now(),
        },
        reason: 'unprocessable',
        detail: `was never written to the topic: failed three times with ${errorClass(error)}`,
      },
    ])
