// A broken producer: puts records on the topic of sends that nobody can read. Prints where each was stored, like `outsider.mjs`.
import { randomBytes, randomUUID } from 'node:crypto'
import { Kafka, Partitioners } from 'kafkajs'
import { kafkaOf, physical } from './signIn.mjs'

const topic = 'stepcast.sends.v1'
const producer = new Kafka({ clientId: 'broken-backend', ...kafkaOf(process.env) }).producer({
  createPartitioner: Partitioners.DefaultPartitioner,
})
await producer.connect()
const values = [
  Buffer.from('{"userId":"user-1"}'),
  Buffer.concat([Buffer.from([0xff]), randomBytes(99)]),
  // The wire format's zero byte with a schema id that the registry never gave.
  Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), randomBytes(20)]),
]
for (const value of values) {
  const [stored] = await producer.send({ topic: physical(topic), messages: [{ key: randomUUID(), value }] })
  console.log(JSON.stringify({ topic, partition: stored.partition, offset: stored.baseOffset }))
}
await producer.disconnect()
