// Producing: typed records with their headers, acknowledged by all replicas, in bounded chunks.
import { randomUUID } from 'node:crypto'
import { Partitioners, type IHeaders, type Kafka, type Message, type Producer } from 'kafkajs'
import { encodeRecord, newTraceparent, type AvroRecords, type RecordName, type Topic } from '@stepcast/contracts'
import type { KafkaConnection } from './connection'
import { standInFor } from './encodedBatches'
import type { RecordBatch } from './recordBatch'

/** A record to be produced. */
export interface OutgoingRecord<R extends RecordName> {
  readonly key: string
  /** null: a tombstone on a compacted topic. */
  readonly value: AvroRecords[R] | null
  readonly headers?: Readonly<Record<string, string>>
  /** Only where the partition is not the key's own. */
  readonly partition?: number
}

/** A record already encoded. */
export interface RawRecord {
  readonly key: Buffer | string | null
  readonly value: Buffer | null
  readonly headers?: IHeaders
  readonly partition?: number
}

// kafkajs makes one batch of all records of a partition, and a batch over the topic's 4 MB fails for ever;
// 512 kB also keeps a single request short on a slow link.
export const maxChunkBytes = 512 * 1024

/** A batch to be written to one partition. */
export interface EncodedBatch {
  readonly topic: string
  readonly partition: number
  readonly batch: RecordBatch
}

/** Writes records; every answer means that all in-sync replicas have them. */
export class RecordProducer {
  private constructor(
    private readonly connection: KafkaConnection,
    private readonly producer: Producer,
    private readonly traceparent: () => string | null,
  ) {}

  /** Connects a producer. For use by {@link KafkaConnection}. */
  static async connect(connection: KafkaConnection, kafka: Kafka, traceparent: () => string | null): Promise<RecordProducer> {
    // Not idempotent: kafkajs rolls its sequence numbers back before a retry. Readers deduplicate by positions and ids.
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false })
    await producer.connect()
    return new RecordProducer(connection, producer, traceparent)
  }

  /**
   * Encodes and writes records, keeping their order per key.
   * @throws CodecError (retriable false) when a value does not fit its schema; else an error with `retriable` true.
   */
  async send<R extends RecordName>(topic: Topic<R>, records: readonly OutgoingRecord<R>[]): Promise<void> {
    if (records.length === 0) return
    const schemaId = await this.connection.registry.writerIdOf(topic)
    const time = new Date().toISOString()
    await this.sendRaw(
      topic.name,
      records.map(({ key, value, headers, partition }) => ({
        key,
        value: value === null ? null : encodeRecord(topic.record, schemaId, value),
        headers: {
          ce_specversion: '1.0', ce_id: randomUUID(), ce_type: `stepcast.v1.${topic.record}`, ce_source: `/${this.connection.clientId}`, ce_time: time,
          'content-type': 'application/avro', traceparent: headers?.traceparent ?? this.traceparent() ?? newTraceparent(), ...headers,
        },
        ...(partition === undefined ? {} : { partition }),
      })),
    )
  }

  /** Writes records that are already encoded, in chunks of at most 512 kB one after another, so that order holds. */
  async sendRaw(topicName: string, records: readonly RawRecord[]): Promise<void> {
    const topic = this.connection.physical(topicName)
    for (const chunk of chunksOf(records)) {
      await this.producer.send({ topic, acks: -1, messages: chunk as Message[] }).catch(asRetriable)
    }
  }

  /** Writes batches in one request, one for each topic-partition; the caller keeps each under {@link maxChunkBytes}. */
  async sendEncoded(batches: readonly EncodedBatch[]): Promise<void> {
    const topicMessages = batches.map(({ topic, partition, batch }) => ({ topic: this.connection.physical(topic), messages: [standInFor(partition, batch)] }))
    await this.producer.sendBatch({ acks: -1, topicMessages }).catch(asRetriable)
  }

  /** Disconnects. For use by {@link KafkaConnection}. */
  disconnect(): Promise<void> {
    return this.producer.disconnect()
  }
}

// The client's own `retriable` speaks of one request; that Kafka is out of reach is always worth another try later.
function asRetriable(cause: Error): never {
  throw Object.assign(new Error(`Kafka did not take the records: ${cause.message}`), { retriable: true, cause })
}

/** Cuts records into chunks of at most 512 kB (a larger single record is a chunk of its own). */
export function* chunksOf(records: readonly RawRecord[]): Generator<readonly RawRecord[]> {
  let chunk: RawRecord[] = []
  let bytes = 0
  for (const record of records) {
    // 200 bytes stand for headers and framing.
    const size = (record.value?.length ?? 0) + (record.key?.length ?? 0) + 200
    if (bytes + size > maxChunkBytes && chunk.length > 0) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(record)
    bytes += size
  }
  if (chunk.length > 0) yield chunk
}
