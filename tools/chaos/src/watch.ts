// Reads the topics while the run goes on, from offset 0 and for itself: no service is asked what it wrote.
import { createHash } from 'node:crypto'
import {
  commandTopicOf,
  deadLetterTopic,
  RecordDecoder,
  topics,
  type AvroRecords,
  type DispatchStep,
  type RecordName,
  type SendRequested,
  type SequenceChanged,
} from '@stepcast/contracts'
import { isRecord, KafkaConnection, silentLog, type KafkaConfig, type RegistryConfig } from '@stepcast/kafka'
import { sleep } from '@stepcast/stack'
import type { DeadLetter, Recorded } from './history'

/** Names a value's bytes, as a dead letter does that does not keep them. */
export const digestOf = (value: Buffer | null): string =>
  createHash('sha256')
    .update(value ?? '')
    .digest('hex')

interface Raw {
  readonly offset: number
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
}

const reopenAfterMs = 500

/** Everything on the topics so far. */
export class Watch {
  readonly sends: Recorded<SendRequested>[] = []
  readonly changes: Recorded<SequenceChanged>[] = []
  readonly commands: Recorded<DispatchStep>[] = []
  readonly deadLetters: DeadLetter[] = []
  private readonly next = new Map<string, number>()
  private readonly listeners: ((change: SequenceChanged) => void)[] = []
  private connection: KafkaConnection | null = null
  private closed = false
  private readonly takers = new Map<string, (topic: string, partition: number, raw: Raw) => Promise<void> | void>()

  constructor(
    private readonly kafka: KafkaConfig,
    private readonly registry: RegistryConfig,
  ) {
    const decoding = <R extends RecordName>(record: R, keep: (recorded: Recorded<AvroRecords[R]>) => void) => {
      const decoder = new RecordDecoder(record, (id) => this.connection!.registry.schemaById(id))
      return async (topic: string, partition: number, { offset, value }: Raw): Promise<void> => {
        const decoded = await Promise.resolve()
          .then(() => decoder.decode(value!))
          .catch((error: { reason?: string }) => {
            // What nobody can read was put there by us: its dead letter is looked at elsewhere.
            if (error.reason === undefined) throw error
            return null
          })
        if (decoded !== null) keep({ topic, partition, offset, value: decoded, digest: digestOf(value) })
      }
    }
    this.takers.set(
      topics.sends.name,
      decoding('SendRequested', (record) => this.sends.push(record)),
    )
    for (const topic of Object.values(commandTopicOf)) {
      this.takers.set(
        topic.name,
        decoding('DispatchStep', (record) => this.commands.push(record)),
      )
    }
    this.takers.set(
      topics.sequences.name,
      decoding('SequenceChanged', (record) => {
        this.changes.push(record)
        for (const listener of this.listeners) listener(record.value)
      }),
    )
    this.takers.set(deadLetterTopic.name, (_topic, _partition, { value, headers }) => {
      this.deadLetters.push({
        topic: headers.topic ?? '',
        digest: headers['value-sha256'] ?? digestOf(value),
        place: `${headers.partition}/${headers.offset}`,
        reason: headers.reason ?? '',
        detail: headers.detail ?? '',
      })
    })
  }

  /** Calls for every change as it is read, repetitions included. */
  onChange(listener: (change: SequenceChanged) => void): void {
    this.listeners.push(listener)
  }

  /** Begins, and begins again whenever the client gives up. */
  async open(): Promise<void> {
    const connection = new KafkaConnection({
      kafka: this.kafka,
      registry: this.registry,
      log: silentLog,
      onFatal: () => void this.reopen(connection),
    })
    this.connection = connection
    const consumer = connection.consumer({
      groupId: `chaos-checker-${process.pid}-${Date.now()}`,
      sessionTimeout: 30_000,
      maxWaitTimeInMs: 100,
      allowAutoTopicCreation: false,
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [...this.takers.keys()], fromBeginning: true })
    await consumer.run({
      partitionsConsumedConcurrently: 1,
      eachBatch: async ({ batch, heartbeat }) => {
        const take = this.takers.get(batch.topic)!
        const place = `${batch.topic}/${batch.partition}`
        for (const { offset, value, headers } of batch.messages.filter(isRecord)) {
          // Whatever the client reads again after a restart was taken before.
          if (Number(offset) < (this.next.get(place) ?? 0)) continue
          const raw = {
            offset: Number(offset),
            value,
            headers: Object.fromEntries(Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)])),
          }
          await take(batch.topic, batch.partition, raw)
          this.next.set(place, Number(offset) + 1)
        }
        await heartbeat()
      },
    })
    // The group is a new one: read again from the beginning, a long run would be looked at a minute late.
    for (const [place, offset] of this.next) {
      const [topic, partition] = place.split('/')
      consumer.seek({ topic: topic!, partition: Number(partition), offset: String(offset) })
    }
  }

  /** Reads to the ends that the topics have now. */
  async caughtUp(withinMs: number): Promise<boolean> {
    const deadline = Date.now() + withinMs
    for (const topic of this.takers.keys()) {
      const ends = await this.connection!.endOffsets(topic)
      while ([...ends].some(([partition, end]) => (this.next.get(`${topic}/${partition}`) ?? 0) < end)) {
        if (Date.now() > deadline) return false
        await sleep(50)
      }
    }
    return true
  }

  async close(): Promise<void> {
    this.closed = true
    await this.connection?.close()
  }

  private async reopen(failed: KafkaConnection): Promise<void> {
    await failed.close().catch(() => undefined)
    while (!this.closed) {
      try {
        return await this.open()
      } catch {
        await sleep(reopenAfterMs)
      }
    }
  }
}
