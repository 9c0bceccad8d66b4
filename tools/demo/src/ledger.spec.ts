// The demo's book: what must follow from what people did, and how a difference is told.
import { accountOf, numbersOf, type Account } from './ledger'
import type { Numbers } from './numbers'
import { peopleOf, type Person } from './people'
import { checkLines, differences, judgeDeadLetters, judgeNumbers, judgePushes } from './verdict'

const somebody = peopleOf(1, 1)[0]!
const account = (person: Partial<Person>, happened: Partial<Account> = {}): Account =>
  ({ ...accountOf({ ...somebody, device: 'works', ...person }, 's', 'q'), ...happened })

const inTime = account({ conduct: 'views' }, { inApp: new Set(['delivered', 'viewed']) })
const late = account({ conduct: 'late' }, { inApp: new Set(['delivered', 'viewed']), arrivals: ['200'] })
const away = account({ conduct: 'away' }, { arrivals: ['200'], push: new Set(['delivered', 'clicked']) })
const noDevice = account({ conduct: 'late', device: 'none' }, { inApp: new Set(['viewed']) })
const deadToken = account({ conduct: 'away', device: 'bad' }, { arrivals: ['404 UNREGISTERED'] })
const everybody = [inTime, late, away, noDevice, deadToken]

it('whoever saw it in time is stopped; the rest go on to the push, as far as their device allows', () => {
  expect(numbersOf(everybody)).toMatchObject({
    recipients: 5,
    outcomes: { running: 0, stopped: 1, exhausted: 4, unreachable: 0, cancelled: 0 },
    steps: [
      { step: 1, entered: 5, stopped: 1, waitElapsed: 4, channels: [{ requested: 5, delivered: 2, viewed: 3, clicked: 0 }] },
      {
        step: 2, entered: 4, completed: 2, skipped: 1, failed: 1,
        channels: [{ requested: 2, delivered: 1, viewed: null, clicked: 1, skipped: 1, failed: 1 }],
      },
    ],
  })
})

it('a late view is regretted only where a push was sent', () => {
  expect(numbersOf([late, noDevice]).steps[0]!.regretted).toBe(1)
})

it('where only the product could know, its story counts', () => {
  const overtaken = account({ conduct: 'views' }, {
    inApp: new Set(['viewed']),
    told: { outcome: 'stopped', first: 'waitElapsed', regretted: true, second: 'superseded', push: new Set(['skipped']) },
  })
  expect(numbersOf([overtaken])).toMatchObject({
    outcomes: { stopped: 1, exhausted: 0 },
    steps: [
      { waitElapsed: 1, stopped: 0, regretted: 1 },
      { entered: 1, superseded: 1, completed: 0, channels: [{ requested: 0, skipped: 1 }] },
    ],
  })
  expect(judgePushes([overtaken]).flatMap(({ broken }) => broken)).toEqual([])
})

it('numbers that agree keep the promise; every other one is named with both values', () => {
  const numbers = numbersOf(everybody)
  expect(judgeNumbers(everybody, numbers).flatMap(({ broken }) => broken)).toEqual([])
  const wrong: Numbers = { ...numbers, steps: [{ ...numbers.steps[0]!, stopped: 2 }, numbers.steps[1]!] }
  expect(differences(wrong, numbers)).toEqual(['step 1 stopped: the API says 2, the people make it 1'])
})

it('sequences that still run break the promise', () => {
  const numbers = numbersOf(everybody)
  const running: Numbers = { ...numbers, outcomes: { ...numbers.outcomes, running: 1, exhausted: 3 } }
  expect(judgeNumbers(everybody, running)[0]!.broken).toEqual(['4 ended, 1 still run'])
})

it.each([
  ['a push for somebody who saw the message in time', account({ conduct: 'views' }, { arrivals: ['200'] })],
  ['two pushes for one person', account({ conduct: 'away' }, { arrivals: ['200', '200'] })],
  ['no push for somebody with a device', account({ conduct: 'away' })],
  ['a push for nobody\'s device', account({ conduct: 'away', device: 'none' }, { arrivals: ['200'] })],
  ['a dead token tried twice', account({ conduct: 'away', device: 'bad' }, { arrivals: ['404 UNREGISTERED', '404 UNREGISTERED'] })],
])('%s breaks a promise', (_what, wrong) => {
  expect(judgePushes([...everybody, wrong]).filter(({ broken }) => broken.length === 1)).toHaveLength(1)
  expect(judgePushes(everybody).filter(({ broken }) => broken.length > 0)).toEqual([])
})

it('a malformed record is one dead letter of the right reason, found by where its producer put it', () => {
  const stored = { topic: 'stepcast.sends.v1', partition: 3, offset: '7' }
  const letter = { ...stored, reason: 'not_avro', detail: '' }
  const broken = (letters: (typeof letter)[], reason: string | null): number =>
    judgeDeadLetters([{ stored, reason }], letters).broken.length
  expect(broken([letter], 'not_avro')).toBe(0)
  expect(broken([letter], null)).toBe(0)
  expect(broken([letter], 'invalid_send')).toBe(1)
  expect(broken([{ ...letter, offset: '8' }], null)).toBe(1)
  expect(broken([letter, letter], null)).toBe(1)
})

it('a check is a line, with what is wrong below it', () => {
  expect(checkLines({ promise: 'all is well', broken: [] })).toEqual(['PASS  all is well'])
  expect(checkLines({ promise: 'all is well', broken: ['it is not'] })).toEqual(['FAIL  all is well', '      it is not'])
  expect(checkLines({ promise: 'p', broken: Array.from({ length: 20 }, String) }).at(-1)).toBe('      … and 8 more')
})
