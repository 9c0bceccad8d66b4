// What may be asked of `npm run chaos`.
import { optionsOf } from './options'

describe('the options', () => {
  it('are sixteen faults and a seed of the moment unless told', () => {
    expect(optionsOf([], () => 0.5)).toEqual({ kills: 16, seed: 50_001, isShort: false, mutants: 'none', json: false, keep: false })
  })

  it('are taken from the arguments', () => {
    expect(optionsOf(['--kills', '50', '--seed', '7', '--short', '--json', '--keep'])).toEqual({
      kills: 50,
      seed: 7,
      isShort: true,
      mutants: 'none',
      json: true,
      keep: true,
    })
    expect(optionsOf(['--mutants', '--seed', '7'])).toMatchObject({ mutants: 'all' })
    expect(optionsOf(['--mutant', 'no-receipts-first', '--seed', '7'])).toMatchObject({ mutants: 'no-receipts-first' })
  })

  it('are refused when they mean nothing', () => {
    expect(() => optionsOf(['--kill', '5'])).toThrow('Unknown argument --kill')
    expect(() => optionsOf(['--kills'])).toThrow('--kills needs a value')
    expect(() => optionsOf(['--kills', '0'])).toThrow('--kills 0 is not a whole number above 0')
    expect(optionsOf(['--help'])).toBeNull()
  })
})
