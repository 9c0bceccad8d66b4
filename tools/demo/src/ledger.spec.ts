// The demo's book: what must follow from what people did, step by step.
import { accountOf, courseOf, numbersOf, type Account, type Course, type Happened } from './ledger'
import { peopleOf, type Person } from './people'

const ignorant: Partial<Person> = {
  conduct: 'away',
  devices: 'android',
  smsNumber: 'works',
  kakaoTalk: 'works',
  onPush: 'nothing',
  onSms: 'nothing',
  onKakao: 'nothing',
}
const somebody: Person = { ...peopleOf(1, 1)[0]!, ...ignorant }
/** A person who ignores everything and can be reached on every channel, but for what is said, and what happened at each step. */
const account = (person: Partial<Person> = {}, happened: readonly Partial<Happened>[] = []): Account => {
  const opened = accountOf({ ...somebody, ...person }, 's', 'q')
  return { ...opened, steps: opened.steps.map((step, index) => ({ ...step, ...happened[index] })) }
}

/** A course in a line: `stopped: waitElapsed(requested) stopped(requested)`, `!` after a step that was regretted. */
const inShort = ({ outcome, steps }: Course): string =>
  `${outcome}: ${steps.map(({ end, answers, regretted }) => `${end}(${[...answers].join('+')})${regretted ? '!' : ''}`).join(' ')}`

const viewed = { reported: new Set(['delivered', 'viewed'] as const) }
const clicked = { reported: new Set(['delivered', 'clicked'] as const) }

it.each<[string, Account, string]>([
  ['seen in time: nothing follows', account({ conduct: 'views' }, [viewed]), 'stopped: stopped(requested)'],
  ['a push tapped in time: no SMS', account({ onPush: 'clicks' }, [{}, clicked]), 'stopped: waitElapsed(requested) stopped(requested)'],
  [
    'an SMS link clicked in time: no KakaoTalk',
    account({ onSms: 'clicks' }, [{}, {}, clicked]),
    'stopped: waitElapsed(requested) waitElapsed(requested) stopped(requested)',
  ],
  [
    'ignored throughout: every step',
    account(),
    'exhausted: waitElapsed(requested) waitElapsed(requested) waitElapsed(requested) completed(requested)',
  ],
  [
    'a click on the last message changes no outcome',
    account({ onKakao: 'clicks' }, [{}, {}, {}, clicked]),
    'exhausted: waitElapsed(requested) waitElapsed(requested) waitElapsed(requested) completed(requested)',
  ],
  [
    'no device, no number',
    account({ devices: 'none', smsNumber: 'none' }),
    'exhausted: waitElapsed(requested) skipped(skipped) skipped(skipped) skipped(skipped)',
  ],
  [
    'a dead token, opted out of SMS, refused by Solapi',
    account({ devices: 'badIphone', smsNumber: 'optedOut', kakaoTalk: 'refused' }),
    'exhausted: waitElapsed(requested) failed(failed) skipped(skipped) failed(failed)',
  ],
  [
    'an SMS undeliverable at once, a KakaoTalk message undeliverable later',
    account({ smsNumber: 'invalid', kakaoTalk: 'noKakaoTalk' }),
    'exhausted: waitElapsed(requested) waitElapsed(requested) failed(failed) completed(requested+failed)',
  ],
  [
    'an SMS that the carrier could not deliver ends its step early',
    account({ smsNumber: 'unreachable' }),
    'exhausted: waitElapsed(requested) waitElapsed(requested) failed(requested+failed) completed(requested)',
  ],
  [
    'seen late: regretted, since more had been sent',
    account({ conduct: 'late' }, [viewed]),
    'exhausted: waitElapsed(requested)! waitElapsed(requested) waitElapsed(requested) completed(requested)',
  ],
  [
    'seen late, with nothing sent meanwhile: no regret',
    account({ conduct: 'late', devices: 'badAndroid', smsNumber: 'none' }, [viewed]),
    'exhausted: waitElapsed(requested) failed(failed) skipped(skipped) skipped(skipped)',
  ],
  [
    'a push and an SMS opened late: both regretted',
    account({ onPush: 'late', onSms: 'late' }, [{}, clicked, clicked]),
    'exhausted: waitElapsed(requested) waitElapsed(requested)! waitElapsed(requested)! completed(requested)',
  ],
  [
    'an SMS opened late where KakaoTalk was refused: no regret',
    account({ onSms: 'late', kakaoTalk: 'refused' }, [{}, {}, clicked]),
    'exhausted: waitElapsed(requested) waitElapsed(requested) waitElapsed(requested) failed(failed)',
  ],
  [
    'meant to be in time on a machine too slow for it: late',
    account({ onPush: 'clicks' }, [{}, { ...clicked, isLate: true }]),
    'exhausted: waitElapsed(requested) waitElapsed(requested)! waitElapsed(requested) completed(requested)',
  ],
  ['seen while quiet hours held the push back', account({ conduct: 'asleep' }, [viewed]), 'stopped: waitElapsed(requested) superseded()'],
])('%s', (_what, played, course) => {
  expect(inShort(courseOf(played))).toBe(course)
})

it('the numbers are what these courses add up to', () => {
  const everybody = [
    account({ conduct: 'views' }, [viewed]),
    account({ conduct: 'late' }, [viewed]),
    account({ onPush: 'clicks' }, [{}, clicked]),
    account({ smsNumber: 'unreachable', onKakao: 'clicks' }, [{}, {}, {}, clicked]),
    account({ conduct: 'asleep' }, [viewed]),
  ]
  expect(numbersOf(everybody)).toMatchObject({
    recipients: 5,
    outcomes: { running: 0, stopped: 3, exhausted: 2, unreachable: 0, cancelled: 0 },
    steps: [
      {
        step: 1,
        entered: 5,
        stopped: 1,
        waitElapsed: 4,
        regretted: 1,
        channels: [{ channelType: 'in_app', requested: 5, viewed: 3, clicked: 0 }],
      },
      {
        step: 2,
        entered: 4,
        stopped: 1,
        waitElapsed: 2,
        superseded: 1,
        channels: [{ channelType: 'push', requested: 3, delivered: 1, viewed: null, clicked: 1 }],
      },
      { step: 3, entered: 2, waitElapsed: 1, failed: 1, channels: [{ channelType: 'sms', requested: 2, failed: 1, viewed: null }] },
      { step: 4, entered: 2, completed: 2, channels: [{ channelType: 'kakao', requested: 2, delivered: 1, clicked: 1, failed: 0 }] },
    ],
  })
})

it('where only the product could know, its story counts', () => {
  const told: Course = {
    outcome: 'stopped',
    steps: [
      { end: 'waitElapsed', regretted: true, answers: new Set(['requested']) },
      { end: 'superseded', regretted: false, answers: new Set(['skipped']) },
    ],
  }
  expect(numbersOf([{ ...account({ conduct: 'views' }, [viewed]), told }])).toMatchObject({
    outcomes: { stopped: 1, exhausted: 0 },
    steps: [
      { waitElapsed: 1, stopped: 0, regretted: 1 },
      { entered: 1, superseded: 1, channels: [{ requested: 0, skipped: 1 }] },
      { entered: 0 },
      { entered: 0 },
    ],
  })
})
