// `CancelRequested` on the topic takes the same road as a cancel over HTTP; nobody waits for an answer, so nothing is waited for.
import { cancelProblem, sizeProblem, topics } from '@stepcast/contracts'
import { consumeRecords, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { takeUp, type CancelOptions } from './cancel'

const groupId = 'orchestrator.controls'

/** Follows `stepcast.controls.v1`. */
export function consumeControls(connection: KafkaConnection, options: CancelOptions): Promise<RunningConsumer> {
  return consumeRecords(connection, {
    topic: topics.controls, groupId, maxRecords: 100,
    async handle(records, batch) {
      for (const record of records) {
        const problem = sizeProblem(record.raw) ?? cancelProblem(record.value!)
        if (problem) await batch.deadLetter(record, problem.reason, problem.detail)
        else await takeUp(options, record.value!)
      }
    },
  })
}

// The group of the controls gets over a death as the group of the partitions does: session timeout 10 s, and the join.
const patienceMs = 20_000
const pollMs = 50

/**
 * Cancels first: whoever takes a partition over after an outage finds sends and timers that waited, and beside them cancels and erasures that
 * were answered meanwhile. These come first.
 */
export class CancelsFirst {
  private sample: Promise<ReadonlyMap<number, number>> | null = null

  constructor(private readonly connection: Pick<KafkaConnection, 'offsets' | 'committed' | 'log'>, private readonly withinMs = patienceMs) {}

  /** Answers when every cancel that was on the topic after this call began has been taken up, by whichever process; after 20 s it says so and goes on. */
  async takenUp(): Promise<void> {
    const { connection } = this
    const name = topics.controls.name
    const ends = await this.endsFromNow()
    for (const deadline = Date.now() + this.withinMs; ; ) {
      const taken = await connection.committed(groupId, name)
      const behind = [...ends].filter(([partition, end]) => (taken.get(partition) ?? 0) < end).map(([partition]) => partition)
      if (behind.length === 0) return
      if (Date.now() > deadline) return connection.log.warn({ topic: name, behind }, 'cancels have not been taken up for 20 s: partitions go on without them')
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  // Partitions are taken over together: one question serves all who asked before it was put. What retention has emptied holds nothing.
  private endsFromNow(): Promise<ReadonlyMap<number, number>> {
    this.sample ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      this.sample = null
      return this.connection.offsets(topics.controls.name).then((bounds) => new Map([...bounds].flatMap(([partition, { low, end }]) => (end > low ? [[partition, end] as const] : []))))
    })
    return this.sample
  }
}
