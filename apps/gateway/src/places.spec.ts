import { NoPlace, Places } from './places'

const never = new AbortController().signal
const placesOf = (most: number, line: number, withinMs: number): Places =>
  new Places({ most, mostOfOne: most, line, lineOfOne: line, withinMs })

it('serves so many at a time, in the order of the line', async () => {
  const places = placesOf(2, 10, 1_000)
  const [first, second] = await Promise.all([places.take('one', never), places.take('one', never)])
  const served: number[] = []
  const waiting = [1, 2].map((n) => places.take('one', never).then((give) => (served.push(n), give)))
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
  expect(await Promise.all([places.take('one', never), places.take('one', never)])).toHaveLength(2)
})

it('sends away whoever finds the line full, whoever waited too long, and nobody who has a place', async () => {
  const places = placesOf(1, 1, 30)
  const give = await places.take('one', never)
  const late = places.take('one', never)
  await expect(places.take('one', never)).rejects.toThrow(NoPlace)
  await expect(late).rejects.toThrow(NoPlace)
  expect(places.waiting).toBe(0)
  give()
  ;(await places.take('one', never))()
})

it('forgets who has left the line', async () => {
  const places = placesOf(1, 10, 1_000)
  const give = await places.take('one', never)
  const abort = new AbortController()
  const gone = places.take('one', abort.signal)
  abort.abort(new Error('gone'))
  await expect(gone).rejects.toThrow('gone')
  give()
  ;(await places.take('one', never))()
  await expect(places.take('one', abort.signal)).rejects.toThrow('gone')
})

it('nobody takes more than a share: others are served while one floods it, and each in his own order', async () => {
  const places = new Places({ most: 4, mostOfOne: 2, line: 10, lineOfOne: 3, withinMs: 1_000 })
  const flood = [await places.take('flood', never), await places.take('flood', never)]
  const served: string[] = []
  const queue = (owner: string, name: string): Promise<() => void> => places.take(owner, never).then((give) => (served.push(name), give))
  const waiting = ['f1', 'f2', 'f3'].map((name) => queue('flood', name))
  // His line is full, not everybody's.
  await expect(places.take('flood', never)).rejects.toThrow(NoPlace)
  const others = [await queue('a', 'a1'), await queue('b', 'b1')]
  expect(served).toEqual(['a1', 'b1'])
  const late = queue('c', 'c1')
  flood[0]!()
  await waiting[0]
  others[0]!()
  await late
  expect(served).toEqual(['a1', 'b1', 'f1', 'c1'])
  others[1]!()
  flood[1]!()
  await waiting[1]
  expect(served.at(-1)).toBe('f2')
  ;[...(await Promise.all([waiting[0]!, waiting[1]!, late]))].forEach((give) => give())
  ;(await waiting[2]!)()
  expect(places.waiting).toBe(0)
})
