import { NoPlace, Places } from './places'

const never = new AbortController().signal

it('serves so many at a time, in the order of the line', async () => {
  const places = new Places(2, 10, 1_000)
  const [first, second] = await Promise.all([places.take(never), places.take(never)])
  const served: number[] = []
  const waiting = [1, 2].map((n) => places.take(never).then((give) => (served.push(n), give)))
  await Promise.resolve()
  expect([places.waiting, served]).toEqual([2, []])
  first()
  // Given back twice it is still one place.
  first()
  await waiting[0]
  expect([places.waiting, served]).toEqual([1, [1]])
  second()
  const gives = await Promise.all(waiting)
  expect(served).toEqual([1, 2])
  gives.forEach((give) => give())
  expect(await Promise.all([places.take(never), places.take(never)])).toHaveLength(2)
})

it('sends away whoever finds the line full, whoever waited too long, and nobody who has a place', async () => {
  const places = new Places(1, 1, 30)
  const give = await places.take(never)
  const late = places.take(never)
  await expect(places.take(never)).rejects.toThrow(NoPlace)
  await expect(late).rejects.toThrow(NoPlace)
  expect(places.waiting).toBe(0)
  give()
  ;(await places.take(never))()
})

it('forgets who has left the line', async () => {
  const places = new Places(1, 10, 1_000)
  const give = await places.take(never)
  const abort = new AbortController()
  const gone = places.take(abort.signal)
  abort.abort(new Error('gone'))
  await expect(gone).rejects.toThrow('gone')
  give()
  ;(await places.take(never))()
  await expect(places.take(abort.signal)).rejects.toThrow('gone')
})
