// A place in bytes that come from outside, read forward; what would be behind the end is an error, never a made-up value.
import { UnreadableBatch } from './unreadable'

const cut = (): never => {
  throw new UnreadableBatch('a record is cut')
}

/** Kafka's variable-length fields. https://kafka.apache.org/documentation/#recordbatch */
export class Cursor {
  constructor(
    readonly buffer: Buffer,
    public at: number,
    public end: number,
  ) {}

  /** A whole number of 32 bits, zigzag. */
  varint(): number {
    const { buffer } = this
    let byte = this.byte()
    let raw = byte & 0x7f
    for (let shift = 7; byte > 0x7f; shift += 7) {
      if (shift > 28) return cut()
      if (this.at >= this.end) return cut()
      byte = buffer[this.at++]!
      raw |= (byte & 0x7f) << shift
    }
    return (raw >>> 1) ^ -(raw & 1)
  }

  /** A whole number of 64 bits, zigzag; beyond 2^53 it is about right. */
  varlong(): number {
    let scale = 1
    let raw = 0
    for (let bytes = 0; bytes < 10; bytes++, scale *= 128) {
      const byte = this.byte()
      raw += (byte & 0x7f) * scale
      if (byte < 0x80) return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
    }
    return cut()
  }

  byte(): number {
    if (this.at >= this.end) return cut()
    return this.buffer[this.at++]!
  }

  /** A length or a number of things: never negative, and each thing has a byte at least. */
  count(): number {
    const count = this.varint()
    if (count < 0 || count > this.end - this.at) return cut()
    return count
  }

  /** A length and as many bytes; a negative length is null. */
  bytes(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    const start = this.skip(length)
    return this.buffer.subarray(start, start + length)
  }

  /** Passes over bytes; answers where they began. */
  skip(bytes: number): number {
    const start = this.at
    if (bytes > this.end - start) return cut()
    this.at = start + bytes
    return start
  }
}
