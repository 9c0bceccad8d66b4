// Records at the front of a mailbox, read once: a turn takes them all, or as many as it may.
import type { RawIncoming, Waiting } from '@stepcast/kafka'

/** Inputs that were read, and the offset that is reached when they are done: records that are no input of this partition count as done. */
export interface Portion<T> {
  readonly inputs: readonly T[]
  readonly nextOffset: number
}

interface Input {
  readonly record: RawIncoming
}

/** As many of the records that wait as have so many bytes together; one at least. */
export function withinBytes(waiting: Waiting, maxBytes: number): Waiting {
  let bytes = 0
  for (const [index, { value, offset }] of waiting.records.entries()) {
    bytes += value?.length ?? 0
    if (bytes > maxBytes && index > 0) return { records: waiting.records.slice(0, index), nextOffset: offset }
  }
  return waiting
}

/** The first `most` inputs. */
export function firstOf<T extends Input>(portion: Portion<T>, most: number): Portion<T> {
  const { inputs } = portion
  return inputs.length <= most ? portion : { inputs: inputs.slice(0, most), nextOffset: inputs[most]!.record.offset }
}

/** What is left when everything before `offset` is done; null: nothing. */
export function restOf<T extends Input>(portion: Portion<T> | null, offset: number): Portion<T> | null {
  if (portion === null || portion.nextOffset <= offset) return null
  return { inputs: portion.inputs.filter(({ record }) => record.offset >= offset), nextOffset: portion.nextOffset }
}
