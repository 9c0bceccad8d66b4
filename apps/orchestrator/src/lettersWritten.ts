// Which dead letters Kafka has of inputs that are not stored yet: whatever is tried again, its letters do not multiply.
import { writeDeadLetters, type DeadLetter, type KafkaConnection } from '@stepcast/kafka'

const nameOf = ({ record: { topic, partition, offset }, reason }: DeadLetter): string => `${topic} ${partition} ${offset} ${reason}`

/** The letters of one home partition; a few while inputs are tried again, else none. */
export class LettersWritten {
  private readonly letters = new Map<string, DeadLetter['record']>()

  /** Writes those that were not written yet; answers once Kafka has them. */
  async write(connection: KafkaConnection, letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return
    await writeDeadLetters(connection, letters.filter((letter) => !this.letters.has(nameOf(letter))))
    for (const letter of letters) this.letters.set(nameOf(letter), letter.record)
  }

  /** Everything of the topic before `offset` is stored: it comes back no more. */
  passed(topic: string, offset: number): void {
    if (this.letters.size === 0) return
    for (const [name, record] of this.letters) if (record.topic === topic && record.offset < offset) this.letters.delete(name)
  }
}
