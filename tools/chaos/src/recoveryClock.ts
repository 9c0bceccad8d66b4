// From when a fault's time to recover counts: what another fault stops meanwhile cannot show that this one is over. Pure.

/** A fault that struck. */
export interface StruckFault {
  readonly area: string
  /** What must work again before it counts as recovered from. */
  readonly works: readonly string[]
  /** Milliseconds since 1970. */
  readonly at: number
  /** When its end began; null: it is not over. */
  readonly overAt: number | null
  readonly recoveredAt: number | null
}

/** What everything else goes through. */
const needed: ReadonlySet<string> = new Set(['kafka', 'postgres', 'orchestrator', 'topics'])

// So many times the usual time in all, however many faults follow each other.
const timesAtMost = 3

/**
 * When a fault's time to recover began; `now` while it has not. It begins anew with each later fault that stops what it is judged by, and not
 * before earlier ones of that kind are recovered from: those answer for themselves.
 * @param others all faults but this one
 */
export function countsFrom(fault: StruckFault, others: readonly StruckFault[], now: number, recoverWithinMs: number): number {
  if (fault.overAt === null) return now
  const disturbing = others.filter(({ area, works }) => needed.has(area) || works.some((work) => fault.works.includes(work)))
  const begins = disturbing.map((other) => (other.at < fault.at ? (other.recoveredAt ?? now) : (other.overAt ?? now)))
  return Math.min(Math.max(fault.overAt, ...begins), fault.overAt + (timesAtMost - 1) * recoverWithinMs)
}
