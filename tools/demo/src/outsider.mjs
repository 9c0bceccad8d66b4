// A producer that knows nothing of Stepcast but its Kafka contract: sends a line of JSON each from standard input, as any backend could.
//
//   set -a; source .stepcast/dev.env; set +a
//   echo '{"workspaceId":"demo","sendId":"order-42","userId":"user-1","templateId":"order-shipped","variables":{"orderNo":"42"}}' |
//     node tools/demo/src/outsider.mjs
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka, Partitioners } from 'kafkajs'
import { kafkaOf, physical, registryOf } from './signIn.mjs'

const topic = 'stepcast.sends.v1'

const producer = new Kafka({ clientId: 'shop-backend', ...kafkaOf(process.env) }).producer({
  createPartitioner: Partitioners.DefaultPartitioner,
})
const registry = new SchemaRegistry(registryOf(process.env))
await producer.connect()
const schemaId = await registry.getLatestSchemaId(`${topic}-value`)

for await (const line of createInterface({ input: process.stdin })) {
  const value = await registry.encode(schemaId, { variables: {}, requestedAt: Date.now(), ...JSON.parse(line) })
  // Any key will do: Stepcast finds the sequence by workspaceId, sendId and userId, so the same send twice is one sequence.
  const [stored] = await producer.send({ topic: physical(topic), messages: [{ key: randomUUID(), value }] })
  console.log(JSON.stringify({ topic, partition: stored.partition, offset: stored.baseOffset }))
}
await producer.disconnect()
