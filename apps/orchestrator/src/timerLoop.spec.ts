// Up to where the timers of a partition are known to have fired, whatever is set meanwhile.
import { Horizons } from './timerLoop'

it('nothing is known of a partition until its earliest timer was told', () => {
  const horizons = new Horizons()
  expect(horizons.of(1)).toBe(0)
  horizons.asking()
  horizons.answered(1, 500)
  expect([horizons.of(1), horizons.of(2)]).toEqual([500, 0])
})

it('a timer set earlier lowers it, a later one does not', () => {
  const horizons = new Horizons()
  horizons.asking()
  horizons.answered(1, 500)
  horizons.lower(1, 700)
  expect(horizons.of(1)).toBe(500)
  horizons.lower(1, 300)
  expect(horizons.of(1)).toBe(300)
})

it('what is set while a question is under way is not lost by its answer, which may not have seen it', () => {
  const horizons = new Horizons()
  horizons.asking()
  horizons.lower(1, 300)
  horizons.answered(1, 500)
  expect(horizons.of(1)).toBe(300)
  horizons.asking()
  horizons.answered(1, 500)
  expect(horizons.of(1)).toBe(500)
})

it('a partition taken over is asked from the beginning, also when a question was under way', () => {
  const horizons = new Horizons()
  horizons.asking()
  horizons.answered(1, 500)
  horizons.asking()
  horizons.lower(1, 0)
  horizons.answered(1, 500)
  expect(horizons.of(1)).toBe(0)
})
