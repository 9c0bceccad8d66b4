// The reading and the table: numbers as a person gets to see them.
import type { Numbers, StepNumbers } from './numbers'
import { reading } from './reading'
import { oneLine, rows } from './table'

const noEnding = {
  running: 0, stopped: 0, waitElapsed: 0, failed: 0, skipped: 0, expired: 0, superseded: 0, cancelled: 0, completed: 0, regretted: 0,
}
const steps: StepNumbers[] = [
  {
    ...noEnding, step: 1, entered: 600, stopped: 270, waitElapsed: 330, regretted: 55,
    channels: [{ channelType: 'in_app', requested: 600, delivered: 480, viewed: 330, clicked: 90, failed: 0, skipped: 0, unknown: 0 }],
  },
  {
    ...noEnding, step: 2, entered: 330, completed: 300, failed: 10, skipped: 20,
    channels: [{ channelType: 'push', requested: 300, delivered: 270, viewed: null, clicked: 75, failed: 10, skipped: 20, unknown: 0 }],
  },
]
const numbers: Numbers = { recipients: 600, outcomes: { running: 0, stopped: 270, exhausted: 330, unreachable: 0, cancelled: 0 }, steps }

it('tells who was reached, who was pushed, what was saved and what a longer window could save', () => {
  expect(reading(numbers, { waitMinutes: 5, pushable: 550 })).toBe(
    'Of 600 people, 270 (45 %) saw the in-app message within its 5 minutes and were never pushed; 90 clicked it. ' +
    'The other 330 went on to the push step: 300 pushes were handed over, 270 received and 75 tapped (25 %); ' +
    '20 people had no device and 10 a token that their provider no longer knows. ' +
    'Sending on both channels at once would have taken 550 pushes, so the sequence saved 250 of them (45 %). ' +
    '60 people saw the message only after the window, 55 of them with the push already out: ' +
    'those are what a longer window could have saved, 18 % of the pushes at most.')
})

it('says so where a push was possibly sent', () => {
  const unsure: Numbers = { ...numbers, steps: [steps[0]!, { ...steps[1]!, channels: [{ ...steps[1]!.channels[0]!, unknown: 2 }] }] }
  expect(reading(unsure, { waitMinutes: 5, pushable: 550 }))
    .toContain('of 2 it is not known whether an attempt reached the phone (GET /v1/push/unknown)')
})

it('reads a run in which nobody did anything', () => {
  const nothing: Numbers = {
    recipients: 0, outcomes: { running: 0, stopped: 0, exhausted: 0, unreachable: 0, cancelled: 0 },
    steps: steps.map((step) => ({ ...step, ...noEnding, entered: 0, channels: step.channels.map(({ channelType, viewed }) =>
      ({ channelType, requested: 0, delivered: 0, viewed: viewed === null ? null : 0, clicked: 0, failed: 0, skipped: 0, unknown: 0 })) })),
  }
  expect(reading(nothing, { waitMinutes: 5, pushable: 0 })).toContain('Nobody saw the message later than that')
})

it('the table fits a terminal of 80 columns and its columns line up', () => {
  const lines = rows({ elapsedS: 83, people: 600, sent: 600, numbers, stale: false })
  expect(lines[0]).toContain('1:23   sent 600/600   ended 600/600   ████')
  for (const table of [lines.slice(2, 5), lines.slice(6, 9)]) expect(new Set(table.map((line) => line.length)).size).toBe(1)
  expect(lines[8]).toBe('2 push          300       270      –      75     10      20       0')
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  expect(rows({ elapsedS: 1, people: 600, sent: 0, numbers: null, stale: true })).toHaveLength(1)
})

it('in a log the same is a line', () => {
  expect(oneLine({ elapsedS: 30, people: 600, sent: 600, numbers, stale: true })).toBe(
    '30 s: sent 600/600, ended 600; step 1 in_app: 600 entered, 0 running, 270 stopped, 0 completed; ' +
    'step 2 push: 330 entered, 0 running, 0 stopped, 300 completed (no answer: older numbers)')
})
