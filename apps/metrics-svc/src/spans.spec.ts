// Ranges cut into hours and ends: nothing twice, nothing left out.
import { hourMs } from './project'
import { spansOf } from './spans'

const at = (hour: number, minute = 0): number => hour * hourMs + minute * 60_000
const always = 0

it('reads everything by hours when there is no bound', () => {
  expect(spansOf({ from: null, to: null }, always)).toEqual({ hours: { from: null, to: null }, ends: [] })
})

it('reads whole hours by counters alone', () => {
  expect(spansOf({ from: at(3), to: at(5) }, always)).toEqual({ hours: { from: at(3), to: at(5) }, ends: [] })
})

it('reads the odd ends by rows', () => {
  expect(spansOf({ from: at(3, 10), to: at(6, 20) }, always)).toEqual({
    hours: { from: at(4), to: at(6) },
    ends: [
      { from: at(3, 10), to: at(4) },
      { from: at(6), to: at(6, 20) },
    ],
  })
})

it('reads a range within one hour by rows', () => {
  expect(spansOf({ from: at(3, 10), to: at(3, 20) }, always)).toEqual({ hours: null, ends: [{ from: at(3, 10), to: at(3, 20) }] })
  expect(spansOf({ from: at(3), to: at(3, 20) }, always)).toEqual({ hours: null, ends: [{ from: at(3), to: at(3, 20) }] })
  expect(spansOf({ from: at(3, 10), to: at(4) }, always)).toEqual({ hours: null, ends: [{ from: at(3, 10), to: at(4) }] })
})

it('reads a range over the turn of an hour by two parts', () => {
  expect(spansOf({ from: at(3, 50), to: at(4, 10) }, always)).toEqual({
    hours: null,
    ends: [
      { from: at(3, 50), to: at(4) },
      { from: at(4), to: at(4, 10) },
    ],
  })
})

it('takes an hour whose rows may be gone as a whole when it begins in the range', () => {
  const exactSince = at(100)
  expect(spansOf({ from: at(3, 10), to: at(6, 20) }, exactSince)).toEqual({ hours: { from: at(4), to: at(7) }, ends: [] })
  expect(spansOf({ from: at(3, 10), to: at(101, 20) }, exactSince)).toEqual({
    hours: { from: at(4), to: at(101) },
    ends: [{ from: at(101), to: at(101, 20) }],
  })
  expect(spansOf({ from: at(3, 10), to: at(3, 20) }, exactSince)).toEqual({ hours: null, ends: [] })
})

it('gives every moment of a range to exactly one part', () => {
  for (let from = 0; from < 180; from += 23) {
    for (let to = from + 1; to < 200; to += 17) {
      const { hours, ends } = spansOf({ from: from * 60_000, to: to * 60_000 }, always)
      for (let minute = 0; minute < 240; minute += 3) {
        const moment = minute * 60_000
        const parts = [...ends, ...(hours ? [{ from: hours.from!, to: hours.to! }] : [])].filter(
          (part) => moment >= part.from && moment < part.to,
        )
        expect(parts).toHaveLength(minute >= from && minute < to ? 1 : 0)
      }
    }
  }
})
