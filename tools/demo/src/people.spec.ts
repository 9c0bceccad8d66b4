// The plan of people: the same for the same seed, and of every kind.
import { actsInTime, peopleOf, tokenOf } from './people'

it('a seed draws the same people every time, another seed others', () => {
  expect(peopleOf(1, 600)).toEqual(peopleOf(1, 600))
  expect(peopleOf(2, 600).map(({ conduct }) => conduct)).not.toEqual(peopleOf(1, 600).map(({ conduct }) => conduct))
})

it('half of the people are sent to over HTTP, half over Kafka, and everybody once', () => {
  const people = peopleOf(1, 600)
  expect(people.filter(({ route }) => route === 'http')).toHaveLength(300)
  expect(new Set(people.map(({ userId }) => userId)).size).toBe(600)
})

it.each([1, 2, 3, 4_000_000_000])('seed %d draws about the shares wanted', (seed) => {
  const people = peopleOf(seed, 600)
  const share = (holds: (person: (typeof people)[number]) => boolean): number => people.filter(holds).length / people.length
  expect(share(actsInTime)).toBeCloseTo(0.45, 0.9)
  expect(share(({ conduct }) => conduct === 'late')).toBeCloseTo(0.1, 0.9)
  expect(share(({ device }) => device === 'none')).toBeCloseTo(0.05, 0.9)
  expect(share(({ device }) => device === 'bad')).toBeCloseTo(0.03, 0.9)
  for (const app of ['stream', 'token', 'backend']) expect(people.some((person) => person.app === app)).toBe(true)
})

it('dead tokens are those that the sandbox refuses; no token of ours answers by itself', () => {
  for (const person of peopleOf(1, 600)) {
    const token = tokenOf(person)
    expect(token === null).toBe(person.device === 'none')
    expect(token?.startsWith('bad_') ?? false).toBe(person.device === 'bad')
    expect(token?.startsWith('sim_') ?? false).toBe(false)
  }
})
