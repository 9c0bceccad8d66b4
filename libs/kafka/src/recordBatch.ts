// Kafka's record batch (magic 2), written straight into one buffer: the client's own encoder makes ten small buffers a record
// and was half of the orchestrator's time.
import { crc32c } from './crc32c'

/** Headers that many records of a batch share, encoded once. Values are text. */
export class SharedHeaders {
  readonly count: number
  readonly bytes: Buffer

  constructor(headers: Readonly<Record<string, string>>) {
    const names = Object.keys(headers)
    this.count = names.length
    const writer = RecordBatch.headers(names.length * 64)
    for (const name of names) writer.header(name, headers[name]!)
    this.bytes = writer.take()
  }
}

/** What a record's header may hold, as the client has it. */
export type HeaderValue = One | readonly One[] | undefined

/** null is on the wire what is no value at all; other producers may write it. */
type One = string | Buffer | null

const none: Readonly<Record<string, HeaderValue>> = {}

/** Bytes of the fields before the records: base offset to record count. */
const frontBytes = 61
const crcAt = 17
const attributesAt = 21

/**
 * The records of one topic-partition, in the order they are added; `finish` gives the batch as the broker takes it.
 * Layout: https://kafka.apache.org/documentation/#recordbatch
 */
export class RecordBatch {
  /** Records added so far. */
  count = 0
  private buffer: Buffer
  private at = 0

  private constructor(initialBytes: number, front: number) {
    this.buffer = Buffer.allocUnsafe(Math.max(64, initialBytes))
    this.at = front
  }

  /** Room for headers alone. For {@link SharedHeaders}. */
  static headers(initialBytes: number): RecordBatch {
    return new RecordBatch(initialBytes, 0)
  }

  /** An empty batch with room for its front. It grows by doubling: most turns are small, and a buffer of the largest size costs each of them. */
  static begin(initialBytes = 16 * 1024): RecordBatch {
    return new RecordBatch(initialBytes + frontBytes, frontBytes)
  }

  /** Bytes so far, front included. */
  get size(): number {
    return this.at
  }

  /** Adds a record; the value is `source` from `start` to `end`, null: a tombstone. Own headers come before the shared ones. */
  add(
    key: string | Buffer | null,
    source: Buffer | null,
    start: number,
    end: number,
    own: Readonly<Record<string, HeaderValue>> = none,
    shared: SharedHeaders | null = null,
  ): void {
    const keyBytes = byteLength(key)
    const valueBytes = source === null ? -1 : end - start
    let headerCount = shared?.count ?? 0
    let headerBytes = shared?.bytes.length ?? 0
    for (const name in own) {
      const value = own[name]
      if (value === undefined) continue
      if (isOne(value)) {
        headerCount++
        headerBytes += sizeOfBytes(byteLength(name)) + sizeOfBytes(byteLength(value))
      } else {
        for (const one of value) {
          headerCount++
          headerBytes += sizeOfBytes(byteLength(name)) + sizeOfBytes(byteLength(one))
        }
      }
    }
    // One byte of attributes and one for a timestamp delta of zero: all records of a batch have its time.
    const size = 2 + sizeOfVarint(this.count) + sizeOfBytes(keyBytes) + sizeOfBytes(valueBytes) + sizeOfVarint(headerCount) + headerBytes
    this.reserve(size + 5)
    this.varint(size)
    this.buffer[this.at++] = 0
    this.buffer[this.at++] = 0
    this.varint(this.count)
    this.varint(keyBytes)
    this.raw(key, keyBytes)
    this.varint(valueBytes)
    if (source !== null) this.at += source.copy(this.buffer, this.at, start, end)
    this.varint(headerCount)
    for (const name in own) {
      const value = own[name]
      if (value === undefined) continue
      if (isOne(value)) this.header(name, value)
      else for (const one of value) this.header(name, one)
    }
    if (shared !== null) this.at += shared.bytes.copy(this.buffer, this.at)
    this.count++
  }

  /** Takes the last record back; `size` is what {@link size} was before it. */
  takeBack(size: number): void {
    this.at = size
    this.count--
  }

  /** Writes one header. For {@link SharedHeaders}. */
  header(name: string, value: One): void {
    const nameBytes = byteLength(name)
    const valueBytes = byteLength(value)
    this.reserve(nameBytes + Math.max(valueBytes, 0) + 10)
    this.varint(nameBytes)
    this.raw(name, nameBytes)
    this.varint(valueBytes)
    this.raw(value, valueBytes)
  }

  /** The bytes so far. */
  take(): Buffer {
    return this.buffer.subarray(0, this.at)
  }

  /** Completes the batch: its length, its time, its checksum. */
  finish(now: number): Buffer {
    const { buffer, at } = this
    buffer.writeBigInt64BE(0n, 0) // base offset: the broker's to give
    buffer.writeInt32BE(at - 12, 8) // everything after this field
    buffer.writeInt32BE(0, 12) // partition leader epoch
    buffer[16] = 2 // magic
    buffer.writeInt16BE(0, attributesAt) // not compressed, no transaction
    buffer.writeInt32BE(this.count - 1, 23) // last offset delta
    buffer.writeBigInt64BE(BigInt(now), 27) // first timestamp
    buffer.writeBigInt64BE(BigInt(now), 35) // max timestamp
    buffer.writeBigInt64BE(-1n, 43) // no producer id: not idempotent
    buffer.writeInt16BE(0, 51) // producer epoch
    buffer.writeInt32BE(0, 53) // first sequence
    buffer.writeInt32BE(this.count, 57)
    buffer.writeUInt32BE(crc32c(buffer, attributesAt, at), crcAt)
    return buffer.subarray(0, at)
  }

  private reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + bytes))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
  }

  private varint(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    const { buffer } = this
    while (rest > 0x7f) {
      buffer[this.at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    buffer[this.at++] = rest
  }

  private raw(value: One, bytes: number): void {
    if (value === null) return
    if (typeof value !== 'string') value.copy(this.buffer, this.at)
    // As long in bytes as in characters means ASCII, which is cheaper to write.
    else this.buffer.write(value, this.at, bytes, value.length === bytes ? 'latin1' : 'utf8')
    this.at += bytes
  }
}

const isOne = (value: One | readonly One[]): value is One => value === null || typeof value === 'string' || Buffer.isBuffer(value)

/** -1 is null. */
const byteLength = (value: One): number => (value === null ? -1 : typeof value === 'string' ? Buffer.byteLength(value) : value.length)

function sizeOfVarint(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x20_0000 ? 3 : zigzag < 0x1000_0000 ? 4 : 5
}

/** A length and as many bytes; -1 is null. */
const sizeOfBytes = (length: number): number => sizeOfVarint(length) + (length > 0 ? length : 0)
