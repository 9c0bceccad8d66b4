// Producing: typed records with their headers, acknowledged by all replicas, in bounded chunks.
import { randomInt, randomUUID } from 'node:crypto'
import type { IHeaders, Kafka, Producer } from 'kafkajs'
import {
  ScratchEncoder,
  avroTypes,
  commonHeaders,
  encodeRecord,
  murmur2,
  newTraceparent,
  partitionOf,
  type AvroRecords,
  type RecordName,
  type Topic,
} from '@stepcast/contracts'
import { withBrokers, type Brokers } from './brokers'
import { standInFor, type StandIn } from './encodedBatches'
import { RecordBatch, SharedHeaders, type HeaderValue } from './recordBatch'
import type { Registry } from './registry'
import { asRetriable } from './retriable'

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

// A request's records of a partition are one batch, and a batch over the topic's 4 MB fails for ever;
// 512 kB also keeps a single request short on a slow link.
export const maxChunkBytes = 512 * 1024

/** A batch to be written to one partition. */
export interface EncodedBatch {
  readonly topic: string
  readonly partition: number
  readonly batch: RecordBatch
}

// Reused by every send of the process: values are encoded here and copied into their batch in the same tick.
const scratch = new ScratchEncoder()

/** What a producer needs of the connection that it belongs to. */
export interface ProducerSurroundings {
  readonly registry: Registry
  readonly clientId: string
  /** A topic's name on the broker. */
  physical(topicName: string): string
}

/** Writes records; every answer means that all in-sync replicas have them. */
export class RecordProducer {
  /** By topic, the partition of its last record without key. */
  private readonly lastOfKeyless = new Map<string, number>()

  private constructor(
    private readonly connection: ProducerSurroundings,
    private readonly producer: Producer,
    private readonly brokers: Brokers,
    private readonly traceparent: () => string | null,
  ) {}

  /** Connects a producer. For use by `KafkaConnection`. */
  static async connect(connection: ProducerSurroundings, kafka: Kafka, traceparent: () => string | null): Promise<RecordProducer> {
    // Not idempotent: kafkajs rolls its sequence numbers back before a retry. Readers deduplicate by positions and ids.
    const { made, brokers } = withBrokers(kafka, () =>
      kafka.producer({
        createPartitioner:
          () =>
          ({ message }) =>
            message.partition!,
        allowAutoTopicCreation: false,
      }),
    )
    await made.connect()
    return new RecordProducer(connection, made, brokers, traceparent)
  }

  /**
   * Encodes and writes records, keeping their order per key; none is written unless all fit their schema.
   * @throws CodecError (retriable false) when a value does not fit its schema; else an error with `retriable` true.
   */
  async send<R extends RecordName>(topic: Topic<R>, records: readonly OutgoingRecord<R>[]): Promise<void> {
    if (records.length === 0) return
    const schemaId = await this.connection.registry.writerIdOf(topic)
    const chunks = await this.chunksFor(topic.name, records.length)
    const common = commonHeaders(topic.record, this.connection.clientId)
    const shared = new SharedHeaders(common)
    for (const { key, value, headers, partition } of records) {
      const own = { ce_id: randomUUID(), traceparent: headers?.traceparent ?? this.traceparent() ?? newTraceparent(), ...headers }
      // A given header takes the place of the common one; twice the same name would be two values.
      const takesPlace = headers !== undefined && Object.keys(headers).some((name) => name in common)
      const end = value === null ? 0 : encode(topic.record, schemaId, value)
      chunks.add(
        partition ?? partitionOf(key, chunks.partitions),
        key,
        value === null ? null : scratch.buffer,
        end,
        takesPlace ? { ...common, ...own } : own,
        takesPlace ? null : shared,
      )
    }
    await this.write(topic.name, chunks)
  }

  /** Writes records that are already encoded, in chunks of at most 512 kB one after another, so that order holds. */
  async sendRaw(topicName: string, records: readonly RawRecord[]): Promise<void> {
    if (records.length === 0) return
    const chunks = await this.chunksFor(topicName, records.length)
    for (const { key, value, headers, partition } of records) {
      chunks.add(partition ?? this.partitionFor(topicName, key, chunks.partitions), key, value, value?.length ?? 0, headers, null)
    }
    await this.write(topicName, chunks)
  }

  /** Writes batches in one request a broker, one for each topic-partition; the caller keeps each under {@link maxChunkBytes}. */
  async sendEncoded(batches: readonly EncodedBatch[]): Promise<void> {
    const messages = new Map<string, StandIn[]>()
    for (const { topic, partition, batch } of batches) {
      const physical = this.connection.physical(topic)
      const standIn = standInFor(partition, batch)
      const others = messages.get(physical)
      if (others) others.push(standIn)
      else messages.set(physical, [standIn])
    }
    const topicMessages = [...messages].map(([topic, standIns]) => ({ topic, messages: standIns }))
    const answers = await this.producer.sendBatch({ acks: -1, topicMessages }).catch(refused)
    // The client says nothing of a batch it left out: of a partition that it does not know, and of one whose leader changed while another
    // broker's part of the same send was answered already.
    const answered = new Set(answers.map(({ topicName, partition }) => `${partition} ${topicName}`))
    for (const { topic, partition } of batches) {
      if (!answered.has(`${partition} ${this.connection.physical(topic)}`))
        refused(new Error(`partition ${partition} of ${topic} was left out`))
    }
  }

  /** Disconnects. For use by {@link KafkaConnection}. */
  disconnect(): Promise<void> {
    this.brokers.close()
    return this.producer.disconnect()
  }

  private async chunksFor(topicName: string, records: number): Promise<Chunks> {
    return new Chunks(await this.brokers.partitionsOf(this.connection.physical(topicName)).catch(refused), records)
  }

  private partitionFor(topicName: string, key: Buffer | string | null, partitions: number): number {
    if (key === null) {
      const next = ((this.lastOfKeyless.get(topicName) ?? randomInt(partitions)) + 1) % partitions
      this.lastOfKeyless.set(topicName, next)
      return next
    }
    return typeof key === 'string' ? partitionOf(key, partitions) : murmur2(key) % partitions
  }

  private async write(topic: string, chunks: Chunks): Promise<void> {
    for (const chunk of chunks.take()) await this.sendEncoded([...chunk].map(([partition, batch]) => ({ topic, partition, batch })))
  }
}

const refused: (cause: Error) => never = asRetriable('Kafka did not take the records')

/** Encodes a value into the scratch buffer; answers where it ends. */
function encode<R extends RecordName>(record: R, schemaId: number, value: AvroRecords[R]): number {
  try {
    return scratch.write(avroTypes[record], value, scratch.begin(schemaId))
  } catch {
    // Fails as well, and says which field it is.
    const bytes = encodeRecord(record, schemaId, value)
    return scratch.copy(bytes, 0, 0, bytes.length)
  }
}

// A record of ours with its headers is smaller.
const recordBytes = 1024

/** Records of one topic on their way, by chunk and partition. A larger single record is a chunk of its own. */
class Chunks {
  private readonly full: Map<number, RecordBatch>[] = []
  private open = new Map<number, RecordBatch>()
  private bytes = 0

  constructor(
    readonly partitions: number,
    private readonly records: number,
  ) {}

  add(
    partition: number,
    key: Buffer | string | null,
    source: Buffer | null,
    end: number,
    own: Readonly<Record<string, HeaderValue>> | undefined,
    shared: SharedHeaders | null,
  ): void {
    const batch = this.batchOf(partition)
    const before = batch.size
    batch.add(key, source, 0, end, own, shared)
    this.bytes += batch.size - before
    const isAlone = this.open.size === 1 && batch.count === 1
    if (this.bytes <= maxChunkBytes || isAlone) return
    batch.takeBack(before)
    if (batch.count === 0) this.open.delete(partition)
    this.close()
    this.add(partition, key, source, end, own, shared)
  }

  /** All chunks, in order. */
  take(): readonly ReadonlyMap<number, RecordBatch>[] {
    if (this.open.size > 0) this.close()
    return this.full
  }

  private batchOf(partition: number): RecordBatch {
    let batch = this.open.get(partition)
    if (batch === undefined) {
      batch = RecordBatch.begin(Math.min(16, this.records) * recordBytes)
      this.open.set(partition, batch)
      this.bytes += batch.size
    }
    return batch
  }

  private close(): void {
    this.full.push(this.open)
    this.open = new Map()
    this.bytes = 0
  }
}
