// An outside Kafka client, as any team would write one: the plain client and the schema registry, nothing of Stepcast.
import { loadProtocol } from '@stepcast/testing'
// eslint-disable-next-line no-restricted-imports -- an outsider has no @stepcast/kafka: what it does for us must not be needed
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
// eslint-disable-next-line no-restricted-imports -- likewise
import { Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'

loadProtocol()

/** A dead letter as an operator's consumer sees it. */
export interface DeadLetter {
  readonly key: string | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
}

/** A producer with the registry's latest schemas, and a consumer of the dead letters. */
export class OutsideKafka {
  readonly deadLetters: DeadLetter[] = []

  private constructor(
    private readonly producer: Producer,
    private readonly registry: SchemaRegistry,
    private readonly disconnect: () => Promise<unknown>,
  ) {}

  static async connect(brokers: string, registryUrl: string): Promise<OutsideKafka> {
    const kafka = new Kafka({ clientId: 'outside', brokers: brokers.split(','), logLevel: logLevel.WARN })
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false })
    const consumer = kafka.consumer({ groupId: 'outside-operator', allowAutoTopicCreation: false })
    await Promise.all([producer.connect(), consumer.connect()])
    const disconnect = () => Promise.all([producer.disconnect(), consumer.disconnect()])
    const outside = new OutsideKafka(producer, new SchemaRegistry({ host: registryUrl }), disconnect)
    await consumer.subscribe({ topics: ['stepcast.dead-letters.v1'], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message: { key, value, headers } }) => {
        const text = Object.entries(headers ?? {}).map(([name, header]) => [name, String(header)] as const)
        outside.deadLetters.push({ key: key?.toString() ?? null, value, headers: Object.fromEntries(text) })
      },
    })
    return outside
  }

  /** The bytes of a record under the latest schema of its topic. */
  async encode(topic: string, record: object): Promise<Buffer> {
    return this.registry.encode(await this.registry.getLatestSchemaId(`${topic}-value`), record)
  }

  /** Produces one record, acknowledged. */
  async produce(topic: string, key: string | null, value: object | Buffer): Promise<void> {
    const bytes = Buffer.isBuffer(value) ? value : await this.encode(topic, value)
    await this.producer.send({ topic, acks: -1, messages: [{ key, value: bytes }] })
  }

  close(): Promise<unknown> {
    return this.disconnect()
  }
}
