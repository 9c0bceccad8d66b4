// A sealed secret opens under its own name and key, unaltered, and not otherwise.
import { Seal } from './seal'

const seal = new Seal('an installation secret')

it('opens what it closed, never twice the same', () => {
  const sealed = seal.close('s3cret', 'demo.1')
  expect(seal.open(sealed, 'demo.1')).toBe('s3cret')
  expect(sealed.equals(seal.close('s3cret', 'demo.1'))).toBe(false)
  expect(sealed.includes('s3cret')).toBe(false)
})

it('stays closed under another name, another secret, or altered', () => {
  const sealed = seal.close('s3cret', 'demo.1')
  const altered = Buffer.from(sealed)
  altered[14]! ^= 1
  expect(() => seal.open(sealed, 'demo.2')).toThrow('demo.2 does not open')
  expect(() => seal.open(altered, 'demo.1')).toThrow('does not open')
  expect(() => new Seal('another').open(sealed, 'demo.1')).toThrow('STEPCAST_ENCRYPTION_KEY')
})
