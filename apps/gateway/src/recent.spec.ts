// A recent answer is given again, for a while, in bounded number; nothing and failures are asked again.
import { Recent } from './recent'

it('asks once for many at once, and again when it is old', async () => {
  let asked = 0
  const recent = new Recent<number>(20)
  const look = () => Promise.resolve(++asked)
  expect(await Promise.all([recent.get('a', look), recent.get('a', look)])).toEqual([1, 1])
  await new Promise((resolve) => setTimeout(resolve, 25))
  expect(await recent.get('a', look)).toBe(2)
})

it('asks again after nothing, a failure, or a revocation', async () => {
  const recent = new Recent<number>()
  expect(await recent.get('a', () => Promise.resolve(null))).toBeNull()
  await expect(recent.get('a', () => Promise.reject(new Error('away')))).rejects.toThrow('away')
  expect(await recent.get('a', () => Promise.resolve(1))).toBe(1)
  expect(await recent.get('a', () => Promise.resolve(2))).toBe(1)
  recent.clear()
  expect(await recent.get('a', () => Promise.resolve(3))).toBe(3)
})

it('forgets the longest unused beyond its bound', async () => {
  const recent = new Recent<string>(10_000, 2)
  const get = (name: string, value: string) => recent.get(name, () => Promise.resolve(value))
  await get('a', 'first')
  await get('b', 'first')
  await get('a', 'second')
  await get('c', 'first')
  expect(await get('a', 'third')).toBe('first')
  expect(await get('b', 'second')).toBe('second')
})
