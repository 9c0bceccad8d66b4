// Quiet hours over real changes of real zones, judged by what a clock on the wall shows.
import fc from 'fast-check'
import { quietUntil, type QuietHours } from './quietHours'

const at = (iso: string): number => Date.parse(iso)
const from = (start: string, end: string, timezone: string | null = null): QuietHours => ({ timezone, start, end })
const until = (quiet: QuietHours, now: string, workspaceTimezone?: string): string | null => {
  const end = quietUntil(quiet, workspaceTimezone, at(now))
  return end === null ? null : new Date(end).toISOString().replace(':00.000Z', 'Z')
}

describe('in a zone without daylight saving (Seoul, nine hours ahead)', () => {
  const night = from('21:00', '08:00', 'Asia/Seoul')
  it.each([
    ['in the evening they end next morning', '2026-03-02T13:00Z', '2026-03-02T23:00Z'],
    ['after midnight they end the same morning', '2026-03-02T18:00Z', '2026-03-02T23:00Z'],
    ['at their first instant they have begun', '2026-03-02T12:00Z', '2026-03-02T23:00Z'],
    ['a millisecond before they begin it is not quiet', '2026-03-02T11:59:59.999Z', null],
    ['at their last millisecond it is', '2026-03-02T22:59:59.999Z', '2026-03-02T23:00Z'],
    ['at their end it is not', '2026-03-02T23:00Z', null],
    ['by day it is not', '2026-03-02T03:00Z', null],
  ])('%s', (_name, now, end) => expect(until(night, now)).toBe(end))

  it('of the same day they begin and end that day', () => {
    const noon = from('12:00', '13:00', 'Asia/Seoul')
    expect([until(noon, '2026-03-02T03:30Z'), until(noon, '2026-03-02T04:00Z')]).toEqual(['2026-03-02T04:00Z', null])
  })

  it('of no length there are none', () => expect(until(from('08:00', '08:00', 'Asia/Seoul'), '2026-03-01T23:00Z')).toBeNull())
})

describe('the zone is', () => {
  it('the user’s, whatever the workspace’s', () =>
    expect(until(from('01:00', '02:00', 'Europe/Berlin'), '2026-03-02T00:30Z', 'Asia/Seoul')).toBe('2026-03-02T01:00Z'))
  it('else the workspace’s', () => expect(until(from('01:00', '02:00'), '2026-03-01T16:30Z', 'Asia/Seoul')).toBe('2026-03-01T17:00Z'))
  it('else UTC', () => expect(until(from('01:00', '02:00'), '2026-03-02T01:30Z')).toBe('2026-03-02T02:00Z'))
  it('never a name this machine does not know: that counts as none', () =>
    expect(until(from('01:00', '02:00', 'Asia/Atlantis'), '2026-03-01T16:30Z', 'Asia/Seoul')).toBe('2026-03-01T17:00Z'))
})

describe('when the clock jumps ahead', () => {
  // Berlin, 29 March 2026, 01:00Z: 02:00 becomes 03:00.
  it('quiet hours over the jump are an hour shorter', () =>
    expect(until(from('22:00', '08:00', 'Europe/Berlin'), '2026-03-28T21:00Z')).toBe('2026-03-29T06:00Z'))
  it('an end that is skipped is passed when the clock jumps past it', () =>
    expect(until(from('22:00', '02:30', 'Europe/Berlin'), '2026-03-29T00:30Z')).toBe('2026-03-29T01:00Z'))
  it('a beginning that is skipped is passed likewise', () => {
    expect(until(from('02:30', '05:00', 'Europe/Berlin'), '2026-03-29T00:59Z')).toBeNull()
    expect(until(from('02:30', '05:00', 'Europe/Berlin'), '2026-03-29T01:00Z')).toBe('2026-03-29T03:00Z')
  })
  it.each(['2026-03-29T00:59:59Z', '2026-03-29T01:00Z', '2026-03-29T01:15Z', '2026-03-29T01:30Z'])(
    'quiet hours inside the skipped hour do not come at all (%s)',
    (now) => expect(until(from('02:15', '02:45', 'Europe/Berlin'), now)).toBeNull(),
  )
  // New York, 8 March 2026, 07:00Z.
  it('also in New York', () => expect(until(from('23:00', '02:00', 'America/New_York'), '2026-03-08T05:30Z')).toBe('2026-03-08T07:00Z'))
  // Lord Howe, 4 October 2026 (local), 15:30Z the day before: 02:00 becomes 02:30.
  it('also by half an hour, on Lord Howe Island', () => {
    expect(until(from('22:00', '08:00', 'Australia/Lord_Howe'), '2026-10-03T12:00Z')).toBe('2026-10-03T21:00Z')
    expect(until(from('22:00', '02:15', 'Australia/Lord_Howe'), '2026-10-03T15:00Z')).toBe('2026-10-03T15:30Z')
  })
  // Beirut, 29 March 2026 (local), 22:00Z the day before: midnight becomes 01:00.
  it('also at midnight, in Beirut', () => {
    expect(until(from('21:00', '00:30', 'Asia/Beirut'), '2026-03-28T21:30Z')).toBe('2026-03-28T22:00Z')
    expect(until(from('00:15', '06:00', 'Asia/Beirut'), '2026-03-28T22:00Z')).toBe('2026-03-29T03:00Z')
  })
  // Apia went from 29 to 31 December 2011 at 10:00Z: the clock on the wall went on, the calendar skipped a day.
  it('also by a whole day, in Apia', () =>
    expect(until(from('21:00', '08:00', 'Pacific/Apia'), '2011-12-30T08:00Z')).toBe('2011-12-30T18:00Z'))
})

describe('when the clock is put back', () => {
  // Berlin, 25 October 2026, 01:00Z: 03:00 becomes 02:00.
  it('quiet hours over it are an hour longer', () =>
    expect(until(from('22:00', '08:00', 'Europe/Berlin'), '2026-10-24T20:00Z')).toBe('2026-10-25T07:00Z'))
  it.each([
    ['the first time', '2026-10-25T00:15Z', '2026-10-25T00:30Z'],
    ['and not between', '2026-10-25T00:30Z', null],
    ['and the second time', '2026-10-25T01:15Z', '2026-10-25T01:30Z'],
  ])('a time that comes twice is quiet twice: %s', (_name, now, end) =>
    expect(until(from('02:00', '02:30', 'Europe/Berlin'), now)).toBe(end),
  )
  it('an end just before the clock is put back to inside is none', () =>
    expect(until(from('22:00', '03:00', 'Europe/Berlin'), '2026-10-25T00:00Z')).toBe('2026-10-25T02:00Z'))
  // New York, 1 November 2026, 06:00Z: 02:00 becomes 01:00.
  it('also in New York', () => expect(until(from('23:00', '06:00', 'America/New_York'), '2026-11-01T04:00Z')).toBe('2026-11-01T11:00Z'))
  // Lord Howe, 5 April 2026 (local), 15:00Z the day before: 02:00 becomes 01:30.
  it('also by half an hour, on Lord Howe Island', () =>
    expect(until(from('22:00', '01:45', 'Australia/Lord_Howe'), '2026-04-04T14:50Z')).toBeNull())
})

// The judge knows nothing of offsets: it reads clocks through Intl, which formats what a person sees.
const clocks = new Map<string, Intl.DateTimeFormat>()
const clockAt = (zone: string, instant: number): string => {
  const shown = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const
  const clock = clocks.get(zone) ?? new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...shown })
  clocks.set(zone, clock)
  return clock.format(instant)
}
const showsQuiet = ({ start, end }: QuietHours, clock: string): boolean =>
  start < end ? start <= clock && clock < end : start !== end && (clock >= start || clock < end)

const minute = 60_000
const twoDigits = (n: number): string => String(n).padStart(2, '0')
const times = fc.integer({ min: 0, max: 1_439 }).map((i) => `${twoDigits(Math.floor(i / 60))}:${twoDigits(i % 60)}`)
// Within a day of a change of the zone, where mistakes live, or anywhere in forty years.
const changes: readonly (readonly [string, string])[] = [
  ['Europe/Berlin', '2026-03-29T01:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00Z'],
  ['America/New_York', '2026-03-08T07:00Z'],
  ['America/New_York', '2026-11-01T06:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00Z'],
  ['Asia/Beirut', '2026-03-28T22:00Z'],
  ['Africa/Casablanca', '2026-02-15T02:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00Z'],
]
const aroundAChange = fc
  .tuple(fc.constantFrom(...changes), fc.integer({ min: -1_500 * minute, max: 1_500 * minute }))
  .map(([[zone, change], distance]) => ({ zone, now: at(change) + distance }))
const anywhere = fc.record({
  zone: fc.constantFrom('Asia/Seoul', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia', 'Asia/Kathmandu', 'UTC'),
  now: fc.integer({ min: at('1990-01-01T00:00Z'), max: at('2030-01-01T00:00Z') }),
})

it('always: quiet is what the clock on the wall says, and the end is the first minute at which it no longer does', () => {
  fc.assert(
    fc.property(fc.oneof(aroundAChange, anywhere), times, times, ({ zone, now }, start, end) => {
      const quiet = from(start, end, zone)
      const quietAt = (instant: number): boolean => showsQuiet(quiet, clockAt(zone, instant))
      const told = quietUntil(quiet, undefined, now)
      if (!quietAt(now)) return expect(told).toBeNull()
      let first = Math.floor(now / minute) * minute + minute
      while (quietAt(first)) first += minute
      return expect(new Date(told!).toISOString()).toBe(new Date(first).toISOString())
    }),
    { numRuns: 400 },
  )
})
