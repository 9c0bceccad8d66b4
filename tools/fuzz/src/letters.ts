// Reads the dead letters by hand, from the first: no client of the product is asked what it wrote.
import { deadLetterTopic } from '@stepcast/contracts'
import type { Wire, WireRecord } from '@stepcast/chaos'
import { idHeader } from './mutate'

/** A dead letter. */
export interface Letter {
  readonly partition: number
  readonly offset: number
  /** Where the record stood, as the letter says. */
  readonly place: string
  readonly reason: string
  readonly detail: string
  /** The shot's id; null: its headers are gone, or it is no shot's. */
  readonly id: string | null
  /** Its key and value, for names that must not be there. */
  readonly holds: (text: string) => boolean
}

interface Read extends WireRecord {
  readonly offset: number
}

/** The records of batches as the broker keeps them; control batches hold none. */
function recordsOf(bytes: Buffer): Read[] {
  const records: Read[] = []
  for (let at = 0; at + 61 <= bytes.length; ) {
    const length = bytes.readInt32BE(at + 8) + 12
    // The last batch of a fetch may be cut.
    if (at + length > bytes.length) break
    const attributes = bytes.readInt16BE(at + 21)
    // Nobody compresses dead letters, and a topic that did it would be found by this.
    if ((attributes & 7) !== 0) throw new Error(`a batch of dead letters is compressed with codec ${attributes & 7}`)
    if ((attributes & 0x20) === 0)
      readRecords(Number(bytes.readBigInt64BE(at)), bytes.subarray(at + 61, at + length), bytes.readInt32BE(at + 57), records)
    at += length
  }
  return records
}

/** One past the last offset of the batches. */
function nextOffset(bytes: Buffer, otherwise: number): number {
  let next = otherwise
  for (let at = 0; at + 61 <= bytes.length; ) {
    const length = bytes.readInt32BE(at + 8) + 12
    if (at + length > bytes.length) break
    next = Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + 23) + 1
    at += length
  }
  return next
}

function readRecords(base: number, bytes: Buffer, count: number, into: Read[]): void {
  let at = 0
  const varint = (): number => {
    let [value, shift] = [0, 1]
    for (;;) {
      const byte = bytes[at++]!
      value += (byte & 0x7f) * shift
      if (byte < 0x80) break
      shift *= 128
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
  const slice = (): Buffer | null => {
    const length = varint()
    return length < 0 ? null : bytes.subarray(at, (at += length))
  }
  for (let index = 0; index < count; index++) {
    varint()
    at++
    varint()
    const offset = base + varint()
    const [key, value] = [slice(), slice()]
    const headers = Array.from({ length: varint() }, () => [slice()!, slice()] as const)
    into.push({ offset, key, value, headers })
  }
}

/** The dead letters so far. */
export class Letters {
  readonly all: Letter[] = []
  private readonly next: Map<number, number>

  constructor(
    private readonly wire: Wire,
    partitions: number,
  ) {
    this.next = new Map(Array.from({ length: partitions }, (_, partition) => [partition, 0]))
  }

  /** Reads what has come since. @returns whether there was anything */
  async read(): Promise<boolean> {
    const fetched = await this.wire.fetch(deadLetterTopic.name, this.next)
    let found = false
    for (const { partition, batches } of fetched) {
      const next = nextOffset(batches, this.next.get(partition)!)
      if (next === this.next.get(partition)) continue
      found = true
      this.next.set(partition, next)
      for (const record of recordsOf(batches)) this.all.push(letterOf(partition, record))
    }
    return found
  }

  /** Reads to the end. */
  async readAll(): Promise<void> {
    while (await this.read());
  }
}

function letterOf(partition: number, { offset, key, value, headers }: Read): Letter {
  // A forged header comes first, the writer's own last.
  const header = (name: string): string | null => headers.findLast(([one]) => one.toString() === name)?.[1]?.toString() ?? null
  return {
    partition,
    offset,
    place: `${header('topic')}/${header('partition')}/${header('offset')}`,
    reason: header('reason') ?? 'none',
    detail: (header('detail') ?? '').slice(0, 200),
    id: header(idHeader),
    holds: (text) => value?.includes(text) === true || key?.includes(text) === true,
  }
}
