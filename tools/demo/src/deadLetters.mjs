// Prints the dead letters written since a moment as lines of JSON: where each record came from and why nobody could use it.
//
//   node tools/demo/src/deadLetters.mjs [milliseconds since the epoch]
//
// Needs the rights of `npm run replay-dead-letters`: Read on the topic and on groups that begin with replay-dead-letters-.
import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import { kafkaOf, physical } from './signIn.mjs'

const topic = physical('stepcast.dead-letters.v1')
const since = Number(process.argv[2] ?? 0)
const kafka = new Kafka({ clientId: 'dead-letters', ...kafkaOf(process.env), logLevel: logLevel.ERROR })
const admin = kafka.admin()
await admin.connect()
const [starts, ends] = await Promise.all([admin.fetchTopicOffsetsByTimestamp(topic, since), admin.fetchTopicOffsets(topic)])
const begin = new Map(starts.map(({ partition, offset }) => [partition, Number(offset)]))
// What is written while we read can wait for the next time.
const left = new Map(ends.map(({ partition, high }) => [partition, Number(high)]).filter(([partition, end]) => end > begin.get(partition)))

if (left.size > 0) {
  const groupId = physical(`replay-dead-letters-demo-${randomUUID()}`)
  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await new Promise((done, fail) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => fail(payload.error))
    consumer
      .run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          const { topic: from, partition: fromPartition, offset, reason, detail } = message.headers
          console.log(
            JSON.stringify({
              topic: `${from}`,
              partition: Number(fromPartition),
              offset: `${offset}`,
              reason: `${reason}`,
              detail: `${detail}`,
            }),
          )
          if (Number(message.offset) + 1 >= left.get(partition)) left.delete(partition)
          if (left.size === 0) done()
        },
      })
      .catch(fail)
    for (const partition of left.keys()) consumer.seek({ topic, partition, offset: String(begin.get(partition)) })
  }).catch((error) => {
    console.error(`The dead letters cannot be read in the consumer group ${groupId}: ${error.message}. docs/topics.md lists the rights.`)
    process.exit(1)
  })
  await consumer.disconnect()
  // Kafka deletes it itself after a week where we may not.
  await admin.deleteGroups([groupId]).catch(() => {})
}
await admin.disconnect()
