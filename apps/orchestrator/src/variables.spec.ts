// Large values are taken out of a row, the largest first, and nothing is lost by it.
import { digestOf, sizeOfVariables, smallVariables, split } from './variables'

it('what is small stays together', () => {
  const variables = { name: 'Ann', text: 'x'.repeat(1_500) }
  expect(split(variables)).toEqual({ inline: variables, large: [] })
})

it('of what is large so much is taken out that the rest is small', () => {
  const variables = { name: 'Ann', offer: 'x'.repeat(60_000), note: 'y'.repeat(1_900), __proto: 'z' }
  const { inline, large } = split(variables)
  expect(large.map(({ name }) => name)).toEqual(['offer'])
  expect({ ...inline, ...Object.fromEntries(large.map(({ name, value }) => [name, value])) }).toEqual(variables)
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`v${n}`, 'x'.repeat(1_000 + n)]))
  expect(sizeOfVariables(split(many).inline)).toBeLessThanOrEqual(smallVariables)
})

it('a digest is of the text, the send and the workspace', () => {
  const digests = [digestOf('w', 's', 'text'), digestOf('w', 's', 'other'), digestOf('w', 't', 'text'), digestOf('v', 's', 'text')]
  expect(new Set(digests).size).toBe(4)
  expect(digestOf('w', 's', 'text')).toBe(digests[0])
})
