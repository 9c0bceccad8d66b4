// The people of the demo: who they are and what each will do, drawn from a seed, so that a run can be repeated. Pure.

/** How a send to this person is made. */
export type Route = 'http' | 'kafka'

/**
 * What a person does with the in-app message:
 * `clicks` and `views` within the window, `late` sees it after the sequence has ended, `receives`: the app gets it and nobody
 * looks, `away`: the app is not even open, `asleep`: quiet hours hold the push back, and they see the message meanwhile.
 */
export type Conduct = 'clicks' | 'views' | 'late' | 'receives' | 'away' | 'asleep'

/** The phones of a person; `bad…`: with a token that its provider does not know any more. */
export type Devices = 'android' | 'iphone' | 'both' | 'badAndroid' | 'badIphone' | 'none'

/** How an SMS fares; `invalid`: Twilio refuses the number, `unreachable`: the carrier says later that it could not be delivered. */
export type SmsNumber = 'works' | 'none' | 'optedOut' | 'invalid' | 'unreachable'

/** How a KakaoTalk message fares; `refused`: at once by Solapi, `noKakaoTalk`: it says later that nobody there uses KakaoTalk. */
export type KakaoTalk = 'works' | 'refused' | 'noKakaoTalk'

/** What a person does with a push, an SMS or a KakaoTalk message; `late`: opens it after the sequence has ended. */
export type OnMessage = 'clicks' | 'late' | 'receives' | 'nothing'

/** One simulated person. */
export interface Person {
  /** 1, 2, 3 … */
  readonly no: number
  readonly userId: string
  readonly route: Route
  readonly conduct: Conduct
  readonly devices: Devices
  readonly smsNumber: SmsNumber
  readonly kakaoTalk: KakaoTalk
  readonly onPush: OnMessage
  readonly onSms: OnMessage
  /** `late` counts as `clicks`: the sequence has ended by then. */
  readonly onKakao: OnMessage
  /** Whether a messenger or a scanner fetches the link of the SMS before the person has seen it. */
  readonly isPreviewed: boolean
  /** The app listens to the event stream with a user token, reads the feed with one, or asks its backend, which has an API key. */
  readonly app: 'stream' | 'token' | 'backend'
  /** From the message showing until the person has looked at it, milliseconds. */
  readonly hesitationMs: number
}

type Shares<T extends string> = readonly (readonly [T, number])[]

const conducts: Shares<Conduct> = [
  ['clicks', 0.15],
  ['views', 0.3],
  ['late', 0.08],
  ['receives', 0.24],
  ['away', 0.2],
  ['asleep', 0.03],
]
const devices: Shares<Devices> = [
  ['android', 0.48],
  ['iphone', 0.34],
  ['both', 0.08],
  ['none', 0.05],
  ['badAndroid', 0.03],
  ['badIphone', 0.02],
]
const smsNumbers: Shares<SmsNumber> = [
  ['works', 0.8],
  ['none', 0.05],
  ['optedOut', 0.06],
  ['invalid', 0.04],
  ['unreachable', 0.05],
]
const kakaoTalks: Shares<KakaoTalk> = [
  ['works', 0.84],
  ['refused', 0.06],
  ['noKakaoTalk', 0.1],
]
const onPush: Shares<OnMessage> = [
  ['clicks', 0.25],
  ['late', 0.05],
  ['receives', 0.6],
  ['nothing', 0.1],
]
const onSms: Shares<OnMessage> = [
  ['clicks', 0.3],
  ['late', 0.05],
  ['receives', 0.55],
  ['nothing', 0.1],
]
const onKakao: Shares<OnMessage> = [
  ['clicks', 0.3],
  ['receives', 0.6],
  ['nothing', 0.1],
]
const previewedShare = 0.3
// A stream costs a connection: 30 of them show that it works.
const apps: Shares<Person['app']> = [
  ['stream', 0.05],
  ['token', 0.45],
  ['backend', 0.5],
]

// The window is 12.5 s in the demo's own system, and a busy machine needs some of it.
const longestHesitationMs = 1_500

/**
 * Draws the people: the first half is sent to over HTTP, the rest over Kafka.
 * @param seed a whole number; the same one draws the same people with the same ids
 */
export function peopleOf(seed: number, count: number): Person[] {
  const random = randomOf(seed)
  return Array.from({ length: count }, (_, index) => ({
    no: index + 1,
    userId: `demo-${seed}-${String(index + 1).padStart(4, '0')}`,
    route: index < count / 2 ? 'http' : 'kafka',
    conduct: drawn(conducts, random()),
    devices: drawn(devices, random()),
    smsNumber: drawn(smsNumbers, random()),
    kakaoTalk: drawn(kakaoTalks, random()),
    onPush: drawn(onPush, random()),
    onSms: drawn(onSms, random()),
    onKakao: drawn(onKakao, random()),
    isPreviewed: random() < previewedShare,
    app: drawn(apps, random()),
    hesitationMs: Math.round(random() * longestHesitationMs),
  }))
}

/** A device as it is registered. */
export interface Device {
  readonly deviceId: string
  readonly platform: 'fcm' | 'apns'
  readonly token: string
}

/** The devices of a person. The sandbox refuses `bad_` tokens; of the rest none answers by itself: the demo acts for them. */
export function devicesOf({ devices: which, userId }: Person): Device[] {
  const android = (prefix: string): Device => ({ deviceId: 'android', platform: 'fcm', token: `${prefix}_${userId}_android` })
  const iphone = (prefix: string): Device => ({ deviceId: 'iphone', platform: 'apns', token: `${prefix}_${userId}_iphone` })
  switch (which) {
    case 'android':
      return [android('phone')]
    case 'iphone':
      return [iphone('phone')]
    case 'both':
      return [android('phone'), iphone('phone')]
    case 'badAndroid':
      return [android('bad')]
    case 'badIphone':
      return [iphone('bad')]
    case 'none':
      return []
  }
}

// Whatever system the demo is let loose on, no number here can be anybody's: 555-0100 to 555-0199 are kept for fiction in every
// area of North America, no Korean mobile number begins 010-0, and +1 555 is no area.
const areas = [201, 202, 203, 205, 206, 207, 208, 209]

/** The number that an SMS goes to; null: none is known. The sandbox's phones there stay silent until told. */
export function phoneNumberOf({ smsNumber, no }: Person): string | null {
  switch (smsNumber) {
    case 'works':
    case 'optedOut':
      return `+1${areas[Math.floor((no - 1) / 100) % areas.length]}5550${100 + ((no - 1) % 100)}`
    // Answered by the sandbox with Twilio's 21211, and with 30003 in a status callback.
    case 'invalid':
      return '+15550000001'
    case 'unreachable':
      return '+15550300031'
    case 'none':
      return null
  }
}

/** The number of the KakaoTalk account; null: none is known. */
export function kakaoPhoneNumberOf({ smsNumber, kakaoTalk, no }: Person): string | null {
  if (smsNumber === 'none') return null
  switch (kakaoTalk) {
    case 'works':
      return `+82100001${String(no % 10_000).padStart(4, '0')}`
    // Answered by the sandbox with these codes of Solapi, the second by a webhook.
    case 'refused':
      return '+821000001062'
    case 'noKakaoTalk':
      return '+821000003104'
  }
}

/** Whether a push can reach a person. */
export const isPushable = ({ devices: which }: Person): boolean => which === 'android' || which === 'iphone' || which === 'both'

/** Whether a person means to meet a step's condition before its window is over; steps count from 1. */
export function actsInTime(person: Person, step: number): boolean {
  if (person.conduct === 'asleep') return false
  switch (step) {
    case 1:
      return person.conduct === 'clicks' || person.conduct === 'views'
    case 2:
      return person.onPush === 'clicks' && isPushable(person)
    case 3:
      return person.onSms === 'clicks' && person.smsNumber === 'works'
    default:
      return false
  }
}

function drawn<T extends string>(shares: Shares<T>, x: number): T {
  let sum = 0
  for (const [name, share] of shares) if (x < (sum += share)) return name
  return shares[0]![0]
}

/** Mulberry32: 0 ≤ x < 1, the same numbers for the same seed everywhere. */
function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
