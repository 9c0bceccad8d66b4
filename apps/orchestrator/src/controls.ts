// `CancelRequested` on the topic takes the same road as a cancel over HTTP; nobody waits for an answer, so nothing is waited for.
import { cancelProblem, sizeProblem, topics } from '@stepcast/contracts'
import { consumeRecords, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { takeUp, type CancelOptions } from './cancel'

const groupId = 'orchestrator.controls'

/** Follows `stepcast.controls.v1`. */
export function consumeControls(connection: KafkaConnection, options: CancelOptions): Promise<RunningConsumer> {
  return consumeRecords(connection, {
    topic: topics.controls,
    groupId,
    maxRecords: 100,
    async handle(records, batch) {
      for (const record of records) {
        const problem = sizeProblem(record.raw) ?? cancelProblem(record.value!)
        if (problem) await batch.deadLetter(record, problem.reason, problem.detail)
        else await takeUp(options, record.value!)
      }
    },
  })
}

// Longer than a healthy reader of the controls takes to begin; whoever waits for it must not stand for long.
const patienceMs = 5_000
const pollMs = 200

/**
 * Cancels first: whoever takes a partition over after an outage finds sends and timers that waited, and beside them cancels and erasures that
 * were answered meanwhile. These come first.
 */
export class CancelsFirst {
  /** Not begun yet, so that it serves whoever asks now. */
  private next: Promise<void> | null = null

  constructor(
    private readonly connection: Pick<KafkaConnection, 'offsets' | 'committed' | 'log'>,
    private readonly withinMs = patienceMs,
  ) {}

  /** Answers when every cancel that was on the topic after this call began has been taken up, by whichever process; after 5 s it says so and goes on. */
  takenUp(): Promise<void> {
    // Partitions are taken over together: one question for all of them.
    this.next ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      this.next = null
      return this.look()
    })
    return this.next
  }

  private async look(): Promise<void> {
    const { connection } = this
    const { name } = topics.controls
    const bounds = await connection.offsets(name)
    for (const deadline = Date.now() + this.withinMs; ; ) {
      const taken = await connection.committed(groupId, name)
      // What retention has emptied holds nothing.
      const behind = [...bounds]
        .filter(([partition, { low, end }]) => end > low && (taken.get(partition) ?? 0) < end)
        .map(([partition]) => partition)
      if (behind.length === 0) return
      if (Date.now() > deadline)
        return connection.log.warn({ topic: name, behind }, 'cancels have not been taken up for 5 s: partitions go on without them')
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }
}
