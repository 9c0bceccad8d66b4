// One process's connection to Kafka: the client, one producer, one admin, all shared.
import { ConfigResourceTypes, Kafka, type Admin, type Consumer, type ConsumerConfig } from 'kafkajs'
import { withBrokers, type Brokers } from './brokers'
import './clientRepairs'
import { clientOptions, type KafkaConfig, type RegistryConfig } from './config'
import './fetchedBatches'
import { clientLogCreator, type Log } from './log'
import { RecordProducer } from './produce'
import { RecentLetters } from './recentLetters'
import { Registry } from './registry'
import type { MissingRight } from './rights'

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'

const closePatienceMs = 2_000

/** What a connection is made of. */
export interface ConnectionOptions {
  readonly kafka: KafkaConfig
  readonly registry: RegistryConfig
  readonly log: Log
  /** The W3C traceparent of the work at hand, put on records that bring none. */
  readonly traceparent?: () => string | null
  /** Called when a consumer has stopped for good; the default logs and ends the process, so that its supervisor restarts it. */
  readonly onFatal?: (error: Error) => void
}

/** The offsets that a partition holds: the first kept, and the one after the last. */
export interface PartitionOffsets {
  readonly low: number
  readonly end: number
}

/** Kafka as one process sees it. Nothing connects before it is used. */
export class KafkaConnection {
  readonly registry: Registry
  readonly log: Log
  readonly topicPrefix: string
  readonly clientId: string
  /** Told of every dead letter written, for metrics. */
  onDeadLetter: (topic: string, reason: string) => void = () => {}
  /** For use inside this library. */
  readonly recentLetters = new RecentLetters()
  private readonly kafka: Kafka
  private sharedProducer: Promise<RecordProducer> | null = null
  private sharedAdmin: Promise<{ readonly made: Admin; readonly brokers: Brokers }> | null = null
  private readonly consumers = new Set<Consumer>()
  private closed = false

  constructor(private readonly options: ConnectionOptions) {
    const { kafka, registry, log } = options
    this.registry = new Registry(registry)
    this.log = log
    this.topicPrefix = kafka.topicPrefix
    this.clientId = kafka.clientId
    this.kafka = new Kafka({ ...clientOptions(kafka), logCreator: clientLogCreator(log) })
  }

  /** A topic's name on the broker. */
  physical(topicName: string): string {
    return this.topicPrefix + topicName
  }

  /** The shared producer, connected at first use. */
  producer(): Promise<RecordProducer> {
    this.sharedProducer ??= RecordProducer.connect(this, this.kafka, this.options.traceparent ?? (() => null)).catch((error: Error) => {
      this.sharedProducer = null
      throw error
    })
    return this.sharedProducer
  }

  /** The shared admin client, connected at first use. */
  async admin(): Promise<Admin> {
    return (await this.adminWithBrokers()).made
  }

  private adminWithBrokers(): Promise<{ readonly made: Admin; readonly brokers: Brokers }> {
    if (this.sharedAdmin === null) {
      const admin = withBrokers(this.kafka, () => this.kafka.admin())
      this.sharedAdmin = admin.made.connect().then(
        () => admin,
        (error: Error) => {
          this.sharedAdmin = null
          throw error
        },
      )
    }
    return this.sharedAdmin
  }

  /** The offsets of every partition of a topic, read now. */
  async offsets(topicName: string): Promise<ReadonlyMap<number, PartitionOffsets>> {
    const { brokers } = await this.adminWithBrokers()
    const topic = this.physical(topicName)
    const [ends, lows] = await Promise.all([brokers.offsets(topic, 'end'), brokers.offsets(topic, 'first')])
    return new Map([...ends].map(([partition, end]) => [partition, { low: lows.get(partition) ?? end, end }]))
  }

  /** The end offset (one past the last record; where a transaction is open, its first) of every partition of a topic, read now. */
  async endOffsets(topicName: string): Promise<ReadonlyMap<number, number>> {
    return (await this.adminWithBrokers()).brokers.offsets(this.physical(topicName), 'end')
  }

  /** The end offsets of the partitions whose leaders answer within a second; the others are missing. */
  async endOffsetsInTime(topicName: string): Promise<ReadonlyMap<number, number>> {
    return (await this.adminWithBrokers()).brokers.endsInTime(this.physical(topicName))
  }

  /** The offsets that a group has committed, of the partitions of which it has; read now. */
  async committed(groupId: string, topicName: string): Promise<ReadonlyMap<number, number>> {
    const topics = [this.physical(topicName)]
    const found = await (await this.admin()).fetchOffsets({ groupId: this.topicPrefix + groupId, topics })
    const offsets = found.flatMap(({ partitions }) => partitions).map(({ partition, offset }) => [partition, Number(offset)] as const)
    // -1: nothing committed, or over its retention.
    return new Map(offsets.filter(([, offset]) => offset >= 0))
  }

  /** Which rights are missing, of topics by their names on the broker and of groups. */
  async missingRights(topics: readonly string[], groups: readonly string[]): Promise<MissingRight[]> {
    return (await this.adminWithBrokers()).brokers.missingRights(topics, groups)
  }

  /** Whether this connection is closed or being closed: nobody should ask it for more. */
  get isClosed(): boolean {
    return this.closed
  }

  /** From now on the broker stamps a topic's records as it appends them, whatever time their producer gave. For measurements. */
  async stampOnAppend(topicName: string): Promise<void> {
    await (await this.admin()).alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: ConfigResourceTypes.TOPIC,
          name: this.physical(topicName),
          configEntries: [{ name: 'message.timestamp.type', value: 'LogAppendTime' }],
        },
      ],
    })
  }

  /** The number of partitions of a topic. */
  async partitionsOf(topicName: string): Promise<number> {
    return (await this.endOffsets(topicName)).size
  }

  /** The identity of the cluster: offsets mean nothing on another. */
  async clusterId(): Promise<string> {
    return (await (await this.admin()).describeCluster()).clusterId
  }

  /** A consumer of this connection; one that has stopped for good ends the process. For use inside this library. */
  consumer(config: ConsumerConfig): Consumer {
    const consumer = this.kafka.consumer({ ...config, groupId: this.topicPrefix + config.groupId })
    this.consumers.add(consumer)
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (payload.restart) this.log.warn({ group: config.groupId, error: payload.error.message }, 'consumer restarts after an error')
      else this.fatal(payload.error)
    })
    return consumer
  }

  /** Disconnects a consumer made here. */
  async release(consumer: Consumer): Promise<void> {
    this.consumers.delete(consumer)
    await consumer.disconnect()
  }

  /** The work cannot go on in this process: say so and end it, so that a supervisor starts it anew. */
  fatal(error: Error): void {
    if (this.options.onFatal) return this.options.onFatal(error)
    this.log.error({ error: error.message, stack: error.stack }, 'cannot go on: ending the process')
    process.exit(1)
  }

  /** Disconnects everything; 2 s at most, because with Kafka away the client would finish its retries first. */
  async close(): Promise<void> {
    this.closed = true
    const closing = Promise.allSettled([
      ...[...this.consumers].map((consumer) => this.release(consumer)),
      this.sharedProducer?.then((producer) => producer.disconnect()),
      this.sharedAdmin?.then(({ made, brokers }) => (brokers.close(), made.disconnect())),
    ])
    this.sharedProducer = this.sharedAdmin = null
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, closePatienceMs).unref())])
  }
}
