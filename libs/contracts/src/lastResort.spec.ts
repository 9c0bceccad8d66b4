import { LastResort } from './lastResort'

const bug = new Error('cannot read properties of undefined')
const outage = Object.assign(new Error('terminating connection'), { code: '57P01' })

/** Works off `inputs` as a caller does; answers what was done, what went aside, how long it took and how often it was tried. */
function workOff(
  inputs: readonly number[],
  errorOf: (taken: readonly number[], now: number) => Error | null,
  batch = 2_000,
): { done: number[]; aside: number[]; ms: number; tries: number } {
  const resort = new LastResort()
  const done: number[] = []
  const aside: number[] = []
  let [at, ms, tries] = [0, 0, 0]
  while (at < inputs.length) {
    const taken = inputs.slice(at, at + Math.min(batch, resort.most()))
    tries++
    const error = errorOf(taken, ms)
    if (error === null) {
      done.push(...taken)
      at += taken.length
      resort.succeeded(taken.length)
      continue
    }
    const answer = resort.failed(error, taken.length, ms)
    if (answer.next === 'setAside') {
      aside.push(taken[0]!)
      at++
      resort.wentAside()
    } else ms += answer.delayMs
  }
  return { done, aside, ms, tries }
}
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const failsAt =
  (...bad: number[]) =>
  (taken: readonly number[]): Error | null =>
    taken.some((n) => bad.includes(n)) ? bug : null

it('one bad input among 2,000 goes aside within seconds, wherever it stands; its neighbours are worked off once each and in order', () => {
  for (const bad of [0, 1, 777, 1_000, 1_998, 1_999]) {
    const { done, aside, ms, tries } = workOff(upTo(2_000), failsAt(bad))
    expect({ bad, aside, rest: done.length }).toEqual({ bad, aside: [bad], rest: 1_999 })
    expect(done).toEqual(upTo(2_000).filter((n) => n !== bad))
    expect(ms).toBeLessThan(3_000)
    expect(tries).toBeLessThan(40)
  }
})

it('two adjacent ones, the two ends, and all of them: exactly these go aside', () => {
  for (const bad of [
    [500, 501],
    [0, 1_999],
    [3, 4, 5, 1_200],
  ]) {
    const { done, aside } = workOff(upTo(2_000), failsAt(...bad))
    expect(aside).toEqual(bad)
    expect(done).toEqual(upTo(2_000).filter((n) => !bad.includes(n)))
  }
  const all = workOff(upTo(20), () => bug)
  expect({ done: all.done, aside: all.aside }).toEqual({ done: [], aside: upTo(20) })
  // A bug that fails everything puts no more aside than five a second.
  expect(all.ms).toBeGreaterThanOrEqual(20 * 200)
})

it('the size grows back: after one bad input a long stream is taken in full batches again', () => {
  const sizes: number[] = []
  workOff(upTo(40_000), (taken) => (sizes.push(taken.length), taken.includes(100) ? bug : null))
  expect(sizes.slice(-11, -1)).toEqual(Array(10).fill(2_000))
})

it('an outage is waited out for as long as it takes with growing delays, and nothing goes aside for it', () => {
  const resort = new LastResort()
  const delays = upTo(12)
    .map((n) => resort.failed(outage, 1, n * 60_000))
    .map((answer) => ('delayMs' in answer && answer.next === 'wait' ? answer.delayMs : -1))
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 10_000, 10_000])
  expect(resort.most()).toBe(Infinity)
})

it('an outage between the failures counts neither as one of them nor as their time', () => {
  const resort = new LastResort()
  expect(resort.failed(bug, 1, 0).next).toBe('again')
  expect(resort.failed(outage, 1, 100).next).toBe('wait')
  expect(resort.failed(outage, 1, 3_600_000).next).toBe('wait')
  expect(resort.failed(bug, 1, 3_600_100).next).toBe('again')
  expect(resort.failed(bug, 1, 3_600_200).next).toBe('setAside')
})

it('an outage in the middle of the search does not lose what is known', () => {
  const { done, aside } = workOff(upTo(2_000), (taken, ms) => (ms > 300 && ms < 5_000 ? outage : failsAt(1_234)(taken)))
  expect(aside).toEqual([1_234])
  expect(done).toHaveLength(1_999)
})

it('an error that has passed by the third try costs nobody anything; success forgets it', () => {
  const resort = new LastResort()
  for (let n = 0; n < 10; n++) {
    expect(resort.failed(bug, 500, n)).toMatchObject({ next: 'again' })
    expect(resort.failed(bug, 500, n)).toMatchObject({ next: 'again' })
    expect(resort.most()).toBe(Infinity)
    resort.succeeded(500)
  }
})

it('what fails slowly is given up after 10 s, but never at its first failure', () => {
  const resort = new LastResort()
  expect(resort.failed(bug, 1, 1_000_000).next).toBe('again')
  expect(resort.failed(bug, 1, 1_009_000).next).toBe('again')
  resort.succeeded(1)
  expect(resort.failed(bug, 1, 2_000_000).next).toBe('again')
  expect(resort.failed(bug, 1, 2_020_000).next).toBe('setAside')
})

it('an input whose dead letter could not be written is told again to go aside', () => {
  const resort = new LastResort()
  const answers = [0, 1, 2, 3].map((now) => resort.failed(bug, 1, now).next)
  expect(answers).toEqual(['again', 'again', 'setAside', 'setAside'])
})
