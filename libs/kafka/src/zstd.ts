// Zstandard, decompressed with a bound: by zlib where Node has it (22.15 and later), else by a package in JavaScript.
import * as zlib from 'node:zlib'
import { Decompress, decompress } from 'fzstd'
import { TooManyBytes } from './unreadable'

type ZstdOfZlib = (input: Buffer, options: { maxOutputLength: number }, done: (error: Error | null, output: Buffer) => void) => void
const zstdOfZlib = (zlib as { zstdDecompress?: ZstdOfZlib }).zstdDecompress

const frameMagic = 0xfd2f_b528
/** Skippable frames: 0x184d2a50 to 0x184d2a5f. */
const skippableMagic = 0x184d_2a50
/** Level 22, the highest, looks back so far. */
const maxWindowBytes = 128 * 1024 * 1024

/**
 * The content of all frames in `input`, one after another.
 * @throws TooManyBytes (or zlib's ERR_BUFFER_TOO_LARGE) when there would be more than `maxBytes`; Error when it is no Zstandard.
 */
export function decompressZstd(input: Buffer, maxBytes: number): Promise<Buffer> {
  if (zstdOfZlib === undefined) return Promise.resolve().then(() => decompressZstdInJavaScript(input, maxBytes))
  return new Promise((resolve, reject) =>
    zstdOfZlib(input, { maxOutputLength: maxBytes }, (error, output) => (error === null ? resolve(output) : reject(error))))
}

/** Likewise, with nothing of zlib. */
export function decompressZstdInJavaScript(input: Buffer, maxBytes: number): Buffer {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const take = (chunk: Uint8Array): void => {
    bytes += chunk.length
    if (bytes > maxBytes) throw new TooManyBytes()
    chunks.push(chunk)
  }
  for (let at = 0; at < input.length; ) {
    const { end, windowBytes, contentBytes } = frameAt(input, at)
    const frame = input.subarray(at, end)
    if (contentBytes !== null) {
      if (bytes + contentBytes > maxBytes) throw new TooManyBytes()
      take(decompress(frame))
    } else {
      // The package makes room for the whole window first.
      if (windowBytes > maxWindowBytes) throw new Error('a Zstandard frame that looks back too far')
      new Decompress(take).push(frame, true)
    }
    at = end
  }
  return Buffer.concat(chunks)
}

interface Frame {
  readonly end: number
  readonly windowBytes: number
  /** null: the frame does not say. */
  readonly contentBytes: number | null
}

/** What the frame at a place says of itself. https://www.rfc-editor.org/rfc/rfc8878#section-3.1 */
function frameAt(input: Buffer, start: number): Frame {
  const magic = input.readUInt32LE(start)
  if (((magic & 0xffff_fff0) >>> 0) === skippableMagic) return { end: start + 8 + input.readUInt32LE(start + 4), windowBytes: 0, contentBytes: 0 }
  if (magic !== frameMagic) throw new Error('no Zstandard frame')
  const flags = input.readUInt8(start + 4)
  const isSingleSegment = (flags & 0x20) !== 0
  let at = start + 5
  let windowBytes = 0
  if (!isSingleSegment) {
    const descriptor = input.readUInt8(at++)
    const base = 2 ** (10 + (descriptor >> 3))
    windowBytes = base + (base / 8) * (descriptor & 7)
  }
  at += [0, 1, 2, 4][flags & 3]!
  const sizeBytes = flags >> 6 === 0 ? (isSingleSegment ? 1 : 0) : 2 ** (flags >> 6)
  const contentBytes = sizeBytes === 0 ? null : sizeBytes === 8 ? Number(input.readBigUInt64LE(at)) : input.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0)
  at += sizeBytes
  for (let isLast = false; !isLast; ) {
    const header = input.readUIntLE(at, 3)
    isLast = (header & 1) === 1
    // A block that repeats one byte holds that byte only.
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3)
  }
  return { end: at + ((flags & 4) === 0 ? 0 : 4), windowBytes, contentBytes }
}
