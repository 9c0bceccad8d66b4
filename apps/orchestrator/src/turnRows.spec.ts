// Whatever a turn finds waiting: what it stores is one timer for each sequence that runs, changes that fit, and a history that folds to the state.
import fc from 'fast-check'
import { channelTypes, messageIdOf, sequenceIdOf, type EngagementKind } from '@stepcast/contracts'
import { evolve, notStarted, timerOf, type Sequence, type SequenceInput } from '@stepcast/sequence'
import { decodeChange } from './changeCodec'
import { maxChangeBytes } from './changeParts'
import type { CachedSequence } from './committed'
import { draftOf, putTo, type Draft } from './draft'
import { rowsOf } from './turnRows'

const noon = Date.UTC(2026, 0, 1, 12)
const users = ['a', 'b', 'c']
const idOf = (user: number): string => sequenceIdOf('w', 's', users[user]!)
// Those that end a sequence come seldom, so that much is told of one before.
const kinds: readonly EngagementKind[] = [
  'requested',
  'delivered',
  'viewed',
  'requested',
  'delivered',
  'viewed',
  'clicked',
  'failed',
  'skipped',
  'unknown',
]
const large = 250_000

/** One thing that happens to one of three sequences. Several of a turn come at the same time. */
const happening = fc.record({
  user: fc.nat(users.length - 1),
  what: fc.oneof(
    { weight: 3, arbitrary: fc.constant('start' as const) },
    { weight: 2, arbitrary: fc.constant('timer' as const) },
    { weight: 1, arbitrary: fc.constant('cancel' as const) },
    {
      weight: 8,
      arbitrary: fc.record({
        step: fc.constantFrom(1, 1, 1, 2),
        channelType: fc.constantFrom(...channelTypes),
        kind: fc.constantFrom(...kinds),
        bytes: fc.constantFrom(0, large),
      }),
    },
  ),
  quiet: fc.boolean(),
})
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never
const turns = fc.array(
  fc.record({ afterMs: fc.integer({ min: 0, max: 4_000 }), happenings: fc.array(happening, { maxLength: 50, size: 'max' }) }),
  { maxLength: 12, size: 'max' },
)

function inputOf({ user, what, quiet }: Happening, now: number): SequenceInput {
  const quietUntil = quiet ? now + 1_500 : null
  if (what === 'start') {
    return {
      type: 'start',
      now,
      onFailure: 'advance',
      lateSignal: 'stop',
      dispatchTtlMs: 2_500,
      tag: null,
      source: 'kafka',
      requestedAt: now,
      cancelled: false,
      quietUntil,
      steps: [
        { channels: [...channelTypes], stopCondition: 'clicked', windowMs: 1_000 },
        { channels: ['sms'], stopCondition: null, windowMs: null },
      ],
    }
  }
  if (what === 'timer') return { type: 'timer', now, note: null, quietUntil }
  if (what === 'cancel') return { type: 'cancel', now }
  const { step, channelType, kind, bytes } = what
  const reason = bytes === 0 ? null : 'x'.repeat(bytes)
  return {
    type: 'engagement',
    now,
    step,
    channelType,
    kind,
    reason,
    quietUntil,
    messageId: messageIdOf(idOf(user), step, channelType),
    occurredAt: now,
    source: 'spec',
    providerMessageId: null,
    detail: {},
  }
}

const begun = (user: number, now: number): Draft => ({
  head: {
    sequenceId: idOf(user),
    startedOn: '2026-01-01',
    workspaceId: 'w',
    sendId: 's',
    userId: users[user]!,
    templateId: 't',
    templateVersion: 1,
    campaignId: null,
  },
  state: notStarted,
  before: null,
  variables: null,
  size: 0,
  events: [],
  effects: [],
  startedAt: now,
  traceparent: null,
})

/** A database as far as turns see it. */
class Store {
  readonly remembered = new Map<string, CachedSequence>()
  readonly timers = new Map<string, number>()
  readonly folded = new Map<string, Sequence>()
  readonly versions = new Map<string, number>()
  position = 0
  cut = 0

  turn(happenings: readonly Happening[], now: number): void {
    const drafts = new Map<string, Draft>()
    const due = [...this.timers].filter(([, dueAt]) => dueAt <= now).map(([sequenceId, dueAt]) => ({ sequenceId, dueAt }))
    const draft = (sequenceId: string): Draft | undefined => {
      const cached = this.remembered.get(sequenceId)
      if (!drafts.has(sequenceId) && cached) drafts.set(sequenceId, draftOf(cached))
      return drafts.get(sequenceId)
    }
    for (const one of happenings) {
      const sequenceId = idOf(one.user)
      if (one.what === 'start') {
        if (draft(sequenceId)) continue
        drafts.set(sequenceId, begun(one.user, now))
      }
      const at = draft(sequenceId)
      if (at) putTo(at, inputOf(one, now))
    }
    for (const { sequenceId } of due) putTo(draft(sequenceId)!, { type: 'timer', now, note: null, quietUntil: null })
    this.commit(rowsOf(drafts.values(), due, { now, position: this.position }), now)
  }

  private commit({ changes, data, gone, set, ended, position, committed, remembered }: ReturnType<typeof rowsOf>, now: number): void {
    const sizes = changes.map(({ from, to }) => to - from)
    for (const size of sizes) expect(size).toBeLessThanOrEqual(maxChangeBytes)
    expect(changes.map((change) => change.position)).toEqual(changes.map((_, index) => this.position + 1 + index))
    expect(position).toBe(this.position + changes.length)
    this.position = position
    for (const { sequenceId, version, from, to } of changes) {
      expect(version).toBe((this.versions.get(sequenceId) ?? 0) + 1)
      this.versions.set(sequenceId, version)
      const { events } = decodeChange(data.subarray(from, to))
      this.folded.set(
        sequenceId,
        events.reduce<Sequence>((state, event) => evolve(state, event, now), this.folded.get(sequenceId) ?? notStarted),
      )
    }
    if (new Set(changes.map(({ sequenceId }) => sequenceId)).size < changes.length) this.cut++
    // Deleted by their key: a row that is not as it is told would stay.
    for (const { sequenceId, dueAt } of gone) {
      expect(this.timers.get(sequenceId)).toBe(dueAt)
      this.timers.delete(sequenceId)
    }
    for (const { sequenceId, dueAt } of set) {
      expect(this.timers.has(sequenceId)).toBe(false)
      this.timers.set(sequenceId, dueAt)
    }
    for (const one of remembered) this.remembered.set(one.head.sequenceId, one)
    expect(ended.map(({ sequenceId }) => sequenceId)).toEqual(committed.filter((change) => change.ended).map(({ head }) => head.sequenceId))
    for (const [sequenceId, { state, version }] of this.remembered) {
      expect(this.versions.get(sequenceId)).toBe(version)
      expect(this.folded.get(sequenceId)).toEqual(state)
      expect(this.timers.get(sequenceId) ?? null).toBe(timerOf(state)?.dueAt ?? null)
      expect(this.timers.has(sequenceId)).toBe(state.status === 'running')
    }
  }
}

it('each sequence that runs has exactly one timer, no change is over the limit, versions and positions have no gap, and the history folds to the state', () => {
  let cut = 0
  fc.assert(
    fc.property(turns, (played) => {
      const store = new Store()
      let now = noon
      for (const { afterMs, happenings } of played) store.turn(happenings, (now += afterMs))
      cut += store.cut
    }),
    { numRuns: 40 },
  )
  expect(cut).toBeGreaterThan(0)
})

it('a timer that fired for nothing goes all the same', () => {
  const nobody = { sequenceId: idOf(0), dueAt: noon }
  expect(rowsOf([], [nobody], { now: noon, position: 7 })).toMatchObject({ gone: [nobody], set: [], changes: [], position: 7 })
})
