// When and how often: backoff, token bucket, circuit breaker, time to live.
import { backoffMs } from './backoff'
import { Breakers } from './breakers'
import { retryAfterMs } from './call'
import { timeLeftInWindow } from './lane'
import type { Outcome } from './provider'
import { TokenBuckets } from './tokenBucket'

describe('backoff', () => {
  it('begins at a sixth of a minute, doubles, and ends at five minutes', () => {
    expect([1, 2, 3, 6, 30].map((attempts) => backoffMs(attempts, null, 60_000, () => 0))).toEqual([
      10_000, 20_000, 40_000, 300_000, 300_000,
    ])
  })
  it('jitters upwards by half at most', () => {
    expect(backoffMs(1, null, 60_000, () => 0.999)).toBeGreaterThan(14_900)
    expect(backoffMs(1, null, 60_000, () => 0.999)).toBeLessThanOrEqual(15_000)
  })
  it('never comes back before the provider said', () => {
    expect(backoffMs(1, 120_000, 60_000, () => 0)).toBe(120_000)
    expect(backoffMs(1, 120_000, 60_000, () => 1)).toBe(125_000)
  })
})

describe('Retry-After', () => {
  it('is seconds or a date', () => {
    expect(retryAfterMs({ 'retry-after': '3' }, 0)).toBe(3_000)
    expect(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 1970 00:00:05 GMT' }, 2_000)).toBe(3_000)
    expect(retryAfterMs({ 'retry-after': 'soon' }, 0)).toBeNull()
    expect(retryAfterMs({}, 0)).toBeNull()
  })
})

describe('a token bucket', () => {
  it("holds a second's worth, for each workspace its own", () => {
    let now = 0
    const buckets = new TokenBuckets(10, () => now)
    expect(buckets.available('a')).toBe(10)
    buckets.take('a', 10)
    expect([buckets.available('a'), buckets.available('b'), buckets.waitMs('a'), buckets.waitMs('b')]).toEqual([0, 10, 100, 0])
    now = 250
    expect(buckets.available('a')).toBe(2)
    now = 60_000
    expect(buckets.available('a')).toBe(10)
  })
})

describe('breakers', () => {
  const failing = (): Promise<Outcome> => Promise.resolve({ kind: 'retry', reason: 'INTERNAL', afterMs: null })
  it('open after ten failures in a row, for one workspace only', async () => {
    const breakers = new Breakers()
    for (let i = 0; i < 9; i++) await breakers.run('a', failing)
    expect(breakers.admits('a')).toBe(Infinity)
    await breakers.run('a', failing)
    expect([breakers.admits('a'), breakers.admits('b')]).toEqual([0, Infinity])
    expect(breakers.waitMs('a')).toBeGreaterThan(4_000)
    expect(await breakers.run('a', failing)).toMatchObject({ kind: 'retry', reason: 'circuit_open' })
  })
  it('count rejections as answers, not as failures', async () => {
    const breakers = new Breakers()
    for (let i = 0; i < 50; i++)
      await breakers.run('a', () => Promise.resolve({ kind: 'rejected', reason: 'UNREGISTERED', deadAddress: true }))
    expect(breakers.admits('a')).toBe(Infinity)
  })
})

describe('time to live', () => {
  const requested = { kind: 'requested' as const, occurredAt: 10_000, reason: null, providerMessageId: null, detail: {} }
  it('is the whole window before anything was sent', () => {
    expect(timeLeftInWindow({ windowMs: 60_000, answer: null, nowMs: 50_000 })).toBe(60_000)
  })
  it('is what is left of it once it runs', () => {
    expect(timeLeftInWindow({ windowMs: 60_000, answer: requested, nowMs: 50_000 })).toBe(20_000)
    expect(timeLeftInWindow({ windowMs: 60_000, answer: requested, nowMs: 500_000 })).toBe(0)
  })
  it('has no bound on the last step', () => {
    expect(timeLeftInWindow({ windowMs: null, answer: null, nowMs: 0 })).toBeNull()
  })
})
