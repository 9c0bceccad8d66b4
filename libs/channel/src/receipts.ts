// Receipts on their way to Kafka: those that come while a batch is being written make the next one.
import { parseMessageId, topics, type EngagementReported } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'

interface Waiting {
  readonly report: EngagementReported
  readonly done: (error: Error | null) => void
}

// 300 bytes each: 3 MB. More than that waiting means Kafka is away: phones come again.
const maxWaiting = 10_000
const batchSize = 500
const timeoutMs = 5_000

/** Kafka has not acknowledged in time; the receipt may still be written, and repeating it is harmless. */
export class ReceiptsUnavailable extends Error {
  readonly retriable = true
}

/** Writes receipts in batches. */
export class Receipts {
  private waiting: Waiting[] = []
  private isWriting = false

  constructor(private readonly connection: KafkaConnection) {}

  /** Answers once Kafka has the report. @throws ReceiptsUnavailable after 5 s, or at once when 10,000 wait. */
  write(report: EngagementReported): Promise<void> {
    if (this.waiting.length >= maxWaiting) return Promise.reject(new ReceiptsUnavailable('10,000 receipts are waiting for Kafka'))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new ReceiptsUnavailable(`Kafka has not acknowledged within ${timeoutMs} ms`)), timeoutMs)
      this.waiting.push({
        report,
        done: (error) => {
          clearTimeout(timer)
          if (error) reject(new ReceiptsUnavailable(error.message))
          else resolve()
        },
      })
      if (!this.isWriting) void this.drain()
    })
  }

  private async drain(): Promise<void> {
    this.isWriting = true
    while (this.waiting.length > 0) {
      const batch = this.waiting.slice(0, batchSize)
      this.waiting = this.waiting.slice(batch.length)
      const error = await this.send(batch.map(({ report }) => report)).then(
        () => null,
        (cause: Error) => cause,
      )
      batch.forEach(({ done }) => done(error))
    }
    this.isWriting = false
  }

  private async send(reports: readonly EngagementReported[]): Promise<void> {
    const producer = await this.connection.producer()
    await producer.send(
      topics.engagements,
      reports.map((value) => ({ key: parseMessageId(value.messageId)!.sequenceId, value })),
    )
  }
}
