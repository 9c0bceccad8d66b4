// Memory is bounded by bytes for all partitions together, and void with the ownership it was filled under.
import { notStarted } from '@stepcast/sequence'
import type { CachedSequence } from './committed'
import { costOf, SequenceCache } from './sequenceCache'

const sequence = (sequenceId: string, size = 0): CachedSequence => ({
  head: {
    sequenceId,
    startedOn: '2026-01-01',
    workspaceId: 'w',
    sendId: 's',
    userId: 'u',
    templateId: 't',
    templateVersion: 1,
    campaignId: null,
  },
  state: notStarted,
  version: 1,
  variables: null,
  size,
  startedAt: 0,
})
const one = costOf(sequence('x'))

it('holds as much as its bytes allow, whichever partition it belongs to; the longest unchanged go first', () => {
  const cache = new SequenceCache(one * 4)
  const [first, second] = [cache.ofPartition(), cache.ofPartition()]
  first.remember([sequence('a'), sequence('b')])
  second.remember([sequence('c'), sequence('d')])
  first.remember([sequence('a')])
  second.remember([sequence('e')])
  expect(['a', 'b'].map((id) => first.has(id))).toEqual([true, false])
  expect(['c', 'd', 'e'].map((id) => second.has(id))).toEqual([true, true, true])
  expect(cache.size).toBe(one * 4)
})

it('counts variables: what is larger drives out more', () => {
  const cache = new SequenceCache(one * 10)
  const memory = cache.ofPartition()
  memory.remember(Array.from({ length: 10 }, (_, n) => sequence(`small ${n}`)))
  memory.remember([sequence('large', one)])
  expect(memory.has('large')).toBe(true)
  expect(Array.from({ length: 10 }, (_, n) => memory.has(`small ${n}`)).filter(Boolean).length).toBeLessThan(8)
  expect(cache.size).toBeLessThanOrEqual(one * 10)
})

it('a partition that is cleared forgets its own only, and what it learns anew counts once', () => {
  const cache = new SequenceCache()
  const [first, second] = [cache.ofPartition(), cache.ofPartition()]
  first.remember([sequence('a')])
  second.remember([sequence('b')])
  first.clear()
  expect([first.get('a'), second.has('b')]).toEqual([undefined, true])
  first.remember([sequence('a')])
  expect(first.has('a')).toBe(true)
  expect(cache.size).toBe(2 * one)
})
