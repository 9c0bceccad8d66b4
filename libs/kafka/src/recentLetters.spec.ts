import { RecentLetters } from './recentLetters'

it('a letter is remembered for ten minutes, and of very many the latest', () => {
  const letters = new RecentLetters(3)
  letters.add('a', 0)
  expect([letters.has('a', 599_999), letters.has('a', 600_000), letters.has('b', 0)]).toEqual([true, false, false])
  for (const name of ['b', 'c', 'a', 'd']) letters.add(name, 10)
  expect(['a', 'b', 'c', 'd'].map((name) => letters.has(name, 10))).toEqual([true, false, true, true])
})
