// What a process remembers of its sequences, bounded by bytes for all its partitions together; the longest unchanged go first.
import type { CachedSequence } from './turn'

// A quarter of a local process's heap (512 MB): some 80,000 running sequences.
const defaultMaxBytes = 128 * 1024 * 1024
// Measured with 20,000 of them: a sequence in its first step 1,390 bytes, in its second 1,860, with short ids, its place in the map included.
const sequenceBytes = 1_000
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
  readonly cost: number
}

/** The memory of a process. */
export class SequenceCache {
  // In the order of their last change. Ids are unique over all partitions.
  private readonly entries = new Map<string, Entry>()
  private bytes = 0

  constructor(private readonly maxBytes = defaultMaxBytes) {}

  /** Bytes that are remembered, about. */
  get size(): number {
    return this.bytes
  }

  /** The part of one home partition. */
  ofPartition(): Remembered {
    return new Remembered(this)
  }

  /** For {@link Remembered}. */
  entry(sequenceId: string): Entry | undefined {
    return this.entries.get(sequenceId)
  }

  /** For {@link Remembered}. */
  set(sequenceId: string, entry: Entry): void {
    this.drop(sequenceId)
    this.entries.set(sequenceId, entry)
    this.bytes += entry.cost
  }

  /** Makes room once for many: an iterator passes over every place that was left at the front. For {@link Remembered}. */
  makeRoom(): void {
    if (this.bytes <= this.maxBytes) return
    for (const oldest of this.entries.keys()) {
      if (this.bytes <= this.maxBytes) return
      this.drop(oldest)
    }
  }

  private drop(sequenceId: string): void {
    const entry = this.entries.get(sequenceId)
    if (entry === undefined) return
    this.entries.delete(sequenceId)
    this.bytes -= entry.cost
  }
}

/** What is remembered of one partition: as committed under the ownership at hand, void with the next. */
export class Remembered {
  // What an earlier era left is not seen any more and goes when room is needed, or with its successor.
  private era = 0

  constructor(private readonly cache: SequenceCache) {}

  get(sequenceId: string): CachedSequence | undefined {
    const entry = this.cache.entry(sequenceId)
    return entry !== undefined && entry.of === this && entry.era === this.era ? entry.sequence : undefined
  }

  has(sequenceId: string): boolean {
    return this.get(sequenceId) !== undefined
  }

  /** New states, now that they are committed. */
  remember(sequences: readonly CachedSequence[]): void {
    const { cache, era } = this
    for (const sequence of sequences) cache.set(sequence.head.sequenceId, { sequence, of: this, era, cost: costOf(sequence) })
    cache.makeRoom()
  }

  /** Forgets all of the partition. */
  clear(): void {
    this.era++
  }
}
