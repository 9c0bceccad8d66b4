// The published JSON from counts and labels.
import { Counts } from './read'
import { stepsReport, totalsOf } from './report'

const counts = (facts: [number, string, string, number][]): Counts => {
  const made = new Counts()
  for (const [step, channelType, name, n] of facts) made.add({ step, channelType, name }, n)
  return made
}

it('lists every channel of the labels with zeros when nothing was sent', () => {
  const steps = stepsReport(
    counts([]),
    [
      { channels: ['in_app'], stopCondition: 'viewed', windowMs: 1_800_000 },
      { channels: ['push', 'sms'], stopCondition: null, windowMs: null },
    ],
    60_000,
  )
  expect(steps).toHaveLength(2)
  expect(steps[0]).toEqual({
    step: 1,
    stopCondition: 'viewed',
    waitMinutes: 30,
    entered: 0,
    running: 0,
    stopped: 0,
    waitElapsed: 0,
    failed: 0,
    skipped: 0,
    expired: 0,
    superseded: 0,
    cancelled: 0,
    completed: 0,
    regretted: 0,
    channels: [
      {
        channelType: 'in_app',
        requested: 0,
        delivered: 0,
        viewed: 0,
        clicked: 0,
        failed: 0,
        skipped: 0,
        unknown: 0,
        cost: null,
        inferred: { delivered: 0, viewed: 0 },
      },
    ],
  })
  expect(steps[1]!.channels.map(({ channelType, viewed, inferred }) => ({ channelType, viewed, inferred }))).toEqual([
    { channelType: 'push', viewed: null, inferred: { delivered: 0, viewed: null } },
    { channelType: 'sms', viewed: null, inferred: { delivered: 0, viewed: null } },
  ])
})

it('merges versions by position: channels and steps of other versions follow the labels', () => {
  const steps = stepsReport(
    counts([
      [1, '', 'entered', 5],
      [1, 'push', 'requested', 4],
      [1, 'in_app', 'requested', 1],
      [2, '', 'entered', 2],
      [2, 'sms', 'requested', 2],
    ]),
    [{ channels: ['push'], stopCondition: null, windowMs: null }],
    60_000,
  )
  expect(
    steps.map(({ step, stopCondition, waitMinutes, entered, channels }) => ({
      step,
      stopCondition,
      waitMinutes,
      entered,
      channels: channels.map((c) => [c.channelType, c.requested]),
    })),
  ).toEqual([
    {
      step: 1,
      stopCondition: null,
      waitMinutes: null,
      entered: 5,
      channels: [
        ['push', 4],
        ['in_app', 1],
      ],
    },
    { step: 2, stopCondition: null, waitMinutes: null, entered: 2, channels: [['sms', 2]] },
  ])
})

it('tells windows in minutes whatever the length of a minute', () => {
  expect(stepsReport(counts([]), [{ channels: ['push'], stopCondition: 'clicked', windowMs: 5_000 }], 1_000)[0]).toMatchObject({
    waitMinutes: 5,
  })
})

it('sums outcomes to recipients', () => {
  expect(
    totalsOf(
      counts([
        [0, '', 'recipients', 3],
        [0, '', 'running', 1],
        [0, '', 'stopped', 2],
      ]),
    ),
  ).toEqual({
    recipients: 3,
    outcomes: { running: 1, stopped: 2, exhausted: 0, unreachable: 0, cancelled: 0 },
  })
})
