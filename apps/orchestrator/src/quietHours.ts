// Quiet hours: whether an instant lies inside a person's, and when they end (rule 21).
import { DateTime, IANAZone } from 'luxon'
import type { EngagementReported } from '@stepcast/contracts'
import type { TemplateVersion } from '@stepcast/template'

/** What the orchestrator keeps of a user: nothing but this. */
export interface QuietHours {
  /** IANA name; null: the workspace's. */
  readonly timezone: string | null
  /** HH:mm, local. */
  readonly start: string
  /** HH:mm, local; before `start` means the next day, equal to it no quiet hours. */
  readonly end: string
}

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/**
 * The next allowed instant, milliseconds, when `now` is inside quiet hours; null outside of them.
 *
 * What counts is the person's clock on the wall: an instant is quiet when that clock shows `start` or later and not yet `end`. So a time
 * that daylight saving skips is never quiet, quiet hours whose end is skipped are over when the clock jumps past it, and a time that comes
 * twice is quiet twice.
 * The zone is the user's, else the workspace's, else UTC; a name that this machine does not know counts as none.
 */
export function quietUntil({ timezone, start, end }: QuietHours, workspaceTimezone: string | undefined, now: number): number | null {
  if (start === end) return null
  const zone = [timezone, workspaceTimezone].find((name) => name && IANAZone.create(name).isValid) ?? 'UTC'
  const [from, to] = [sinceMidnight(start), sinceMidnight(end)]
  const isQuiet = (clock: number): boolean => (from < to ? from <= clock && clock < to : clock >= from || clock < to)
  for (let instant = now; ; ) {
    const clock = clockAt(instant, zone)
    if (!isQuiet(clock)) return instant === now ? null : instant
    // Where the clock would show the end if nothing changed it before; it comes closer every time, and zones change twice a year.
    const reached = instant + ((to - clock + dayMs) % dayMs)
    instant = firstChange(zone, instant, reached) ?? reached
  }
}

function sinceMidnight(time: string): number {
  const [hour, minute] = time.split(':').map(Number)
  return (hour! * 60 + minute!) * minuteMs
}

/** What a clock in the zone shows, milliseconds since midnight. */
function clockAt(instant: number, zone: string): number {
  const { hour, minute, second, millisecond } = DateTime.fromMillis(instant, { zone })
  return (hour * 60 + minute) * minuteMs + second * 1_000 + millisecond
}

const offsetAt = (zone: string, instant: number): number => IANAZone.create(zone).offset(instant)

/** The first instant with another offset than that of `after`, at or before `until`; null when both have the same. Found in 27 halves. */
function firstChange(zone: string, after: number, until: number): number | null {
  const offset = offsetAt(zone, after)
  if (offsetAt(zone, until) === offset) return null
  let [same, changed] = [after, until]
  while (changed - same > 1) {
    const middle = Math.floor((same + changed) / 2)
    if (offsetAt(zone, middle) === offset) same = middle
    else changed = middle
  }
  return changed
}

// Which inputs can make a turn command something that quiet hours hold back: for these what is known of them must be of now.

/** Whether a report can end a step and so begin the next: nothing but an answer that closes a channel does. */
export const mayAdvance = ({ kind }: Pick<EngagementReported, 'kind'>): boolean => kind === 'failed' || kind === 'skipped'

type Start = { readonly template: Pick<TemplateVersion, 'config' | 'channels'> | null }

/** Whether a turn of these inputs may command something outside the feed, which disturbs nobody. */
export function mayDisturb({
  starts,
  reports,
  firing,
  reconsiders,
}: {
  readonly starts: readonly Start[]
  readonly reports: readonly { readonly report: Pick<EngagementReported, 'kind'> }[]
  readonly firing: object | null
  readonly reconsiders: boolean
}): boolean {
  return firing !== null || reconsiders || reports.some(({ report }) => mayAdvance(report)) || startsOutside(starts)
}

function startsOutside(starts: readonly Start[]): boolean {
  // Sends of one template stand together, and share it.
  let judged: Start['template'] = null
  for (const { template } of starts) {
    if (template === judged || template === null) continue
    judged = template
    const { config, channels } = template
    const first = config.sequenceEnabled ? config.sequence.steps[0]!.channels : channels.map(({ channelType }) => channelType)
    if (first.some((channel) => channel !== 'in_app')) return true
  }
  return false
}
