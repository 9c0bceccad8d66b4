// What the driver puts on Kafka: small shuffled batches, each repeated until acknowledged, as any patient producer would.
import type { KafkaConnection, RawRecord } from '@stepcast/kafka'
import { sleep } from '@stepcast/stack'
import { batchOf, type Codec, type WireRecord } from './batches'
import type { Random } from './random'
import type { Wire } from './wire'

interface Waiting {
  readonly topic: string
  readonly record: RawRecord
  readonly onSent: (sentAt: number, ackedAt: number) => void
}

interface Bare {
  readonly topic: string
  readonly partition: number
  readonly record: WireRecord
  readonly codec: Codec
  readonly onSent: (offset: number, sentAt: number, ackedAt: number) => void
}

const gatherMs = 40
const againMs = 300
const atOnce = 500

/** A producer that shuffles what gathers within 40 ms. */
export class Outbox {
  private waiting: Waiting[] = []
  private bare: Bare[] = []
  private inHand = 0
  private stopped = false
  private running: Promise<void> = Promise.resolve()

  constructor(
    private readonly connection: () => KafkaConnection,
    private readonly wire: Wire,
    private readonly random: Random,
  ) {}

  start(): void {
    this.running = this.run()
  }

  /** Queues a record; `onSent` is called once Kafka has it, with when it was first put on its way. */
  put(topic: string, record: RawRecord, onSent: (sentAt: number, ackedAt: number) => void = () => undefined): void {
    this.waiting.push({ topic, record, onSent })
  }

  /** Queues a record that only a producer other than ours would write: any bytes, any codec. */
  putBare(topic: string, partition: number, record: WireRecord, codec: Codec, onSent: Bare['onSent'] = () => undefined): void {
    this.bare.push({ topic, partition, record, codec, onSent })
  }

  /** How many are not acknowledged yet. */
  get pending(): number {
    return this.waiting.length + this.bare.length + this.inHand
  }

  async stop(): Promise<void> {
    this.stopped = true
    await this.running
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      await sleep(gatherMs)
      const batch = this.random.shuffled(this.waiting.splice(0, atOnce))
      const bare = this.bare.splice(0, atOnce)
      this.inHand = batch.length + bare.length
      await Promise.all([
        this.sendBare(bare),
        ...[...new Set(batch.map(({ topic }) => topic))].map((topic) =>
          this.send(
            topic,
            batch.filter((one) => one.topic === topic),
          ),
        ),
      ])
      this.inHand = 0
    }
  }

  /** One after another: each is a batch of its own. */
  private async sendBare(all: readonly Bare[]): Promise<void> {
    for (const { topic, partition, record, codec, onSent } of all) {
      const sentAt = Date.now()
      while (!this.stopped) {
        const { error, offset } = await this.wire
          .produce(topic, partition, batchOf([record], Date.now(), { codec }))
          .catch(() => ({ error: -1, offset: -1 }))
        if (error === 0) {
          onSent(offset, sentAt, Date.now())
          break
        }
        await sleep(againMs)
      }
    }
  }

  private async send(topic: string, batch: readonly Waiting[]): Promise<void> {
    const sentAt = Date.now()
    while (!this.stopped) {
      try {
        await (await this.connection().producer()).sendRaw(
          topic,
          batch.map(({ record }) => record),
        )
        const ackedAt = Date.now()
        for (const { onSent } of batch) onSent(sentAt, ackedAt)
        return
      } catch {
        // Perhaps Kafka has it: sent again, it is a duplicate.
        await sleep(againMs)
      }
    }
  }
}
