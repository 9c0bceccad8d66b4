// Which cancel covers which send: by the place of its record, never by its producer's clock.
import fc from 'fast-check'
import { topics, type CancelScope } from '@stepcast/contracts'
import { covers, isBornCancelled, isCancelled, targetKey, type SendPlace, type Tombstone } from './cancellations'

const noon = Date.UTC(2026, 0, 1, 12)
const hour = 3_600_000
const ends = [100, 200, 300]
const tombstone = (more: Partial<Tombstone> = {}): Tombstone => ({
  scope: 'user',
  requestedAt: noon,
  recordedAt: noon,
  sendsEnds: ends,
  ...more,
})
const sendAt = (
  partition: number,
  offset: number,
  more: Partial<SendPlace['send']> = {},
  headers: SendPlace['record']['headers'] = {},
): SendPlace => ({ send: { source: null, requestedAt: noon, ...more }, record: { partition, offset, headers } })
const from = (partition: number | string, offset: number | string, topic: string = topics.sends.name): SendPlace['record']['headers'] => ({
  'origin-topic': Buffer.from(topic),
  'origin-partition': Buffer.from(String(partition)),
  'origin-offset': Buffer.from(String(offset)),
})

const clock = fc.integer({ min: 0, max: Date.UTC(2199, 0, 1) })

it('a person’s cancel covers the sends that were on the topic, whatever their producer’s clock says', () => {
  fc.assert(
    fc.property(clock, fc.constantFrom(0, 1, 2), fc.nat(400), (requestedAt, partition, offset) => {
      expect(covers(tombstone(), sendAt(partition, offset, { requestedAt }))).toBe(offset < ends[partition]!)
      expect(covers(tombstone(), sendAt(partition, offset, { requestedAt, source: 'kafka' }))).toBe(offset < ends[partition]!)
    }),
  )
})

it.each(['http', 'grpc', 'campaign'] as const)(
  'and those that our own API (%s) had accepted by then, whenever they are fanned out',
  (source) => {
    expect(covers(tombstone(), sendAt(0, 999, { source, requestedAt: noon }))).toBe(true)
    expect(covers(tombstone(), sendAt(0, 999, { source, requestedAt: noon + 1 }))).toBe(false)
    expect(covers(tombstone(), sendAt(0, 99, { source, requestedAt: noon + 1 }))).toBe(true)
  },
)

it('a record sent home, or replayed, stands also where it stood first', () => {
  expect(covers(tombstone(), sendAt(0, 100, {}, from(1, 199)))).toBe(true)
  expect(covers(tombstone(), sendAt(0, 100, {}, from(1, 200)))).toBe(false)
})

it('a forged or foreign origin never takes a record from under a cancel', () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer(), fc.string()), fc.oneof(fc.integer(), fc.string()), fc.string(), (partition, offset, topic) => {
      expect(covers(tombstone(), sendAt(2, 299, {}, from(partition, offset, topic)))).toBe(true)
      // Of another topic, or of a place that there is not, it says nothing.
      expect(covers(tombstone(), sendAt(2, 300, {}, from(partition, offset, `${topic}!`)))).toBe(false)
    }),
  )
  for (const headers of [from(9, 1), from(-1, 1), from(0, -1), from('x', 1), from(0, 'x'), from(0, '1e999')])
    expect(covers(tombstone(), sendAt(2, 300, {}, headers))).toBe(false)
})

it('a tombstone of a version that did not ask where the sends ended goes by the clock, as it did', () => {
  expect(covers(tombstone({ sendsEnds: null }), sendAt(0, 0, { requestedAt: noon }))).toBe(true)
  expect(covers(tombstone({ sendsEnds: null }), sendAt(0, 0, { requestedAt: noon + 1 }))).toBe(false)
})

it('a partition that there was not yet held nothing', () => expect(covers(tombstone(), sendAt(3, 0))).toBe(false))

const head = { workspaceId: 'w', sequenceId: 'q', sendId: 's', userId: 'u', campaignId: 'c' }
const idOf: Readonly<Record<CancelScope, string>> = { sequence: 'q', send: 's', user: 'u', campaign: 'c' }

it.each(['sequence', 'send', 'campaign'] as const)(
  'a cancel of a %s covers whatever bears its name, later too, and in its workspace only',
  (scope) => {
    const of = (workspaceId: string) =>
      new Map([[targetKey({ workspaceId, scope, id: idOf[scope] }), tombstone({ scope, sendsEnds: null })]])
    expect(isBornCancelled(head, sendAt(0, 999, { requestedAt: noon + hour }), of('w'))).toBe(true)
    expect(isCancelled(head, noon + hour, of('w'))).toBe(true)
    expect(isBornCancelled(head, sendAt(0, 0), of('x'))).toBe(false)
    expect(isCancelled(head, 0, of('x'))).toBe(false)
  },
)

it('of a person’s running sequences those are cancelled that ran when it was recorded; who comes back keeps the new ones', () => {
  const tombstones = new Map([[targetKey({ workspaceId: 'w', scope: 'user', id: 'u' }), tombstone()]])
  expect(isCancelled(head, noon, tombstones)).toBe(true)
  expect(isCancelled(head, noon + 1, tombstones)).toBe(false)
})
