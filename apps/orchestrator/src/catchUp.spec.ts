// What the pace of catching up lets through, by a clock of its own.
import { Pace } from './catchUp'

function paceAt(perSecond: number): { pace: Pace; pass(ms: number): void } {
  let now = 0
  return { pace: new Pace(perSecond, () => now), pass: (ms) => void (now += ms) }
}

it('lets a tenth of a second go at once, and the rest at its rate', () => {
  const { pace, pass } = paceAt(1_000)
  expect(pace.available()).toBe(100)
  pace.take(100)
  expect(pace.available()).toBe(0)
  pass(50)
  expect(pace.available()).toBe(50)
  pass(60_000)
  expect(pace.available()).toBe(100)
})

it('what went beyond the rate is paid back by waiting', () => {
  const { pace, pass } = paceAt(1_000)
  pace.take(1_100)
  expect(pace.waitMs()).toBe(1_001)
  pass(1_000)
  expect(pace.available()).toBe(0)
  pass(1)
  expect(pace.available()).toBe(1)
  expect(pace.waitMs()).toBe(0)
})

it('a rate of one a second still lets one go', () => {
  const { pace, pass } = paceAt(1)
  pace.take(1)
  expect(pace.available()).toBe(0)
  pass(1_000)
  expect(pace.available()).toBe(1)
})
