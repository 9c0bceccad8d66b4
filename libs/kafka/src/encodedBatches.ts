// The client sends batches that are encoded already: one stand-in message for each, taken for its batch when the request is written.
import type { Message } from 'kafkajs'
import type { RecordBatch } from './recordBatch'

/** A partition's encoded batch as the client's producer takes it: a message that stands for all its records. */
export interface StandIn extends Message {
  readonly encoded: Buffer
}

const nothing = Buffer.alloc(0)

/** The stand-in of a batch. */
export const standInFor = (partition: number, batch: RecordBatch): StandIn => ({
  partition,
  value: nothing,
  encoded: batch.finish(Date.now()),
})

interface ProduceOptions {
  readonly acks: number
  readonly timeout: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly messages: readonly Partial<StandIn>[] }[]
  }[]
}

interface Exchange {
  readonly request: { readonly encode: () => Promise<unknown> }
}

interface Protocol {
  protocol(choice: { version: number }): (options: ProduceOptions) => Exchange
}

// The client's encoder of produce requests, wrapped below: it has no public name. Versions 3 to 8 of the request have the same body.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const produce = require('kafkajs/src/protocol/requests/produce') as Protocol
const protocolOf = produce.protocol
produce.protocol = ({ version }) => {
  const exchangeOf = protocolOf({ version })
  return (options) => {
    const exchange = exchangeOf(options)
    if (version < 3 || !isEncoded(options)) return exchange
    return { ...exchange, request: { ...exchange.request, encode: async () => encodeProduce(options) } }
  }
}

const isEncoded = ({ topicData }: ProduceOptions): boolean => topicData[0]?.partitions[0]?.messages[0]?.encoded !== undefined

/** The body of a produce request: transactional id, acks, timeout, topics, partitions, batches. */
function encodeProduce({ acks, timeout, topicData }: ProduceOptions): { readonly buf: Buffer; readonly buffer: Buffer } {
  let size = 2 + 2 + 4 + 4
  for (const { topic, partitions } of topicData) {
    size += 2 + Buffer.byteLength(topic) + 4
    for (const { messages } of partitions) size += 4 + 4 + messages[0]!.encoded!.length
  }
  const body = Buffer.allocUnsafe(size)
  let at = body.writeInt16BE(-1, 0)
  at = body.writeInt16BE(acks, at)
  at = body.writeInt32BE(timeout, at)
  at = body.writeInt32BE(topicData.length, at)
  for (const { topic, partitions } of topicData) {
    at = body.writeInt16BE(Buffer.byteLength(topic), at)
    at += body.write(topic, at)
    at = body.writeInt32BE(partitions.length, at)
    for (const { partition, messages } of partitions) {
      // The broker takes one batch a partition and request.
      if (messages.length !== 1) throw new Error(`${messages.length} batches for partition ${partition} of ${topic} in one request`)
      const { encoded } = messages[0]!
      at = body.writeInt32BE(partition, at)
      at = body.writeInt32BE(encoded!.length, at)
      at += encoded!.copy(body, at)
    }
  }
  return { buf: body, buffer: body }
}
