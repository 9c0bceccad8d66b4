// The rules of places: how they are dealt out, and that they and the rates balance.
import type { Breakers } from './breakers'
import { Places, sharesOf } from './places'
import { TokenBuckets } from './tokenBucket'

let buckets: TokenBuckets
let heldBack: Set<string>

function placesOf(concurrency: number, ratePerSecond = 1_000): Places {
  const breakers = { admits: (id: string) => (heldBack.has(id) ? 0 : Infinity), waitMs: (id: string) => (heldBack.has(id) ? 5_000 : 0) }
  return new Places({ concurrency, ratePerSecond, buckets, breakers: breakers as unknown as Breakers })
}

// The clock stands still, and with it the rates.
beforeEach(() => {
  jest.useFakeTimers()
  buckets = new TokenBuckets(100)
  heldBack = new Set()
})
afterEach(() => jest.useRealTimers())

describe('free places', () => {
  it('are dealt evenly', () => {
    expect(placesOf(9).deal(['a', 'b', 'c'])).toEqual([
      { workspaceId: 'a', take: 3 },
      { workspaceId: 'b', take: 3 },
      { workspaceId: 'c', take: 3 },
    ])
  })
  it('go around: the next deal begins after the one served last, whoever came or left', () => {
    const places = placesOf(1)
    const next = (...workspaceIds: string[]): string => {
      const shares = places.deal(workspaceIds)
      places.take(shares)
      for (const { workspaceId } of shares) places.release(workspaceId)
      return shares.map(({ workspaceId, take }) => `${workspaceId} ${take}`).join()
    }
    expect([next('a', 'b', 'c'), next('a', 'b', 'c'), next('a', 'b', 'c'), next('a', 'b', 'c')]).toEqual(['a 1', 'b 1', 'c 1', 'a 1'])
    expect([next('a', 'aa', 'c'), next('b', 'c'), next('d'), next('b', 'c')]).toEqual(['aa 1', 'b 1', 'd 1', 'b 1'])
  })
  it('are three quarters at most for one, those it has included, so that its hanging calls leave some for the rest', () => {
    const places = placesOf(8)
    expect(places.deal(['a'])).toEqual([{ workspaceId: 'a', take: 6 }])
    places.take([{ workspaceId: 'a', take: 5 }])
    expect(places.deal(['a'])).toEqual([{ workspaceId: 'a', take: 1 }])
    places.take([{ workspaceId: 'a', take: 1 }])
    expect(places.deal(['a'])).toEqual([])
    places.take(places.deal(['a', 'b']))
    expect([places.free, places.deal(['a', 'b'])]).toEqual([0, []])
    for (const workspaceId of ['b', 'b']) places.release(workspaceId)
    expect(places.free).toBe(2)
    expect(placesOf(1).deal(['a'])).toEqual([{ workspaceId: 'a', take: 1 }])
  })
  it('go on to the next when somebody can use fewer, has spent its rate, or is held back', () => {
    buckets.take('b', 98)
    heldBack.add('c')
    const wanted = new Map([['a', 1]])
    expect(placesOf(12).deal(['a', 'b', 'c', 'd'], (workspaceId) => wanted.get(workspaceId) ?? Infinity)).toEqual([
      { workspaceId: 'a', take: 1 },
      { workspaceId: 'b', take: 2 },
      { workspaceId: 'd', take: 9 },
    ])
  })
  it('that the last in turn cannot use go to those before', () => {
    const one = (workspaceId: string): number => (workspaceId === 'a' ? Infinity : 1)
    expect(placesOf(12).deal(['a', 'b', 'c'], one)).toEqual([
      { workspaceId: 'a', take: 9 },
      { workspaceId: 'b', take: 1 },
      { workspaceId: 'c', take: 1 },
    ])
    heldBack.add('c')
    expect(placesOf(12).deal(['a', 'b', 'c'])).toEqual([
      { workspaceId: 'a', take: 6 },
      { workspaceId: 'b', take: 6 },
    ])
  })
  it('are all dealt at once as far as anybody can use them, and who could use more has at most one less than anybody', () => {
    let seed = 1
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let again = 0; again < 500; again++) {
      const concurrency = 1 + random(40)
      const names = Array.from({ length: 1 + random(8) }, (_, n) => `w${n}`)
      const uses = new Map(names.map((name) => [name, random(3) === 0 ? Infinity : random(12)]))
      const shares = placesOf(concurrency).deal(names, (name) => uses.get(name)!)
      const took = new Map(shares.map(({ workspaceId, take }) => [workspaceId, take]))
      const limits = names.map((name) => Math.min(uses.get(name)!, Math.max(1, Math.floor((concurrency * 3) / 4))))
      const takes = names.map((name) => took.get(name) ?? 0)
      const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
      expect(sum(takes)).toBe(Math.min(concurrency, sum(limits)))
      const leastOfUnsatisfied = Math.min(...takes.filter((take, i) => take < limits[i]!))
      expect(Math.max(...takes)).toBeLessThanOrEqual(leastOfUnsatisfied + 1)
      for (const [i, take] of takes.entries()) expect(take).toBeLessThanOrEqual(limits[i]!)
    }
  })
  it('are never more than the rate of all together', () => {
    const places = placesOf(8, 3)
    expect(places.deal(['a', 'b'])).toEqual([
      { workspaceId: 'a', take: 2 },
      { workspaceId: 'b', take: 1 },
    ])
    places.take(places.deal(['a', 'b']))
    expect([places.deal(['a', 'b']), places.free, places.waitMs('a')]).toEqual([[], 5, 334])
  })
})

describe('taking and giving back', () => {
  it('what nobody used is as if it had not been taken, rates included', () => {
    const places = placesOf(8, 6)
    const before = places.deal(['a'])
    places.take([{ workspaceId: 'a', take: 6 }])
    expect([places.underWay, places.free, buckets.available('a'), places.waitMs('b')]).toEqual([6, 2, 94, 167])
    places.giveBack([{ workspaceId: 'a', take: 6 }])
    expect([places.underWay, places.free, buckets.available('a'), places.waitMs('b')]).toEqual([0, 8, 100, 0])
    expect(places.deal(['a'])).toEqual(before)
  })
  it('a call that has ended frees its place, and its rate stays spent', () => {
    const places = placesOf(8, 6)
    places.take(sharesOf(['a', 'b', 'a']))
    for (const workspaceId of ['a', 'a', 'b']) places.release(workspaceId)
    expect([places.underWay, places.free, buckets.available('a'), buckets.available('b')]).toEqual([0, 8, 98, 99])
    expect(places.deal(['a'])).toEqual([{ workspaceId: 'a', take: 3 }])
  })
  it('balances for each workspace: some used, some not', () => {
    const places = placesOf(8)
    places.take([
      { workspaceId: 'a', take: 6 },
      { workspaceId: 'b', take: 2 },
    ])
    places.giveBack([
      { workspaceId: 'a', take: 2 },
      { workspaceId: 'b', take: 0 },
    ])
    for (const workspaceId of ['a', 'a', 'a', 'b', 'b']) places.release(workspaceId)
    expect([places.underWay, places.isWorthwhile(7 / 8), places.isWorthwhile(1)]).toEqual([1, true, false])
    places.release('a')
    expect(places.underWay).toBe(0)
    for (const workspaceId of ['a', 'b']) expect(places.deal([workspaceId])).toEqual([{ workspaceId, take: 6 }])
  })
})
