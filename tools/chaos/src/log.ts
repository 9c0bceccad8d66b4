// Reads stepcast.sequences.v1 as the contract says a reader may: one highest position per partition, everything else is a repetition.
import type { SequenceChanged } from '@stepcast/contracts'
import type { Breach, Recorded } from './history'

/** The log as read. */
export interface Log {
  /** Each change once, in the order of its partition. */
  readonly changes: readonly SequenceChanged[]
  /** Of each sequence, in order. */
  readonly stories: ReadonlyMap<string, readonly SequenceChanged[]>
  readonly breaches: readonly Breach[]
}

/** Reads the log, and says where it breaks its own promise: gapless positions, the same content whenever repeated. */
export function readLog(records: readonly Recorded<SequenceChanged>[]): Log {
  const promise = 'the log is gapless, and what is published again says the same'
  const breaches: Breach[] = []
  const changes: SequenceChanged[] = []
  const stories = new Map<string, SequenceChanged[]>()
  const highest = new Map<number, number>()
  const digests = new Map<string, string>()
  for (const { partition, offset, value, digest } of records) {
    const { logPartition, logPosition, sequenceId, version } = value
    const breach = (what: string): void =>
      void breaches.push({ promise, what: `${what} (partition ${partition}, offset ${offset})`, sequenceId })
    if (logPartition !== partition) breach(`position ${logPosition} of partition ${logPartition} stands elsewhere`)
    const place = `${logPartition}/${logPosition}`
    const before = digests.get(place)
    if (before !== undefined && before !== digest) breach(`position ${logPosition} was published with two contents`)
    digests.set(place, digest)
    const last = highest.get(partition) ?? 0
    if (logPosition <= last) {
      if (before === undefined) breach(`position ${logPosition} came for the first time after position ${last}`)
      continue
    }
    if (logPosition !== last + 1) breach(`position ${logPosition} follows position ${last}`)
    highest.set(partition, logPosition)
    changes.push(value)
    const story = stories.get(sequenceId)
    if (version !== (story?.length ?? 0) + 1) breach(`version ${version} follows version ${story?.length ?? 0}`)
    if (story) story.push(value)
    else stories.set(sequenceId, [value])
  }
  return { changes, stories, breaches }
}
