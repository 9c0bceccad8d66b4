import { quietUntil } from './quietHours'

const at = (iso: string): number => Date.parse(iso)
const night = { timezone: 'Asia/Seoul', start: '21:00', end: '08:00' }

it.each([
  ['in the evening they end next morning', '2026-03-02T13:00:00Z', '2026-03-02T23:00:00Z'],
  ['after midnight they end the same morning', '2026-03-02T18:00:00Z', '2026-03-02T23:00:00Z'],
  ['at their first instant they have begun', '2026-03-02T12:00:00Z', '2026-03-02T23:00:00Z'],
])('%s', (_name, now, until) => {
  expect(quietUntil(night, undefined, at(now))).toBe(at(until))
})

it.each([['by day', '2026-03-02T03:00:00Z'], ['at their end', '2026-03-02T23:00:00Z']])('%s nothing is quiet', (_name, now) => {
  expect(quietUntil(night, undefined, at(now))).toBeNull()
})

it('the timezone is the user’s, else the workspace’s, else UTC', () => {
  const hours = { timezone: null, start: '01:00', end: '02:00' }
  expect(quietUntil(hours, undefined, at('2026-03-02T01:30:00Z'))).toBe(at('2026-03-02T02:00:00Z'))
  expect(quietUntil(hours, 'Asia/Seoul', at('2026-03-01T16:30:00Z'))).toBe(at('2026-03-01T17:00:00Z'))
  expect(quietUntil({ ...hours, timezone: 'Europe/Berlin' }, 'Asia/Seoul', at('2026-03-02T00:30:00Z'))).toBe(at('2026-03-02T01:00:00Z'))
})

it('an end that daylight saving skips is the next valid instant', () => {
  // Berlin, 29 March 2026: 02:00 becomes 03:00.
  expect(quietUntil({ timezone: 'Europe/Berlin', start: '22:00', end: '02:30' }, undefined, at('2026-03-29T00:30:00Z'))).toBe(at('2026-03-29T01:30:00Z'))
})
