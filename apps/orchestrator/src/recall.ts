// Sequences that nobody in the process remembers, from their stored histories.
import type { Queryable } from '@stepcast/postgres'
import { evolve, notStarted, type Sequence } from '@stepcast/sequence'
import { decodeChange } from './changeCodec'
import type { CachedSequence } from './committed'
import { loadSequences, type LoadedSequence } from './sql/sequences'

// Histories in memory at once: many receipts of 250 kB must not end the process. Sequences differ, so the first are few.
const maxBytes = 8 * 1024 * 1024
const atFirst = 250

/** Recalls these sequences; unknown ones are missing. */
export async function recallAll(tx: Queryable, sequenceIds: readonly string[]): Promise<CachedSequence[]> {
  const recalled: CachedSequence[] = []
  for (let at = 0, room = atFirst; at < sequenceIds.length; ) {
    const part = sequenceIds.slice(at, at + room)
    let bytes = 0
    for (const loaded of await loadSequences(tx, part)) {
      for (const { data } of loaded.changes) bytes += data.length
      recalled.push(recall(loaded))
    }
    at += part.length
    room = Math.max(1, Math.floor((part.length * maxBytes) / Math.max(1, bytes)))
  }
  return recalled
}

function recall({ head, changes }: LoadedSequence): CachedSequence {
  let state: Sequence = notStarted
  let startedAt: number | null = null
  for (const { data } of changes) {
    const { recordedAt, events } = decodeChange(data)
    startedAt ??= recordedAt
    for (const event of events) state = evolve(state, event, recordedAt)
  }
  return { head, state, version: changes[changes.length - 1]!.version, variables: 'stored', size: 0, startedAt: startedAt! }
}
