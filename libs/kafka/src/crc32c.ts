// CRC-32C (Castagnoli), the checksum of Kafka's record batches. Eight bytes at a time: several times the client's own, byte by byte.

const polynomial = 0x82f63b78

const tables: readonly Int32Array[] = (() => {
  const first = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
    first[byte] = value
  }
  const all = [first]
  for (let place = 1; place < 8; place++) all.push(all[place - 1]!.map((value) => (value >>> 8) ^ first[value & 0xff]!))
  return all
})()
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]

/** The checksum of `bytes` from `start` to `end`, unsigned (RFC 3720, B.4; "slicing" after Kounavis and Berry). */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1
  let at = start
  for (const whole = start + ((end - start) & ~7); at < whole; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc =
      t7[crc & 0xff]! ^ t6[(crc >>> 8) & 0xff]! ^ t5[(crc >>> 16) & 0xff]! ^ t4[crc >>> 24]! ^
      t3[bytes[at + 4]!]! ^ t2[bytes[at + 5]!]! ^ t1[bytes[at + 6]!]! ^ t0[bytes[at + 7]!]!
  }
  for (; at < end; at++) crc = t0[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ -1) >>> 0
}
