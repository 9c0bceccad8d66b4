// The reading and the table: numbers as a person gets to see them.
import type { Numbers, StepNumbers } from './numbers'
import { reading, whatNext } from './reading'
import { oneLine, rows } from './table'

const noEnding = {
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
}
const nothing = { requested: 0, delivered: 0, viewed: null, clicked: 0, failed: 0, skipped: 0, unknown: 0 }
const steps: StepNumbers[] = [
  {
    ...noEnding,
    step: 1,
    entered: 600,
    stopped: 270,
    waitElapsed: 330,
    regretted: 45,
    channels: [{ ...nothing, channelType: 'in_app', requested: 600, delivered: 480, viewed: 330, clicked: 90 }],
  },
  {
    ...noEnding,
    step: 2,
    entered: 330,
    stopped: 75,
    waitElapsed: 205,
    failed: 15,
    skipped: 20,
    superseded: 15,
    regretted: 10,
    channels: [{ ...nothing, channelType: 'push', requested: 280, delivered: 250, clicked: 85, failed: 15, skipped: 20 }],
  },
  {
    ...noEnding,
    step: 3,
    entered: 240,
    stopped: 60,
    waitElapsed: 135,
    failed: 20,
    skipped: 25,
    channels: [{ ...nothing, channelType: 'sms', requested: 210, delivered: 180, clicked: 60, failed: 20, skipped: 25 }],
  },
  {
    ...noEnding,
    step: 4,
    entered: 180,
    completed: 160,
    failed: 10,
    skipped: 10,
    channels: [{ ...nothing, channelType: 'kakao', requested: 160, delivered: 130, clicked: 50, failed: 25, skipped: 10 }],
  },
]
const numbers: Numbers = { recipients: 600, outcomes: { running: 0, stopped: 420, exhausted: 180, unreachable: 0, cancelled: 0 }, steps }
const background = { waitMinutes: 5, reachable: { push: 540, sms: 500, kakao: 500 } }

it('tells who was reached by which step, what was saved and what longer windows could save', () => {
  expect(reading(numbers, background)).toBe(
    'Of 600 people, 270 (45 %) saw the in-app message within its 5 minutes and were sent nothing more; 90 clicked it. ' +
      '15 saw it while quiet hours held their push back. ' +
      '280 pushes were handed over to FCM and APNs, 250 received, 75 tapped in time; ' +
      '20 people had no device and 15 a token that their provider no longer knows. ' +
      '210 SMS went out and 60 people clicked their link in time; 25 had no number or had opted out, 20 numbers failed. ' +
      '160 KakaoTalk messages came last: 130 delivered, 50 clicked, 25 failed. ' +
      'Sending on every channel at once would have taken 540 pushes, 500 SMS and 500 KakaoTalk messages: ' +
      'the sequence saved 48 % of the pushes and 63 % of the messages that cost money. ' +
      '55 times a step reached somebody only after a later one had been sent: what longer windows could have saved.',
  )
})

it('says so where a message was possibly sent', () => {
  const text = steps[2]!
  const unsure: Numbers = { ...numbers, steps: steps.with(2, { ...text, channels: [{ ...text.channels[0]!, unknown: 2 }] }) }
  expect(reading(unsure, background)).toContain('Of 2 messages it is not known whether they got through (GET /v1/push/unknown')
})

it('reads a run in which nobody did anything', () => {
  const silent: Numbers = {
    recipients: 0,
    outcomes: { running: 0, stopped: 0, exhausted: 0, unreachable: 0, cancelled: 0 },
    steps: steps.map((step) => ({
      ...step,
      ...noEnding,
      entered: 0,
      channels: step.channels.map(({ channelType }) => ({ ...nothing, channelType })),
    })),
  }
  expect(reading(silent, { waitMinutes: 5, reachable: { push: 0, sms: 0, kakao: 0 } })).toContain('Nobody was reached later than that')
})

it('says where to look next, on the system that goes on or on one to be started', () => {
  expect(whatNext({ url: 'http://localhost:9000', sandboxUrl: 'http://localhost:9001' })).toContain('http://localhost:9001   the phones')
  expect(whatNext(null)).toMatch(/npm start .*\n.*http:\/\/localhost:8091/)
})

it('the table fits a terminal of 80 columns and its columns line up', () => {
  const lines = rows({ elapsedS: 83, people: 600, sent: 600, numbers, stale: false })
  expect(lines[0]).toContain('1:23   sent 600/600   ended 600/600   ████')
  for (const table of [lines.slice(2, 7), lines.slice(8, 13)]) expect(new Set(table.map((line) => line.length)).size).toBe(1)
  expect(lines[11]).toBe('3 sms           210       180      –      60     20      25       0')
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  expect(rows({ elapsedS: 1, people: 600, sent: 0, numbers: null, stale: true })).toHaveLength(1)
})

it('in a log the same is a line', () => {
  expect(oneLine({ elapsedS: 30, people: 600, sent: 600, numbers: { ...numbers, steps: steps.slice(0, 2) }, stale: true })).toBe(
    '30 s: sent 600/600, ended 600; step 1 in_app: 600 entered, 0 running, 270 stopped, 0 completed; ' +
      'step 2 push: 330 entered, 0 running, 75 stopped, 0 completed (no answer: older numbers)',
  )
})
