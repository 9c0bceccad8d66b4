// The arguments of `npm run fuzz-topics`.
import { optionsOf } from './options'

it('takes a seed, minutes and a choice of shots', () => {
  expect(optionsOf(['--seed', '7', '--minutes', '0.5', '--only', '3,5-7', '--json'])).toEqual({
    seed: 7,
    minutes: 0.5,
    only: new Set([3, 5, 6, 7]),
    json: true,
    keep: false,
  })
})

it('draws a seed and runs two minutes unless told', () => {
  expect(optionsOf([], () => 0.5)).toEqual({ seed: 50_001, minutes: 2, only: null, json: false, keep: false })
  expect(optionsOf(['--help'])).toBeNull()
})

it.each([['--seed', '0'], ['--seed', 'x'], ['--minutes', '0'], ['--minutes', 'x'], ['--only', '5-'], ['--fast'], ['--seed']])(
  'refuses %s %s',
  (...args) => {
    expect(() => optionsOf(args)).toThrow(args[0])
  },
)
