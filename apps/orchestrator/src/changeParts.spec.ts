// What is committed can be published: however much a turn learns of one sequence, each change fits into a record, and nothing is lost.
import fc from 'fast-check'
import {
  ScratchEncoder,
  channelTypes,
  commonHeaders,
  maxMessageBytes,
  maxRecordBytes,
  sequenceIdOf,
  messageIdOf,
  type EngagementKind,
} from '@stepcast/contracts'
import { RecordBatch, SharedHeaders, maxChunkBytes } from '@stepcast/kafka'
import {
  decide,
  evolve,
  isRefusal,
  notStarted,
  react,
  type Effect,
  type Sequence,
  type SequenceEvent,
  type SequenceInput,
} from '@stepcast/sequence'
import { writeChange, writePublished } from './changeCodec'
import { changesOf, maxChangeBytes, partsOf } from './changeParts'

const noon = Date.UTC(2026, 0, 1, 12)
const sequenceId = sequenceIdOf('w', 's', 'u')
const kinds: readonly EngagementKind[] = ['requested', 'delivered', 'viewed', 'clicked', 'failed', 'skipped', 'unknown']
const head = {
  sequenceId,
  startedOn: '2026-01-01',
  workspaceId: 'w'.repeat(63),
  sendId: '가'.repeat(128),
  userId: '나'.repeat(128),
  templateId: 't'.repeat(64),
  templateVersion: 1,
  campaignId: '다'.repeat(128),
}
const scratch = new ScratchEncoder()
const bytesOf = (events: readonly SequenceEvent[]): number => writeChange(scratch, 0, { recordedAt: noon, events: [...events] })

const start: SequenceInput = {
  type: 'start',
  now: noon,
  steps: [
    { channels: [...channelTypes], stopCondition: 'clicked', windowMs: 1_000 },
    { channels: ['push', 'sms'], stopCondition: null, windowMs: null },
  ],
  onFailure: 'advance',
  lateSignal: 'ignore',
  dispatchTtlMs: 60_000,
  tag: 'x'.repeat(200_000),
  source: 'kafka',
  requestedAt: noon,
  cancelled: false,
  quietUntil: null,
}

/** Reports as large as records may be, of any kind and step, as one turn may find them waiting. */
const report = fc.record({
  step: fc.constantFrom(1, 1, 1, 2),
  channelType: fc.constantFrom(...channelTypes),
  kind: fc.constantFrom(...kinds),
  bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 200_000, max: maxRecordBytes - 500 })),
})

/** A turn as it is: everything decided one after another, with the commands as they came. */
function live(before: Sequence, inputs: readonly SequenceInput[]): { state: Sequence; events: SequenceEvent[]; effects: Effect[] } {
  const events: SequenceEvent[] = []
  const effects: Effect[] = []
  let state = before
  for (const input of inputs) {
    const decision = decide(state, input)
    if (isRefusal(decision)) continue
    for (const event of decision) {
      effects.push(...react(state, event))
      state = evolve(state, event, noon)
      events.push(event)
    }
  }
  return { state, events, effects }
}

const turn = fc.array(report, { maxLength: 60, size: 'max' }).map((reports) =>
  live(notStarted, [
    start,
    ...reports.map(
      ({ step, channelType, kind, bytes }): SequenceInput => ({
        type: 'engagement',
        now: noon,
        messageId: messageIdOf(sequenceId, step, channelType),
        step,
        channelType,
        kind,
        occurredAt: noon,
        source: 'spec',
        reason: 'x'.repeat(bytes),
        providerMessageId: null,
        detail: {},
        quietUntil: null,
      }),
    ),
  ]),
)

it('cut or not, the same events stand in the same order, with the commands that they made and one end at most', () => {
  let cut = 0
  fc.assert(
    fc.property(turn, ({ events, effects, state }) => {
      const parts = partsOf(notStarted, events, noon)
      if (parts.length > 1) cut++
      expect(parts.flatMap((part) => part.events)).toEqual(events)
      expect(parts.flatMap((part) => part.effects)).toEqual(effects)
      expect(parts.filter(({ ended }) => ended)).toHaveLength(state.status === 'ended' ? 1 : 0)
      for (const { events: own, ended } of parts) if (ended) expect(own.map(({ type }) => type)).toContain('SequenceEnded')
      // As a new owner derives them again from what is stored, change by change.
      let again: Sequence = notStarted
      for (const part of parts) {
        const made: Effect[] = []
        for (const event of part.events) {
          made.push(...react(again, event))
          again = evolve(again, event, noon)
        }
        expect(made).toEqual(part.effects)
      }
    }),
    { numRuns: 60 },
  )
  expect(cut).toBeGreaterThan(10)
})

it('each part fits into a change, and into a batch that is nearly full with its head and headers; no part could have been spared', () => {
  const headers = new SharedHeaders(commonHeaders('SequenceChanged', 'orchestrator'))
  fc.assert(
    fc.property(turn, ({ events }) => {
      const parts = changesOf(events)
      for (const [index, part] of parts.entries()) {
        expect(bytesOf(part)).toBeLessThanOrEqual(maxChangeBytes)
        const next = parts[index + 1]
        if (next) expect(bytesOf([...part, next[0]!])).toBeGreaterThan(maxChangeBytes - 64 * part.length)
        const bytes = Buffer.from(scratch.buffer.subarray(0, bytesOf(part)))
        const end = writePublished(
          scratch,
          1,
          head,
          { version: 2 ** 31 - 1, logPartition: 511, logPosition: 2 ** 52 },
          { bytes, from: 0, to: bytes.length },
        )
        const batch = RecordBatch.begin()
        batch.add(sequenceId, scratch.buffer, 0, end, { ce_id: '511-4503599627370496', traceparent: 'x'.repeat(55) }, headers)
        expect(maxChunkBytes + batch.size).toBeLessThan(maxMessageBytes)
      }
    }),
    { numRuns: 40 },
  )
})

it('25 reports of 255 kB are seven changes', () => {
  const events = Array.from(
    { length: 25 },
    (): SequenceEvent => ({
      type: 'EngagementRecorded',
      messageId: messageIdOf(sequenceId, 1, 'in_app'),
      step: 1,
      channelType: 'in_app',
      kind: 'viewed',
      occurredAt: noon,
      source: 'spec',
      reason: 'x'.repeat(255_000),
      providerMessageId: null,
      detail: {},
    }),
  )
  expect(changesOf(events).map(({ length }) => length)).toEqual([4, 4, 4, 4, 4, 4, 1])
  expect(changesOf([])).toEqual([])
})
