// Quiet hours: whether an instant lies inside a person's, and when they end (rule 21).
import { DateTime } from 'luxon'

/** What the orchestrator keeps of a user: nothing but this. */
export interface QuietHours {
  /** IANA name; null: the workspace's. */
  readonly timezone: string | null
  /** HH:mm, local. */
  readonly start: string
  /** HH:mm, local; before or at `start` means the next day. */
  readonly end: string
}

/**
 * The end of the quiet hours that contain `now`, milliseconds; null outside of them. A local time that daylight saving
 * skips is the next valid instant, one that comes twice is the first.
 */
export function quietUntil(quiet: QuietHours, workspaceTimezone: string | undefined, now: number): number | null {
  const wanted = DateTime.fromMillis(now, { zone: quiet.timezone ?? workspaceTimezone ?? 'UTC' })
  const local = wanted.isValid ? wanted : DateTime.fromMillis(now, { zone: 'UTC' })
  if (quiet.start === quiet.end) return null
  const at = (day: DateTime, time: string): DateTime => {
    const [hour, minute] = time.split(':').map(Number)
    return day.set({ hour: hour!, minute: minute!, second: 0, millisecond: 0 })
  }
  // Quiet hours over midnight that began yesterday, and those that begin today.
  for (const day of [local.minus({ days: 1 }), local]) {
    const start = at(day, quiet.start)
    const end = quiet.end > quiet.start ? at(day, quiet.end) : at(day.plus({ days: 1 }), quiet.end)
    if (start <= local && local < end) return end.toMillis()
  }
  return null
}
