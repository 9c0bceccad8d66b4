// What the driver puts on Kafka: small shuffled batches, each repeated until acknowledged, as any patient producer would.
import type { KafkaConnection, RawRecord } from '@stepcast/kafka'
import { sleep } from '@stepcast/stack'
import type { Random } from './random'

interface Waiting {
  readonly topic: string
  readonly record: RawRecord
  readonly onSent: (sentAt: number, ackedAt: number) => void
}

const gatherMs = 40
const againMs = 300
const atOnce = 500

/** A producer that shuffles what gathers within 40 ms. */
export class Outbox {
  private waiting: Waiting[] = []
  private inHand = 0
  private stopped = false
  private running: Promise<void> = Promise.resolve()

  constructor(
    private readonly connection: () => KafkaConnection,
    private readonly random: Random,
  ) {}

  start(): void {
    this.running = this.run()
  }

  /** Queues a record; `onSent` is called once Kafka has it, with when it was first put on its way. */
  put(topic: string, record: RawRecord, onSent: (sentAt: number, ackedAt: number) => void = () => undefined): void {
    this.waiting.push({ topic, record, onSent })
  }

  /** How many are not acknowledged yet. */
  get pending(): number {
    return this.waiting.length + this.inHand
  }

  async stop(): Promise<void> {
    this.stopped = true
    await this.running
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      await sleep(gatherMs)
      const batch = this.random.shuffled(this.waiting.splice(0, atOnce))
      this.inHand = batch.length
      await Promise.all(
        [...new Set(batch.map(({ topic }) => topic))].map((topic) =>
          this.send(
            topic,
            batch.filter((one) => one.topic === topic),
          ),
        ),
      )
      this.inHand = 0
    }
  }

  private async send(topic: string, batch: readonly Waiting[]): Promise<void> {
    const sentAt = Date.now()
    while (!this.stopped) {
      try {
        await (
          await this.connection().producer()
        ).sendRaw(
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
