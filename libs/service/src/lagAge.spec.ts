// The oldest record's age is told without reading it, and never too high.
import { LagAge } from './lagAge'

const ends = (...of: number[]): ReadonlyMap<number, number> => new Map(of.entries())

it('counts from the first sample that reached beyond the reader', () => {
  const age = new LagAge()
  age.sample(ends(10), 0)
  age.sample(ends(10), 5_000)
  age.sample(ends(12), 10_000)
  age.sample(ends(20), 20_000)
  expect(age.ageMs(0, 10, 25_000)).toBe(15_000)
  expect(age.ageMs(0, 11, 25_000)).toBe(15_000)
  expect(age.ageMs(0, 12, 25_000)).toBe(5_000)
})

it('who has read everything is not behind, however long ago that was', () => {
  const age = new LagAge()
  age.sample(ends(10), 0)
  expect(age.ageMs(0, 10, 1e9)).toBe(0)
  age.sample(ends(11), 1e9)
  expect(age.ageMs(0, 10, 1e9 + 1_000)).toBe(1_000)
})

it('what was there before the first sample counts from it: a record that stopped the process before is seen again', () => {
  const age = new LagAge()
  age.sample(ends(10), 1_000)
  expect(age.ageMs(0, 3, 61_000)).toBe(60_000)
})

it('a reader that stands still grows older although records go on coming in, and memory stays bounded', () => {
  const age = new LagAge()
  for (let n = 0; n <= 10_000; n++) age.sample(ends(10 + n), n * 15_000)
  expect(age.ageMs(0, 9, 10_000 * 15_000)).toBe(10_000 * 15_000)
  const { samples } = age as unknown as { samples: Map<number, unknown[]> }
  expect(samples.get(0)!.length).toBeLessThanOrEqual(64)
})

it('partitions are apart, and a topic made anew begins anew', () => {
  const age = new LagAge()
  age.sample(ends(10, 10), 0)
  expect([age.ageMs(0, 10, 1_000), age.ageMs(1, 5, 1_000), age.ageMs(2, 0, 1_000)]).toEqual([0, 1_000, 0])
  age.sample(ends(2, 12), 2_000)
  expect([age.ageMs(0, 0, 3_000), age.ageMs(0, 2, 3_000)]).toEqual([1_000, 0])
})

it('is never higher than the true age, and at most a sample lower', () => {
  const arrivedAt = Array.from({ length: 300 }, (_, i) => i * 700 + (i % 7) * 90)
  const age = new LagAge()
  let now = 0
  for (let processed = 0; processed < 300; processed += processed % 50 === 0 ? 50 : 1) {
    now += 15_000
    age.sample(ends(arrivedAt.filter((at) => at <= now).length), now)
    if (processed >= arrivedAt.filter((at) => at <= now).length) continue
    const truth = now - arrivedAt[processed]!
    const told = age.ageMs(0, processed, now)
    expect(told).toBeLessThanOrEqual(truth)
    expect(told).toBeGreaterThanOrEqual(truth - 15_000)
  }
})
