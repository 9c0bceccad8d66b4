// What changes do to counters, told as rules: given what happened, when more happens, then these counts move.
import type { EngagementKind, SequenceChanged, SequenceOutcome, StepEndReason } from '@stepcast/contracts'
import { hourMs, hourOf, project, type CountDelta, type Sequence } from './project'

type Event = SequenceChanged['events'][number]

const startedAt = Date.UTC(2026, 0, 1, 10, 30)
const sequenceId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c'

const started: Event = {
  type: 'SequenceStarted',
  steps: [],
  onFailure: 'advance',
  lateSignal: 'stop',
  tag: null,
  source: 'http',
  requestedAt: startedAt - 5,
  dispatchTtlMs: null,
}
const commanded = (step: number, channel = 'in_app'): Event => ({
  type: 'StepCommanded',
  step,
  channels: [channel],
  commandedAt: startedAt,
  expiresAt: startedAt + 1,
})
const deferred = (step: number, channel = 'push'): Event => ({
  type: 'StepDeferred',
  step,
  channels: [channel],
  until: startedAt + 1,
  reason: 'quiet_hours',
})
const reported = (step: number, kind: EngagementKind, channelType = 'in_app'): Event => ({
  type: 'EngagementRecorded',
  messageId: `${sequenceId}.${step}.${channelType}`,
  step,
  channelType,
  kind,
  occurredAt: startedAt,
  source: 's',
  reason: null,
  providerMessageId: null,
  detail: {},
})
const stepEnded = (step: number, reason: StepEndReason): Event => ({ type: 'StepEnded', step, reason, engagement: null, note: null })
const regretted = (step: number): Event => ({ type: 'EscalationRegretted', step, laterSteps: [step + 1], kind: 'viewed', lateByMs: 1 })
const ended = (outcome: SequenceOutcome): Event => ({ type: 'SequenceEnded', outcome, step: null, engagement: null })

const change = (version: number, events: Event[]): SequenceChanged => ({
  workspaceId: 'demo',
  sequenceId,
  version,
  logPartition: 0,
  logPosition: version,
  sendId: 'send-1',
  userId: 'user-1',
  templateId: 'order-shipped',
  templateVersion: 1,
  campaignId: null,
  recordedAt: startedAt + version - 1,
  events,
})

const counted = (deltas: readonly CountDelta[]): Record<string, number> =>
  Object.fromEntries(deltas.map(({ step, channelType, name, n }) => [[step || 'sequence', channelType, name].filter(Boolean).join(' '), n]))

/** Each array is one change. */
const given = (...before: Event[][]) => ({
  when: (...after: Event[][]) => ({
    then(expected: Record<string, number>) {
      const first = project(
        new Map(),
        before.map((events, index) => change(index + 1, events)),
      )
      const stored = new Map<string, Sequence>(first.begun.map((sequence) => [sequence.sequenceId, sequence]))
      const inputs = structuredClone([...stored])
      const changes = after.map((events, index) => change(before.length + index + 1, events))
      const { deltas } = project(stored, changes)
      expect(counted(deltas)).toEqual(expected)
      expect([...stored]).toEqual(inputs)
      expect(project(stored, changes).deltas).toEqual(deltas)
    },
  }),
})
const nothing = given()

describe('a sequence', () => {
  it('counts as a recipient and as running once it starts, and its first step as entered', () =>
    nothing.when([started, commanded(1)]).then({ 'sequence recipients': 1, 'sequence running': 1, '1 entered': 1, '1 running': 1 }))

  it('born cancelled enters no step', () =>
    nothing.when([started, ended('cancelled')]).then({ 'sequence recipients': 1, 'sequence cancelled': 1 }))

  it('moves from running to its outcome', () =>
    given([started, commanded(1)], [reported(1, 'requested')])
      .when([reported(1, 'viewed'), stepEnded(1, 'stopped'), ended('stopped')])
      .then({
        'sequence running': -1,
        'sequence stopped': 1,
        '1 running': -1,
        '1 stopped': 1,
        '1 in_app viewed': 1,
        '1 in_app inferredDelivered': 1,
      }))

  it('whose start was trimmed from the topic counts nowhere', () => {
    expect(project(new Map(), [change(4, [reported(1, 'clicked')])])).toEqual({ begun: [], moved: [], deltas: [], unknown: 1 })
  })

  it('belongs to the hour of its start, whenever later changes come', () => {
    const { begun } = project(new Map(), [change(1, [started, commanded(1)])])
    const late = { ...change(2, [reported(1, 'requested')]), recordedAt: startedAt + 5 * hourMs }
    const { deltas } = project(new Map([[sequenceId, begun[0]!]]), [late])
    expect(deltas.map(({ hour }) => hour)).toEqual([hourOf(startedAt)])
  })
})

describe('a step', () => {
  it('is entered once, though quiet hours command it in groups', () =>
    given([started, commanded(1)])
      .when([stepEnded(1, 'waitElapsed'), commanded(2), deferred(2)], [commanded(2, 'push')])
      .then({ '1 running': -1, '1 waitElapsed': 1, '2 entered': 1, '2 running': 1 }))

  it('is entered when it is only deferred, and may end without a command', () =>
    given([started, commanded(1)], [stepEnded(1, 'waitElapsed'), deferred(2)])
      .when([reported(1, 'viewed'), stepEnded(2, 'superseded'), ended('stopped')])
      .then({
        '1 in_app viewed': 1,
        '1 in_app inferredDelivered': 1,
        '2 running': -1,
        '2 superseded': 1,
        'sequence running': -1,
        'sequence stopped': 1,
      }))

  it.each(['stopped', 'waitElapsed', 'failed', 'skipped', 'expired', 'superseded', 'cancelled', 'completed'] as const)(
    'counts one that ended %s',
    (reason) =>
      given([started, commanded(1)])
        .when([stepEnded(1, reason)])
        .then({ '1 running': -1, [`1 ${reason}`]: 1 }),
  )

  it('is regretted beside how it ended, also after the sequence ended', () =>
    given(
      [started, commanded(1)],
      [stepEnded(1, 'waitElapsed'), commanded(2, 'push')],
      [reported(2, 'requested', 'push'), stepEnded(2, 'completed'), ended('exhausted')],
    )
      .when([reported(1, 'delivered'), regretted(1)])
      .then({ '1 regretted': 1, '1 in_app delivered': 1 }))
})

describe('a message', () => {
  it('counts each kind once, however often a change repeats it', () =>
    given([started, commanded(1)])
      .when([reported(1, 'requested')], [reported(1, 'requested')])
      .then({ '1 in_app requested': 1 }))

  it('clicked infers viewed and delivered that nobody reported', () =>
    given([started, commanded(1)])
      .when([reported(1, 'clicked')])
      .then({
        '1 in_app clicked': 1,
        '1 in_app inferredDelivered': 1,
        '1 in_app inferredViewed': 1,
      }))

  it('takes an inference back when the fact is reported after all', () =>
    given([started, commanded(1)], [reported(1, 'clicked')])
      .when([reported(1, 'delivered')], [reported(1, 'viewed')])
      .then({ '1 in_app delivered': 1, '1 in_app viewed': 1, '1 in_app inferredDelivered': -1, '1 in_app inferredViewed': -1 }))

  it('counts apart on each channel of a step', () =>
    given([started, { ...commanded(1), channels: ['in_app', 'push'] } as Event])
      .when([reported(1, 'requested', 'push'), reported(1, 'skipped', 'in_app')])
      .then({ '1 push requested': 1, '1 in_app skipped': 1 }))
})

it('sums many sequences of one template version and hour into one delta each', () => {
  const other = (id: string): SequenceChanged => ({ ...change(1, [started, commanded(1)]), sequenceId: id })
  const { deltas, begun } = project(new Map(), [other('a'), other('b'), other('c')])
  expect(begun).toHaveLength(3)
  expect(counted(deltas)).toEqual({ 'sequence recipients': 3, 'sequence running': 3, '1 entered': 3, '1 running': 3 })
})
