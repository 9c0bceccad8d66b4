// Zstandard, decompressed with a bound: by zlib where Node has it (22.15 and later), else by the same C code as WebAssembly.
import * as zlib from 'node:zlib'
import { ZSTDDecoder } from 'zstddec'
import { TooManyBytes } from './unreadable'

type ZstdOfZlib = (input: Buffer, options: { maxOutputLength: number }, done: (error: Error | null, output: Buffer) => void) => void
const zstdOfZlib = (zlib as { zstdDecompress?: ZstdOfZlib }).zstdDecompress

const frameMagic = 0xfd2f_b528
/** Skippable frames: 0x184d2a50 to 0x184d2a5f. */
const skippableMagic = 0x184d_2a50
/** What a compressed block holds at most. */
const maxBlockBytes = 128 * 1024

const decoder = new ZSTDDecoder()

/**
 * The content of all frames in `input`, one after another.
 * @throws TooManyBytes (or zlib's ERR_BUFFER_TOO_LARGE) when there would be more than `maxBytes`; Error when it is no Zstandard.
 */
export function decompressZstd(input: Buffer, maxBytes: number): Promise<Buffer> {
  if (zstdOfZlib === undefined) return decompressZstdInWebAssembly(input, maxBytes)
  return new Promise((resolve, reject) =>
    zstdOfZlib(input, { maxOutputLength: maxBytes }, (error, output) => (error === null ? resolve(output) : reject(error))),
  )
}

/**
 * Likewise, with nothing of zlib. Straight into one buffer of the size that the frames can have at most: a decoder that streams makes room
 * for the window that a frame asks for, 128 MB for a batch of three records, and moves it with each block.
 */
export async function decompressZstdInWebAssembly(input: Buffer, maxBytes: number): Promise<Buffer> {
  let atMost = 0
  for (let at = 0; at < input.length; ) {
    const frame = frameAt(input, at)
    if (frame.saysBytes > maxBytes) throw new TooManyBytes()
    atMost += frame.bytesAtMost
    at = frame.end
  }
  // To the decoder 0 means "not known".
  if (atMost === 0) return Buffer.alloc(0)
  await decoder.init()
  const content = decoder.decode(input, Math.min(atMost, maxBytes))
  // What it cannot decompress has no bytes there.
  if (content.length === 0) throw atMost > maxBytes ? new TooManyBytes() : new Error('what a frame holds is no Zstandard')
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength)
}

interface Frame {
  readonly end: number
  /** As the frame says, 0 when it does not. */
  readonly saysBytes: number
  /** By its blocks, and never more than it says. */
  readonly bytesAtMost: number
}

/** What the frame at a place says of itself. https://www.rfc-editor.org/rfc/rfc8878#section-3.1 */
function frameAt(input: Buffer, start: number): Frame {
  const magic = input.readUInt32LE(start)
  if ((magic & 0xffff_fff0) >>> 0 === skippableMagic)
    return { end: start + 8 + input.readUInt32LE(start + 4), saysBytes: 0, bytesAtMost: 0 }
  if (magic !== frameMagic) throw new Error('no Zstandard frame')
  const flags = input.readUInt8(start + 4)
  const isSingleSegment = (flags & 0x20) !== 0
  let at = start + 5 + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][flags & 3]!
  const sizeBytes = flags >> 6 === 0 ? (isSingleSegment ? 1 : 0) : 2 ** (flags >> 6)
  const says =
    sizeBytes === 0
      ? null
      : sizeBytes === 8
        ? Number(input.readBigUInt64LE(at))
        : input.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0)
  at += sizeBytes
  let blocks = 0
  for (let isLast = false; !isLast; ) {
    const header = input.readUIntLE(at, 3)
    const size = header >> 3
    const kind = blockKinds[(header >> 1) & 3]!
    isLast = (header & 1) === 1
    blocks += kind === 'compressed' ? maxBlockBytes : size
    at += 3 + (kind === 'repeated' ? 1 : size)
  }
  return { end: at + ((flags & 4) === 0 ? 0 : 4), saysBytes: says ?? 0, bytesAtMost: Math.min(says ?? blocks, blocks) }
}

/** By their number in a block's header: as it is, one byte that is repeated, compressed. */
const blockKinds = ['raw', 'repeated', 'compressed', 'reserved'] as const
