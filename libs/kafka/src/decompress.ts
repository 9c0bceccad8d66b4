// What the codecs of record batches give, each bounded: a batch of 4 MB may stand for gigabytes.
import { gunzip } from 'node:zlib'
import { CompressionTypes, CompressionCodecs } from 'kafkajs'
import { uncompress, uncompressSync } from 'snappy'
import { decompressLz4 } from './lz4'
import { TooManyBytes, UnreadableBatch } from './unreadable'
import { decompressZstd } from './zstd'

/** A batch decompressed at most, bytes: sixteen times what a topic of ours takes. */
export const maxDecompressedBytes = 64 * 1024 * 1024

type Decompress = (input: Buffer, maxBytes: number) => Promise<Buffer> | Buffer

const codecs: Readonly<Record<number, { readonly name: string; readonly decompress: Decompress }>> = {
  [CompressionTypes.GZIP]: { name: 'gzip', decompress: decompressGzip },
  [CompressionTypes.Snappy]: { name: 'snappy', decompress: decompressSnappy },
  [CompressionTypes.LZ4]: { name: 'lz4', decompress: decompressLz4 },
  [CompressionTypes.ZSTD]: { name: 'zstd', decompress: decompressZstd },
}

// The client decodes the formats before Kafka 0.11 itself, with these: its own gzip has no bound, the others it lacks.
const clientCodecs = CompressionCodecs as Record<number, () => object>
const { compress: gzip } = clientCodecs[CompressionTypes.GZIP]!() as { compress: unknown }
for (const id of Object.keys(codecs).map(Number)) {
  const codec = { compress: id === CompressionTypes.GZIP ? gzip : noCompression, decompress: (input: Buffer) => decompressed(id, input) }
  clientCodecs[id] = () => codec
}

function noCompression(): never {
  throw new Error('our producers do not compress')
}

/**
 * The records of a batch as they were before they were compressed.
 * @throws UnreadableBatch whatever is wrong with it
 */
export async function decompressed(codec: number, input: Buffer, maxBytes = maxDecompressedBytes): Promise<Buffer> {
  const known = codecs[codec]
  if (known === undefined) throw new UnreadableBatch(`codec ${codec} is unknown`)
  try {
    return await known.decompress(input, maxBytes)
  } catch (error) {
    const isTooLarge = error instanceof TooManyBytes || (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
    throw new UnreadableBatch(
      isTooLarge ? `more than ${maxBytes} bytes when ${known.name} is decompressed` : `${known.name} that cannot be decompressed`,
    )
  }
}

function decompressGzip(input: Buffer, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    gunzip(input, { maxOutputLength: maxBytes }, (error, output) => (error === null ? resolve(output) : reject(error))),
  )
}

/** How Java's producer begins: its own frame around blocks of 32 kB. Others write one block without a frame. */
const xerial = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
/** `xerial` and two versions. */
const xerialBytes = 16
/** Smaller blocks are not worth a thread: half a million of one byte each fit a batch. */
const smallBytes = 64 * 1024
/** Three bytes of Snappy repeat 64 at most. */
const snappyExpands = 22

async function decompressSnappy(input: Buffer, maxBytes: number): Promise<Buffer> {
  const blocks = input.subarray(0, xerial.length).equals(xerial) ? xerialBlocks(input) : [input]
  let bytes = 0
  for (const block of blocks) {
    const size = snappySize(block)
    // Nothing is allocated for a size that cannot be true.
    if (size > block.length * snappyExpands) throw new Error('a size that cannot be')
    bytes += size
    if (bytes > maxBytes) throw new TooManyBytes()
  }
  const outputs: Buffer[] = []
  for (const block of blocks) outputs.push((block.length < smallBytes ? uncompressSync(block) : await uncompress(block)) as Buffer)
  return outputs.length === 1 ? outputs[0]! : Buffer.concat(outputs)
}

function xerialBlocks(input: Buffer): Buffer[] {
  const blocks: Buffer[] = []
  for (let at = xerialBytes; at < input.length; ) {
    const size = input.readUInt32BE(at)
    at += 4
    if (at + size > input.length) throw new Error('a block is cut')
    blocks.push(input.subarray(at, (at += size)))
  }
  return blocks
}

/** The size that a block says it has: a varint in front of it. */
function snappySize(block: Buffer): number {
  let size = 0
  for (let at = 0; at < 5; at++) {
    const byte = block.readUInt8(at)
    size += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return size
  }
  throw new Error('no size')
}
