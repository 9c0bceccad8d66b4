// One record batch of a fetch, as the client's messages. By hand: the client reads beyond the end without a word, and ten times slower.
import type { KafkaMessage } from 'kafkajs'
import { crc32c } from './crc32c'
import { Cursor } from './cursor'
import { decompressed } from './decompress'
import { readHeaders } from './decodedHeaders'
import { UnreadableBatch } from './unreadable'

/** Bytes of the fields before the records: base offset to record count. */
export const frontBytes = 61
/** Bytes of the fields before the length counts: base offset and length. */
const beforeLength = 12

/** Records of one batch at most: each costs some 300 bytes of memory, however small it is. Producers write some thousands. */
export const maxRecordsOfBatch = 250_000

/** The front of a batch. */
export interface BatchFront {
  readonly baseOffset: number
  /** Bytes of the whole batch. */
  readonly size: number
  readonly magic: number
  readonly codec: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly lastOffset: number
  readonly producerId: bigint
  readonly records: number
}

/** The front of the batch at a place; it must be there in whole. */
export function frontAt(buffer: Buffer, at: number): BatchFront {
  const baseOffset = Number(buffer.readBigInt64BE(at))
  const attributes = buffer.readInt16BE(at + 21)
  return {
    baseOffset,
    size: buffer.readInt32BE(at + 8) + beforeLength,
    magic: buffer[at + 16]!,
    codec: attributes & 7,
    isTransactional: (attributes & 0x10) !== 0,
    isControl: (attributes & 0x20) !== 0,
    lastOffset: baseOffset + buffer.readInt32BE(at + 23),
    producerId: buffer.readBigInt64BE(at + 43),
    records: buffer.readInt32BE(at + 57),
  }
}

/**
 * Checks what the front says against the checksum; the batch must be there in whole.
 * @throws UnreadableBatch saying why
 */
export function checkBatch(buffer: Buffer, at: number, { size, magic, records }: BatchFront): void {
  if (magic !== 2) throw new UnreadableBatch(`record format ${magic} is unknown`)
  if (crc32c(buffer, at + 21, at + size) !== buffer.readUInt32BE(at + 17)) throw new UnreadableBatch('its checksum is wrong')
  if (records < 0) throw new UnreadableBatch('it has less than no records')
  if (records > maxRecordsOfBatch) throw new UnreadableBatch(`${records} records in one batch, at most ${maxRecordsOfBatch} are read`)
}

/** A record as the client has it, and its size with key and headers. */
export type FetchedMessage = KafkaMessage & { readonly bytes: number }

/** A batch's records from an offset on. */
export interface BatchRecords {
  readonly messages: KafkaMessage[]
  /** Bytes of all records, decompressed. */
  readonly bytes: number
}

/**
 * Decodes a batch that was checked.
 * @throws UnreadableBatch saying why
 */
export function recordsOf(buffer: Buffer, at: number, front: BatchFront, from: number): BatchRecords | Promise<BatchRecords> {
  const { codec, records } = front
  const end = at + front.size
  const times = {
    first: Number(buffer.readBigInt64BE(at + 27)),
    // Stamped by the broker: all records have the batch's time.
    appended: (buffer.readInt16BE(at + 21) & 8) === 0 ? null : String(buffer.readBigInt64BE(at + 35)),
  }
  if (codec === 0) return readRecords(new Cursor(buffer, at + frontBytes, end), front, times, from)
  if (records === 0) return { messages: [], bytes: 0 }
  return decompressed(codec, buffer.subarray(at + frontBytes, end)).then((plain) =>
    readRecords(new Cursor(plain, 0, plain.length), front, times, from),
  )
}

interface Times {
  readonly first: number
  readonly appended: string | null
}

function readRecords(
  cursor: Cursor,
  { baseOffset, lastOffset, records }: BatchFront,
  { first, appended }: Times,
  from: number,
): BatchRecords {
  const messages: KafkaMessage[] = []
  const { end, at: start } = cursor
  let before = -1
  for (let left = records; left > 0; left--) {
    const size = cursor.varint()
    if (size < 0) throw new UnreadableBatch('a record is cut')
    const recordEnd = cursor.skip(size) + size
    cursor.at = recordEnd - size
    cursor.end = recordEnd
    const attributes = cursor.byte()
    const timeDelta = cursor.varlong()
    const delta = cursor.varint()
    // Also a compacted batch has gaps only.
    if (delta <= before || baseOffset + delta > lastOffset) throw new UnreadableBatch('its records are not in order')
    before = delta
    const key = cursor.bytes()
    const value = cursor.bytes()
    const headers = readHeaders(cursor)
    if (cursor.at !== recordEnd) throw new UnreadableBatch('a record is longer than its fields')
    cursor.end = end
    if (baseOffset + delta < from) continue
    const message: FetchedMessage = {
      key,
      value,
      headers,
      attributes,
      offset: String(baseOffset + delta),
      timestamp: appended ?? String(first + timeDelta),
      bytes: size,
    }
    messages.push(message)
  }
  if (cursor.at !== end) throw new UnreadableBatch('it is longer than its records')
  return { messages, bytes: end - start }
}
