// The plan of people: the same for the same seed, and of every kind.
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { actsInTime, devicesOf, kakaoPhoneNumberOf, peopleOf, phoneNumberOf, type Person } from './people'

it('a seed draws the same people every time, another seed others', () => {
  expect(peopleOf(1, 600)).toEqual(peopleOf(1, 600))
  expect(peopleOf(2, 600).map(({ conduct }) => conduct)).not.toEqual(peopleOf(1, 600).map(({ conduct }) => conduct))
})

it('half of the people are sent to over HTTP, half over Kafka, and everybody once', () => {
  const people = peopleOf(1, 600)
  expect(people.filter(({ route }) => route === 'http')).toHaveLength(300)
  expect(new Set(people.map(({ userId }) => userId)).size).toBe(600)
})

it.each([1, 2, 3, 4_000_000_000])('seed %d draws about the shares wanted, and somebody of every kind', (seed) => {
  const people = peopleOf(seed, 600)
  const share = (holds: (person: Person) => boolean): number => people.filter(holds).length / people.length
  expect(share((person) => actsInTime(person, 1))).toBeCloseTo(0.45, 0.9)
  expect(share(({ conduct }) => conduct === 'late')).toBeCloseTo(0.08, 0.9)
  expect(share(({ devices }) => devices === 'none')).toBeCloseTo(0.05, 0.9)
  expect(share(({ smsNumber }) => smsNumber === 'works')).toBeCloseTo(0.8, 0.9)
  const kinds = <K extends keyof Person>(field: K): Person[K][] => [...new Set(people.map((person) => person[field]))].sort()
  expect(kinds('conduct')).toEqual(['asleep', 'away', 'clicks', 'late', 'receives', 'views'])
  expect(kinds('devices')).toEqual(['android', 'badAndroid', 'badIphone', 'both', 'iphone', 'none'])
  expect(kinds('smsNumber')).toEqual(['invalid', 'none', 'optedOut', 'unreachable', 'works'])
  expect(kinds('kakaoTalk')).toEqual(['noKakaoTalk', 'refused', 'works'])
  expect(kinds('onSms')).toEqual(['clicks', 'late', 'nothing', 'receives'])
  expect(kinds('app')).toEqual(['backend', 'stream', 'token'])
  expect(kinds('isPreviewed')).toEqual([false, true])
})

it('dead tokens are those that the sandbox refuses; no token of ours answers by itself', () => {
  for (const person of peopleOf(1, 600)) {
    const tokens = devicesOf(person).map(({ token }) => token)
    expect(tokens).toHaveLength({ none: 0, both: 2 }[person.devices as string] ?? 1)
    expect(tokens.every((token) => token.startsWith('bad_'))).toBe(person.devices.startsWith('bad') || tokens.length === 0)
    expect(tokens.some((token) => token.startsWith('sim_'))).toBe(false)
  }
})

it("every number is one that the product takes and that is nobody's", () => {
  for (const person of peopleOf(1, 600)) {
    const [sms, kakao] = [phoneNumberOf(person), kakaoPhoneNumberOf(person)]
    expect(sms === null).toBe(person.smsNumber === 'none')
    if (sms === null) expect(kakao).toBeNull()
    for (const number of [sms, kakao]) {
      if (number === null) continue
      expect(parsePhoneNumberFromString(number)?.isPossible()).toBe(true)
      expect(number).toMatch(/^\+1\d{3}55501\d{2}$|^\+1555\d{7}$|^\+82100\d{7}$/)
    }
    // +1555 answers by itself in the sandbox: only as the two codes wanted.
    if (sms?.startsWith('+1555')) expect(['invalid', 'unreachable']).toContain(person.smsNumber)
  }
  const texted = peopleOf(1, 600).filter(({ smsNumber }) => smsNumber === 'works')
  expect(new Set(texted.map(phoneNumberOf)).size).toBe(texted.length)
})
