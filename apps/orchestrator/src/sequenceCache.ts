// What a process remembers of its sequences, bounded by bytes for all its partitions together; the longest unchanged go first.
import { LRUCache } from 'lru-cache'
import type { CachedSequence } from './committed'

// A quarter of a local process's heap (512 MB): some 80,000 running sequences.
const defaultMaxBytes = 128 * 1024 * 1024
// Measured with 40,000 of them: a sequence in its first step 1,490 bytes, in its second 1,890, with short ids, its place in the memory included.
const sequenceBytes = 1_050
const stepBytes = 400

/** What remembering this sequence costs, about. */
export function costOf({ head, state, size }: CachedSequence): number {
  const entered = state.status === 'notStarted' ? 0 : state.entered.length
  return sequenceBytes + entered * stepBytes + 2 * (head.sendId.length + head.userId.length + size)
}

interface Entry {
  readonly sequence: CachedSequence
  readonly of: Remembered
  readonly era: number
}

/** The memory of a process. */
export class SequenceCache {
  // Ids are unique over all partitions.
  private readonly entries: LRUCache<string, Entry>

  constructor(maxBytes = defaultMaxBytes) {
    this.entries = new LRUCache({ maxSize: maxBytes })
  }

  /** Bytes that are remembered, about. */
  get size(): number {
    return this.entries.calculatedSize
  }

  /** The part of one home partition. */
  ofPartition(): Remembered {
    return new Remembered(this.entries)
  }
}

/** What is remembered of one partition: as committed under the ownership at hand, void with the next. */
export class Remembered {
  // What an earlier era left is not seen any more and goes when room is needed, or with its successor.
  private era = 0

  constructor(private readonly entries: LRUCache<string, Entry>) {}

  get(sequenceId: string): CachedSequence | undefined {
    // Reading keeps nothing longer: what a turn reads it also changes, or it is at an end.
    const entry = this.entries.peek(sequenceId)
    return entry !== undefined && entry.of === this && entry.era === this.era ? entry.sequence : undefined
  }

  has(sequenceId: string): boolean {
    return this.get(sequenceId) !== undefined
  }

  /** New states, now that they are committed. */
  remember(sequences: readonly CachedSequence[]): void {
    const { entries, era } = this
    for (const sequence of sequences) entries.set(sequence.head.sequenceId, { sequence, of: this, era }, { size: costOf(sequence) })
  }

  /** Forgets all of the partition. */
  clear(): void {
    this.era++
  }
}
