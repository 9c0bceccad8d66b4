// Cuts a from/to range into whole hours, which counters answer, and the odd ends, which rows of sequences answer to the millisecond.
import { hourMs, hourOf } from './project'

/** [from, to) in milliseconds since the epoch; null: no bound. */
export interface Range {
  readonly from: number | null
  readonly to: number | null
}

/** A range as it is read. */
export interface Spans {
  /** Whole hours, [from, to); null: there are none. */
  readonly hours: Range | null
  /** Parts of hours, at most two. */
  readonly ends: readonly { readonly from: number; readonly to: number }[]
}

/**
 * Cuts a range. Before `exactSince` rows of sequences may be gone: there an hour belongs to a range as a whole when it begins in it.
 * @param exactSince milliseconds since the epoch
 */
export function spansOf({ from, to }: Range, exactSince: number): Spans {
  const firstHour = from === null ? null : Math.ceil(from / hourMs) * hourMs
  const lastHour = to === null ? null : hourOf(to) < exactSince ? Math.ceil(to / hourMs) * hourMs : hourOf(to)
  const hours = firstHour !== null && lastHour !== null && firstHour >= lastHour ? null : { from: firstHour, to: lastHour }
  const ends = [
    ...(from !== null && from < firstHour! ? [{ from, to: Math.min(firstHour!, to ?? firstHour!) }] : []),
    ...(to !== null && lastHour! < to ? [{ from: Math.max(lastHour!, from ?? lastHour!), to }] : []),
  ]
  const distinct = ends.length === 2 && ends[0]!.from === ends[1]!.from ? ends.slice(0, 1) : ends
  return { hours, ends: distinct.filter((end) => end.from < end.to && hourOf(end.from) >= exactSince) }
}
