// A sealed secret opens under its own name, key and purpose, unaltered, and not otherwise.
import { encryptionSecretOf, Seal } from './seal'

const seal = new Seal('an installation secret')

it('opens what it closed, never twice the same', () => {
  const sealed = seal.close('s3cret', 'demo.1')
  expect(seal.open(sealed, 'demo.1')).toBe('s3cret')
  expect(sealed.equals(seal.close('s3cret', 'demo.1'))).toBe(false)
  expect(sealed.includes('s3cret')).toBe(false)
})

it('stays closed under another name, another secret, another purpose, altered or cut short', () => {
  const sealed = seal.close('s3cret', 'demo.1')
  const altered = Buffer.from(sealed)
  altered[14]! ^= 1
  expect(() => seal.open(sealed, 'demo.2')).toThrow('demo.2 does not open')
  expect(() => seal.open(altered, 'demo.1')).toThrow('does not open')
  expect(() => seal.open(sealed.subarray(0, 5), 'demo.1')).toThrow('does not open')
  expect(() => new Seal('another').open(sealed, 'demo.1')).toThrow('STEPCAST_ENCRYPTION_KEY')
  expect(() => new Seal('an installation secret', 'provider accounts').open(sealed, 'demo.1')).toThrow('does not open')
})

it('opens what was sealed before purposes were told apart', () => {
  // Made by the first release: signing keys stored then must verify tokens now.
  const stored = Buffer.from('pHxIeXMgPMBMCLy6+3CdtNbguOiZkBPwb+wb0XskFtep7Q==', 'base64')
  expect(seal.open(stored, 'demo.1')).toBe('s3cret')
})

it('takes its secret from the encryption key, or from the secret that all services share', () => {
  expect(encryptionSecretOf({ STEPCAST_ENCRYPTION_KEY: 'a', STEPCAST_INTERNAL_SECRET: 'b' })).toBe('a')
  expect(encryptionSecretOf({ STEPCAST_ENCRYPTION_KEY: '', STEPCAST_INTERNAL_SECRET: 'b' })).toBe('b')
  expect(() => encryptionSecretOf({})).toThrow('STEPCAST_INTERNAL_SECRET is missing')
})
