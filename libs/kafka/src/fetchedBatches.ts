// What a fetch brings, decoded here instead of by the client, which throws a whole fetch away for one batch that it cannot read, and asks for it again for ever.
import type { KafkaMessage } from 'kafkajs'
import { checkBatch, frontAt, frontBytes, recordsOf, type BatchFront, type FetchedMessage } from './batchRecords'
import { maxDecompressedBytes } from './decompress'
import { UnreadableBatch } from './unreadable'

/* eslint-disable @typescript-eslint/no-require-imports */
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => ClientDecoder
const decodeMessageSet = require('kafkajs/src/protocol/messageSet/decoder') as (
  decoder: ClientDecoder,
  bytes: number,
) => Promise<KafkaMessage[]>
const fetch = require('kafkajs/src/protocol/requests/fetch') as Protocol
/* eslint-enable @typescript-eslint/no-require-imports */

interface ClientDecoder {
  readInt16(): number
  readInt32(): number
  readInt64(): bigint
  readString(): string
  readBytes(length: number): Buffer
  canReadBytes(length: number): boolean
}

interface FetchOptions {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string }[]
  }[]
}

interface Exchange {
  readonly response: { readonly decode: (bytes: Buffer) => Promise<unknown> }
}

interface Protocol {
  protocol(choice: { version: number }): (options: FetchOptions) => Exchange
}

/** Offsets that hold nothing for a reader. */
export interface Passed {
  readonly first: number
  readonly last: number
  /** Why the batch could not be read; null: there was nothing to read (a transaction's markers, what it gave up, what compaction removed). */
  readonly why: string | null
}

/** A message that stands for offsets without records; its own offset is the last of them. */
export type PassedMessage = KafkaMessage & { readonly passed: Passed }

/** What a message stands for instead of a record; undefined: it is one. */
export const passedBy = (message: KafkaMessage): Passed | undefined => (message as Partial<PassedMessage>).passed

/** Whether a message is a record, and does not stand for offsets without one. For readers that use the client's consumer themselves. */
export const isRecord = (message: KafkaMessage): boolean => passedBy(message) === undefined

/** A record's size with key and headers; undefined where a broker has the formats before Kafka 0.11. */
export const bytesOf = (message: KafkaMessage): number | undefined => (message as Partial<FetchedMessage>).bytes

// Version 4 is from Kafka 0.11, the first with record batches; 11 is the client's latest.
const protocolOf = fetch.protocol
fetch.protocol = ({ version }) => {
  const exchangeOf = protocolOf({ version })
  if (version < 4 || version > 11) return exchangeOf
  return (options) => {
    const exchange = exchangeOf(options)
    return { ...exchange, response: { ...exchange.response, decode: (bytes) => decodeFetch(bytes, version, options) } }
  }
}

/** Decoded in one answer at most, records' own bytes and what they cost beside: what is beyond is fetched again. One batch more may be under way. */
const maxAnswerBytes = maxDecompressedBytes
const memoryOfRecord = 256
const lz4Expands = 255
// A broker tells where the partition ends, and then reads: what was written in between comes along.
const aheadAtMost = 1_000_000

interface Partition {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: string
  readonly abortedTransactions: readonly never[]
  messages: KafkaMessage[]
}

interface Encoded {
  readonly into: Partition
  readonly bytes: Buffer
  readonly from: number
  readonly aborted: readonly Aborted[]
}

interface Aborted {
  readonly producerId: bigint
  readonly firstOffset: number
}

/** Each answer begins to decode with another partition: none waits for ever behind others whose batches are large when decompressed. */
let turn = 0

/** A fetch's answer, as the client has it. https://kafka.apache.org/protocol.html#The_Messages_Fetch */
export async function decodeFetch(raw: Buffer, version: number, asked: FetchOptions): Promise<object> {
  const decoder = new Decoder(raw)
  const throttleTime = decoder.readInt32()
  const session = version >= 7 ? { errorCode: decoder.readInt16(), sessionId: decoder.readInt32() } : {}
  const encoded: Encoded[] = []
  const responses = times(decoder.readInt32(), () => {
    const topicName = decoder.readString()
    return { topicName, partitions: times(decoder.readInt32(), () => readPartition(decoder, version, topicName, asked, encoded)) }
  })
  const budget = { left: maxAnswerBytes }
  const first = turn++
  for (let n = 0; n < encoded.length && budget.left > 0; n++) {
    const { into, bytes, from, aborted } = encoded[(first + n) % encoded.length]!
    into.messages = await decodeBatches(bytes, from, Number(into.highWatermark), aborted, budget)
  }
  // From version 8 on a broker that throttles has answered at once: it is the client that waits.
  return { ...(version >= 8 ? { throttleTime: 0, clientSideThrottleTime: throttleTime } : { throttleTime }), ...session, responses }
}

function readPartition(decoder: ClientDecoder, version: number, topic: string, asked: FetchOptions, encoded: Encoded[]): Partition {
  const partition = decoder.readInt32()
  const errorCode = decoder.readInt16()
  const highWatermark = String(decoder.readInt64())
  const lastStableOffset = String(decoder.readInt64())
  const lastStartOffset = version >= 5 ? { lastStartOffset: String(decoder.readInt64()) } : {}
  const aborted = times(decoder.readInt32(), (): Aborted => ({ producerId: decoder.readInt64(), firstOffset: Number(decoder.readInt64()) }))
  const preferredReadReplica = version >= 11 ? { preferredReadReplica: decoder.readInt32() } : {}
  // What was given up is left out here, so nothing is left to do for the client, which lets some of it through where two transactions overlap.
  const into = {
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    ...lastStartOffset,
    ...preferredReadReplica,
    abortedTransactions: [],
    messages: [] as KafkaMessage[],
  }
  const size = decoder.readInt32()
  if (size > 0 && decoder.canReadBytes(size)) {
    const from = asked.topics.find((one) => one.topic === topic)?.partitions.find((one) => one.partition === partition)?.fetchOffset
    encoded.push({
      into,
      bytes: decoder.readBytes(size),
      from: Number(from ?? 0),
      aborted: [...aborted].sort((a, b) => a.firstOffset - b.firstOffset),
    })
  }
  return into
}

const times = <One>(count: number, read: () => One): One[] => Array.from({ length: Math.max(0, count) }, read)

/**
 * The messages of a partition from an offset on. A batch that cannot be read becomes one message that says so; at the end another one
 * stands for offsets without records, so that a reader always learns how far it has come.
 */
export async function decodeBatches(
  bytes: Buffer,
  from: number,
  highWatermark: number,
  aborted: readonly Aborted[],
  budget: { left: number } = { left: maxAnswerBytes },
): Promise<KafkaMessage[]> {
  if (bytes.length > 16 && bytes[16]! < 2) return decodeMessageSet(new Decoder(bytes), bytes.length)
  const messages: KafkaMessage[] = []
  const isGivenUp = givenUpBy(aborted)
  let reached = from - 1
  let ended = -1
  // The last batch may be cut: the broker fills an answer to its size.
  for (let at = 0; at + frontBytes <= bytes.length && budget.left > 0; ) {
    const front = frontAt(bytes, at)
    const isWhole = front.size >= frontBytes
    if (isWhole && at + front.size > bytes.length) break
    const next = isWhole ? at + front.size : bytes.length
    try {
      if (!isWhole) throw new UnreadableBatch('its length is wrong')
      checkBatch(bytes, at, front)
      // The checksum does not cover where a batch begins.
      if (front.baseOffset <= ended || front.lastOffset < front.baseOffset || front.lastOffset > highWatermark + aheadAtMost)
        throw new UnreadableBatch('its offsets are out of order')
      if (!isGivenUp(front) && !front.isControl) {
        const decoding = recordsOf(bytes, at, front, from)
        // Waiting for what is there already costs each small batch a turn of the event loop.
        const decoded = decoding instanceof Promise ? await decoding : decoding
        for (const message of decoded.messages) messages.push(message)
        budget.left -= decoded.bytes + front.records * memoryOfRecord
      }
      ended = front.lastOffset
      reached = Math.max(reached, ended)
    } catch (error) {
      if (!(error instanceof UnreadableBatch)) throw error
      const first = reached + 1
      reached = endOfUnreadable(
        front,
        first,
        next + frontBytes <= bytes.length ? frontAt(bytes, next).baseOffset : highWatermark,
        highWatermark,
      )
      messages.push(passedMessage({ first: Math.min(Math.max(front.baseOffset, first), reached), last: reached, why: error.message }))
      ended = reached
      // What was tried in vain took its time too.
      budget.left -= front.codec === 0 ? 0 : Math.min(maxDecompressedBytes, front.size * lz4Expands)
    }
    at = next
  }
  const told = messages.length === 0 ? from - 1 : Number(messages[messages.length - 1]!.offset)
  if (reached > told) messages.push(passedMessage({ first: told + 1, last: reached, why: null }))
  return messages
}

/**
 * The last offset of a batch that cannot be read. What its front says may be wrong too: it ends at `first` at least, before the next batch
 * and before the end of the partition.
 */
function endOfUnreadable({ lastOffset }: BatchFront, first: number, nextOffset: number, highWatermark: number): number {
  const end = nextOffset > first && nextOffset <= highWatermark ? nextOffset : highWatermark
  return Math.max(first, Math.min(lastOffset, end - 1))
}

/** Whether a batch belongs to a transaction that was given up, asked batch by batch in order. */
function givenUpBy(aborted: readonly Aborted[]): (front: BatchFront) => boolean {
  const open = new Set<bigint>()
  let next = 0
  return ({ isTransactional, isControl, producerId, lastOffset }) => {
    for (; next < aborted.length && aborted[next]!.firstOffset <= lastOffset; next++) open.add(aborted[next]!.producerId)
    if (!isTransactional || !open.has(producerId)) return false
    // A transaction's marker ends it: only one that was given up is listed.
    if (isControl) open.delete(producerId)
    return true
  }
}

const none = {}
const passedMessage = (passed: Passed): PassedMessage => ({
  key: null,
  value: null,
  headers: none,
  attributes: 0,
  timestamp: '0',
  offset: String(passed.last),
  passed,
})
