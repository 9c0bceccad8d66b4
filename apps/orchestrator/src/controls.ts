// `CancelRequested` on the topic takes the same road as a cancel over HTTP; nobody waits for an answer, so nothing is waited for.
import { cancelProblem, topics } from '@stepcast/contracts'
import { consumeRecords, type KafkaConnection, type RunningConsumer } from '@stepcast/kafka'
import { takeUp, type CancelOptions } from './cancel'

/** Follows `stepcast.controls.v1`. */
export function consumeControls(connection: KafkaConnection, options: CancelOptions): Promise<RunningConsumer> {
  return consumeRecords(connection, {
    topic: topics.controls, groupId: 'orchestrator.controls', maxRecords: 100,
    async handle(records, batch) {
      for (const record of records) {
        const problem = cancelProblem(record.value!)
        if (problem) await batch.deadLetter(record, problem.reason, problem.detail)
        else await takeUp(options, record.value!)
      }
    },
  })
}
