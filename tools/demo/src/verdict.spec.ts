// The verdict: promises kept pass, and every way of breaking one is noticed and named.
import { accountOf, numbersOf, type Account, type Arrived } from './ledger'
import type { Numbers } from './numbers'
import { devicesOf, peopleOf, type Person } from './people'
import { checkLines, differences, judgeArrivals, judgeDeadLetters, judgeNumbers, judgePaid, judgePreviews, judgeSegments } from './verdict'

const somebody: Person = {
  ...peopleOf(1, 1)[0]!,
  conduct: 'away',
  devices: 'iphone',
  smsNumber: 'works',
  kakaoTalk: 'works',
  onPush: 'receives',
  onSms: 'receives',
  onKakao: 'receives',
}
const taken = (to: string): Arrived => ({ to, accepted: true, answer: '200' })
const refused = (to: string): Arrived => ({ to, accepted: false, answer: '410 Unregistered' })
const [iphone, number] = [devicesOf(somebody)[0]!.token, '+12015550100']

/** Somebody whose messages arrived so: those of push, of SMS and of KakaoTalk. */
function account(person: Partial<Person>, ...arrivals: readonly Arrived[][]): Account {
  const opened = accountOf({ ...somebody, ...person }, 's', 'q')
  return { ...opened, steps: opened.steps.map((step, index) => ({ ...step, arrivals: [...(arrivals[index - 1] ?? [])] })) }
}
const every = [[taken(iphone)], [taken(number)], [taken(number)]]
const everybody = [
  account({}, ...every),
  account({ conduct: 'views' }),
  account({ conduct: 'asleep' }),
  account({ onPush: 'clicks' }, [taken(iphone)]),
  account(
    { onSms: 'clicks', devices: 'both' },
    devicesOf({ ...somebody, devices: 'both' }).map(({ token }) => taken(token)),
    [taken(number)],
  ),
  account({ devices: 'badAndroid', smsNumber: 'invalid', kakaoTalk: 'refused' }, [refused('bad')], [refused(number)], [refused(number)]),
  account({ devices: 'none', smsNumber: 'none' }),
]
const broken = (checks: readonly { broken: readonly string[] }[]): string[] => checks.flatMap((check) => check.broken)

it('what was due and nothing else keeps every promise', () => {
  expect(broken(judgeArrivals(everybody))).toEqual([])
})

it.each<[string, Account]>([
  ['a push for somebody who saw the message in time', account({ conduct: 'views' }, [taken(iphone)])],
  ['an SMS for somebody who had tapped the push', account({ onPush: 'clicks' }, [taken(iphone)], [taken(number)])],
  ['a KakaoTalk message for somebody who had clicked the SMS', account({ onSms: 'clicks' }, ...every)],
  ['a push for somebody asleep', account({ conduct: 'asleep' }, [taken(iphone)])],
  ['two pushes on one phone', account({}, [taken(iphone), taken(iphone)], ...every.slice(1))],
  ['a push on one phone of two', account({ devices: 'both' }, ...every)],
  ['no push for somebody with a phone', account({}, [], ...every.slice(1))],
  ['a dead token tried twice', account({ devices: 'badIphone' }, [refused('bad'), refused('bad')], ...every.slice(1))],
  ["a push for nobody's phone", account({ devices: 'none' }, ...every)],
  ['an SMS sent twice', account({}, every[0]!, [taken(number), taken(number)], every[2]!)],
  ['an SMS for somebody who opted out', account({ smsNumber: 'optedOut' }, ...every)],
  ['an SMS left out', account({}, every[0]!, [], every[2]!)],
  ['a KakaoTalk message left out', account({}, every[0]!, every[1]!, [])],
])('%s breaks one promise', (_what, wrong) => {
  expect(judgeArrivals([...everybody, wrong]).filter((check) => check.broken.length === 1)).toHaveLength(1)
})

it('whose course only the product could tell may have got anything', () => {
  expect(broken(judgeArrivals([{ ...account({ conduct: 'views' }, ...every), told: { outcome: 'exhausted', steps: [] } }]))).toEqual([])
})

it('what costs money arrived once, for everybody, whatever the demo knows of them', () => {
  const count = { provider: 'twilio', messageId: 'q.3.sms', arrived: 1, accepted: 1 }
  const ids = new Set(['q.3.sms'])
  expect(judgePaid(ids, [count, { ...count, messageId: 'of somebody else', arrived: 5 }])).toMatchObject({ broken: [] })
  expect(judgePaid(ids, [{ ...count, arrived: 2 }]).broken).toEqual(['q.3.sms arrived 2 times at twilio'])
})

it('an SMS that does not tell its segments is named', () => {
  expect(
    judgeSegments([
      { userId: 'u1', segments: 2 },
      { userId: 'u2', segments: 1 },
    ]),
  ).toEqual({ promise: 'each of 2 SMS tells its segments: 3 in all', broken: [] })
  expect(judgeSegments([{ userId: 'u1', segments: null }]).broken).toEqual(['u1: the SMS told none'])
})

it('a preview that counts as a click is noticed', () => {
  const numbers = numbersOf(everybody)
  expect(judgePreviews(everybody, numbers).broken).toEqual([])
  const text = numbers.steps[2]!
  const oneMore: Numbers = { ...numbers, steps: numbers.steps.with(2, { ...text, channels: [{ ...text.channels[0]!, clicked: 1 }] }) }
  expect(judgePreviews(everybody, oneMore).broken).toEqual(['1 clicks of SMS links are counted'])
})

it('numbers that agree keep the promise; every other one is named with both values', () => {
  const numbers = numbersOf(everybody)
  expect(broken(judgeNumbers(everybody, numbers))).toEqual([])
  const wrong: Numbers = { ...numbers, steps: [{ ...numbers.steps[0]!, stopped: 3 }, ...numbers.steps.slice(1)] }
  expect(differences(wrong, numbers)).toEqual(['step 1 stopped: the API says 3, the people make it 1'])
})

it('sequences that still run break the promise', () => {
  const numbers = numbersOf(everybody)
  const running: Numbers = { ...numbers, outcomes: { ...numbers.outcomes, running: 1, exhausted: numbers.outcomes.exhausted - 1 } }
  expect(judgeNumbers(everybody, running)[0]!.broken).toEqual(['6 ended, 1 still run'])
})

it('a malformed record is one dead letter of the right reason, found by where its producer put it', () => {
  const stored = { topic: 'stepcast.sends.v1', partition: 3, offset: '7' }
  const letter = { ...stored, reason: 'not_avro', detail: '' }
  const wrong = (letters: (typeof letter)[], reason: string | null): number => judgeDeadLetters([{ stored, reason }], letters).broken.length
  expect(wrong([letter], 'not_avro')).toBe(0)
  expect(wrong([letter], null)).toBe(0)
  expect(wrong([letter], 'invalid_send')).toBe(1)
  expect(wrong([{ ...letter, offset: '8' }], null)).toBe(1)
  expect(wrong([letter, letter], null)).toBe(1)
})

it('a check is a line, with what is wrong below it', () => {
  expect(checkLines({ promise: 'all is well', broken: [] })).toEqual(['PASS  all is well'])
  expect(checkLines({ promise: 'all is well', broken: ['it is not'] })).toEqual(['FAIL  all is well', '      it is not'])
  expect(checkLines({ promise: 'p', broken: Array.from({ length: 20 }, String) }).at(-1)).toBe('      … and 8 more')
})
