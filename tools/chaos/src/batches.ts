// Record batches written by hand: any bytes in keys, values and headers, every codec, clocks and transactions.
import { gzipSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { crc32c } from '@stepcast/kafka'
import { varint } from './avroBytes'

/** A header: names and values are any bytes. */
export type RawHeader = readonly [name: string | Buffer, value: Buffer | null]

/** A record as it goes onto the wire. */
export interface WireRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RawHeader[]
}

/** How the records of a batch are compressed. `snappy-java` is what Java's client writes: blocks behind a header of its own. */
export const codecs = ['none', 'gzip', 'snappy', 'snappy-java', 'lz4', 'zstd'] as const
/** One of {@link codecs}. */
export type Codec = (typeof codecs)[number]

/** What a batch says of itself. */
export interface BatchFront {
  readonly codec?: Codec
  /** The codec's number instead of the true one. */
  readonly codecId?: number
  /** Applied to the compressed bytes: breaks them. */
  readonly broken?: (bytes: Buffer) => Buffer
  /** Of the records, milliseconds; now unless given. */
  readonly timestamp?: number
  readonly transaction?: { readonly producerId: bigint; readonly epoch: number; readonly sequence: number }
}

const codecIds: Readonly<Record<Codec, number>> = { none: 0, gzip: 1, snappy: 2, 'snappy-java': 2, lz4: 3, zstd: 4 }
const isTransactional = 0x10

const sized = (bytes: Buffer | null): Buffer => (bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]))

function recordBytes({ key, value, headers }: WireRecord, offsetDelta: number): Buffer {
  const named = headers.flatMap(([name, bytes]) => [sized(Buffer.from(name)), sized(bytes)])
  const body = Buffer.concat([Buffer.from([0]), varint(0), varint(offsetDelta), sized(key), sized(value), varint(headers.length), ...named])
  return Buffer.concat([varint(body.length), body])
}

/** The records of one topic-partition as the broker takes them. https://kafka.apache.org/documentation/#recordbatch */
export function batchOf(records: readonly WireRecord[], now: number, front: BatchFront = {}): Buffer {
  const { codec = 'none', codecId = codecIds[codec], broken = (bytes: Buffer) => bytes, timestamp = now, transaction } = front
  const body = broken(compressed(codec, Buffer.concat(records.map((record, index) => recordBytes(record, index)))))
  const head = Buffer.alloc(61)
  head.writeInt32BE(head.length + body.length - 12, 8)
  head[16] = 2
  head.writeInt16BE(codecId | (transaction === undefined ? 0 : isTransactional), 21)
  head.writeInt32BE(records.length - 1, 23)
  head.writeBigInt64BE(BigInt(timestamp), 27)
  head.writeBigInt64BE(BigInt(timestamp), 35)
  head.writeBigInt64BE(transaction?.producerId ?? -1n, 43)
  head.writeInt16BE(transaction?.epoch ?? 0, 51)
  head.writeInt32BE(transaction?.sequence ?? 0, 53)
  head.writeInt32BE(records.length, 57)
  const batch = Buffer.concat([head, body])
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

/** Bytes by a codec. */
function compressed(codec: Codec, bytes: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes, { level: 1 })
    case 'snappy':
      return compressSync(bytes)
    case 'snappy-java':
      return snappyJava(bytes)
    case 'lz4':
      return compressFrameSync(bytes)
    case 'zstd':
      return zstdFrame(bytes)
  }
}

const snappyJavaHead = Buffer.from('82534e4150505900' + '00000001' + '00000001', 'hex')
const snappyJavaBlock = 32 * 1024

function snappyJava(bytes: Buffer): Buffer {
  const parts: Buffer[] = [snappyJavaHead]
  for (let at = 0; at < bytes.length || at === 0; at += snappyJavaBlock) {
    const block = compressSync(bytes.subarray(at, at + snappyJavaBlock))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

// RFC 8878. Blocks of one repeated byte are four bytes long whatever they stand for; all others are stored as they are.
const zstdBlock = 128 * 1024
const zstdFrameHead = Buffer.from('28b52ffd' + '00' + '88', 'hex') // magic; no size, no checksum; a window of 128 MB

function zstdFrame(bytes: Buffer): Buffer {
  const parts: Buffer[] = [zstdFrameHead]
  for (let at = 0; at < bytes.length || at === 0; at += zstdBlock) {
    const block = bytes.subarray(at, at + zstdBlock)
    const isLast = at + zstdBlock >= bytes.length ? 1 : 0
    const isRun = block.length > 4 && block.equals(Buffer.alloc(block.length, block[0]))
    const head = Buffer.alloc(3)
    head.writeUIntLE((block.length << 3) | (isRun ? 2 : 0) | isLast, 0, 3)
    parts.push(head, isRun ? block.subarray(0, 1) : block)
  }
  return Buffer.concat(parts)
}
