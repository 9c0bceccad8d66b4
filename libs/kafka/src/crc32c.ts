// CRC-32C (Castagnoli), the checksum of Kafka's record batches: by the processor's own instruction.
import { crc32c as ofBytes } from '@node-rs/crc32'

/** The checksum of `bytes` from `start` to `end`, unsigned (RFC 3720, B.4). */
export const crc32c = (bytes: Buffer, start: number, end: number): number => ofBytes(bytes.subarray(start, end))
