// LZ4 frames, decompressed with a bound: no package has one, and LZ4 expands up to 255 times.
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and …/lz4_Block_format.md
import { TooManyBytes } from './unreadable'

const frameMagic = 0x184d_2204
/** Skippable frames: 0x184d2a50 to 0x184d2a5f. */
const skippableMagic = 0x184d_2a50

/**
 * The content of all frames in `input`, one after another: independent blocks (Java) and linked ones (librdkafka). Checksums of the frame are
 * passed over: the batch around it has one.
 * @throws TooManyBytes when there would be more than `maxBytes`; Error when it is no LZ4.
 */
export function decompressLz4(input: Buffer, maxBytes: number): Buffer {
  const output = new Output(Math.min(maxBytes, Math.max(1024, input.length * 4)), maxBytes)
  for (let at = 0; at < input.length; ) {
    const magic = at + 4 <= input.length ? input.readUInt32LE(at) : 0
    if (magic === frameMagic) at = readFrame(input, at + 4, output)
    else if ((magic & 0xffff_fff0) >>> 0 === skippableMagic && at + 8 <= input.length) at += 8 + input.readUInt32LE(at + 4)
    else throw new Error('no LZ4 frame')
  }
  return output.take()
}

/** Bytes that grow by doubling, up to a bound. */
class Output {
  buffer: Buffer
  at = 0

  constructor(
    initialBytes: number,
    private readonly maxBytes: number,
  ) {
    this.buffer = Buffer.allocUnsafe(initialBytes)
  }

  /** Makes room for so many bytes more. */
  reserve(bytes: number): void {
    const needed = this.at + bytes
    if (needed <= this.buffer.length) return
    if (needed > this.maxBytes) throw new TooManyBytes()
    const larger = Buffer.allocUnsafe(Math.min(this.maxBytes, Math.max(needed, this.buffer.length * 2)))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
  }

  take(): Buffer {
    return this.buffer.subarray(0, this.at)
  }
}

const cut = (): never => {
  throw new Error('an LZ4 frame is cut')
}

/** One frame, from behind its magic number; answers where it ends. */
function readFrame(input: Buffer, start: number, output: Output): number {
  if (start + 3 > input.length) cut()
  const flags = input[start]!
  if (flags >> 6 !== 1) throw new Error('an LZ4 frame of an unknown version')
  if ((flags & 1) !== 0) throw new Error('an LZ4 frame that needs a dictionary')
  const areLinked = (flags & 0x20) === 0
  const checksumBytes = (flags & 0x10) === 0 ? 0 : 4
  // Flags, block size, content size if there is one, checksum of the header.
  let at = start + 2 + ((flags & 0x08) === 0 ? 0 : 8) + 1
  const frameStart = output.at
  for (;;) {
    if (at + 4 > input.length) cut()
    const size = input.readUInt32LE(at)
    at += 4
    if (size === 0) break
    const bytes = size & 0x7fff_ffff
    if (at + bytes > input.length) cut()
    if (size >>> 31 === 1) {
      output.reserve(bytes)
      output.at += input.copy(output.buffer, output.at, at, at + bytes)
    } else readBlock(input, at, at + bytes, output, areLinked ? frameStart : output.at)
    at += bytes + checksumBytes
  }
  const end = at + ((flags & 0x04) === 0 ? 0 : 4)
  if (end > input.length) cut()
  return end
}

/** One block: literals and matches by turns. A match reaches back to `first` at most. */
function readBlock(input: Buffer, start: number, end: number, output: Output, first: number): void {
  let from = start
  while (from < end) {
    const token = input[from++]!
    let literals = token >> 4
    if (literals === 15) {
      for (let more = 255; more === 255; literals += more) {
        if (from >= end) cut()
        more = input[from++]!
      }
    }
    if (from + literals > end) cut()
    output.reserve(literals)
    // A call costs more than copying a few bytes.
    if (literals > 32) output.at += input.copy(output.buffer, output.at, from, from + literals)
    else for (let i = 0; i < literals; i++) output.buffer[output.at++] = input[from + i]!
    from += literals
    if (from === end) return
    if (from + 2 > end) cut()
    const distance = input[from]! | (input[from + 1]! << 8)
    from += 2
    let length = (token & 15) + 4
    if (length === 19) {
      for (let more = 255; more === 255; length += more) {
        if (from >= end) cut()
        more = input[from++]!
      }
    }
    if (distance === 0 || output.at - distance < first) throw new Error('an LZ4 match from before the beginning')
    output.reserve(length)
    repeat(output, distance, length)
  }
}

/** Copies what stands `distance` back; where that overlaps, it repeats. */
function repeat(output: Output, distance: number, length: number): void {
  const { buffer, at } = output
  if (distance === 1) buffer.fill(buffer[at - 1]!, at, at + length)
  else if (length <= 32) for (let i = at; i < at + length; i++) buffer[i] = buffer[i - distance]!
  else {
    // Each copy doubles what can be copied at once.
    for (let done = 0; done < length; ) {
      const bytes = Math.min(length - done, distance + done)
      buffer.copyWithin(at + done, at - distance, at - distance + bytes)
      done += bytes
    }
  }
  output.at = at + length
}
