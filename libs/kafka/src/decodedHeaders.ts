// Headers of a record, read in one pass: many records have the same names, which are remembered.
import type { IHeaders } from 'kafkajs'
import type { Cursor } from './cursor'

/** Reads the headers that a cursor stands before; several of one name become an array. */
export function readHeaders(cursor: Cursor): IHeaders {
  const { buffer } = cursor
  const headers: Record<string, unknown> = {}
  for (let left = cursor.count(); left > 0; left--) {
    const nameBytes = cursor.count()
    const nameStart = cursor.skip(nameBytes)
    const name = nameAt(buffer, nameStart, nameStart + nameBytes)
    const value = cursor.bytes()
    if (headers[name] === undefined) headers[name] = value
    else addTo(headers, name, value)
  }
  return headers as IHeaders
}

/** The second of a name, or the first of one that every object has, such as `constructor`. Not an object without a prototype: those are slow. */
function addTo(headers: Record<string, unknown>, name: string, value: Buffer | null): void {
  const before = Object.hasOwn(headers, name) ? headers[name] : undefined
  const both = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  Object.defineProperty(headers, name, { value: both, enumerable: true, configurable: true, writable: true })
}

interface Name {
  readonly bytes: Buffer
  readonly text: string
}

// Record after record has the same seven names: comparing bytes takes a third off what decoding a record costs. By length; other
// producers may write any number of names, so what is remembered is bounded.
const remembered: readonly Name[][] = Array.from({ length: 65 }, () => [])
const rememberedOfALength = 16

function nameAt(buffer: Buffer, start: number, end: number): string {
  const names = remembered[end - start]
  for (const { bytes, text } of names ?? []) {
    // From the end: `ce_type` and `ce_time` differ there.
    let at = bytes.length - 1
    while (at >= 0 && bytes[at] === buffer[start + at]) at--
    if (at < 0) return text
  }
  const text = buffer.toString('utf8', start, end)
  if (names !== undefined && names.length < rememberedOfALength) names.push({ bytes: Buffer.from(buffer.subarray(start, end)), text })
  return text
}
