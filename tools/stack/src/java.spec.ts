// Versions of Java as they are printed.
import { javaVersion } from './java'

describe('the version of Java', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "21" 2023-09-19', 21],
    ['java version "1.8.0_292"', 8],
  ])('is read from %s', (printed, version) => expect(javaVersion(printed)).toBe(version))

  it('is unknown from anything else', () => expect(javaVersion('The operation could not be completed')).toBeUndefined())
})
