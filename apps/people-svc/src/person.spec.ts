// What may be written about a user, one test a rule.
import { parse, Problem } from '@stepcast/service'
import type { ZodType } from 'zod'
import { deviceBody, preferencesBody, profileBody, userIdParam } from './person'

function refusedAt(schema: ZodType, input: unknown): string[] {
  try {
    parse(schema, input)
  } catch (error) {
    if (error instanceof Problem) return error.errors.map(({ path }) => path)
    throw error
  }
  return []
}

it('keeps numbers as E.164, languages in canonical spelling, and clears what is absent', () => {
  expect(parse(profileBody, { phoneNumber: '+82 10-1234-5678', locale: 'ko-kr' })).toEqual({
    phoneNumber: '+821012345678',
    kakaoPhoneNumber: null,
    locale: 'ko-KR',
    timezone: null,
  })
  expect(parse(profileBody, { phoneNumber: '+15550001234', timezone: 'Asia/Seoul' })).toMatchObject({
    phoneNumber: '+15550001234',
    timezone: 'Asia/Seoul',
  })
})

it.each<[string, unknown, string[]]>([
  ['a national number', { phoneNumber: '010-1234-5678' }, ['/phoneNumber']],
  ['a number too short', { kakaoPhoneNumber: '+8210' }, ['/kakaoPhoneNumber']],
  ['a number among words', { phoneNumber: 'call +12015550100' }, ['/phoneNumber']],
  ['a number with an extension', { phoneNumber: '+12015550100 ext. 5' }, ['/phoneNumber']],
  ['words', { phoneNumber: 'call me' }, ['/phoneNumber']],
  ['a locale with an encoding', { locale: 'ko_KR.UTF-8' }, ['/locale']],
  ['an unknown timezone', { timezone: 'Asia/Atlantis' }, ['/timezone']],
  ['an offset as timezone', { timezone: '+09:00' }, ['/timezone']],
  ['an unknown field', { email: 'a@b' }, ['/email']],
])('a profile with %s is refused', (_what, input, paths) => expect(refusedAt(profileBody, input)).toEqual(paths))

it.each([
  ['invisible marks of direction, as iOS copies them', '\u202d+82 10-1234-5678\u202c'],
  ['other marks', '\ufeff\u2068\u200e+82\u200b1012345678\u2069\u200f'],
  ['no-break spaces', '+82\u00a010\u00a01234\u202f5678\u00a0'],
  ['full width', '＋８２　１０－１２３４－５６７８'],
  ['full-width digits', '+８２１０１２３４５６７８'],
  ['Arabic digits', '+٨٢١٠١٢٣٤٥٦٧٨'],
  ['a trunk 0', '+82 (0)10-1234-5678'],
])('takes a number with %s', (_what, phoneNumber) =>
  expect(parse(profileBody, { phoneNumber, kakaoPhoneNumber: phoneNumber })).toMatchObject({
    phoneNumber: '+821012345678',
    kakaoPhoneNumber: '+821012345678',
  }),
)

it.each([
  ['+52 1 55 1234 5678', 'it has too many digits for the country code +52'],
  ['+8210', 'it has too few digits for the country code +82'],
  ['010-1234-5678', 'it must begin with + and the country code'],
  ['\u202d010-1234-5678\u202c', 'it must begin with + and the country code'],
  ['+999 123456789', 'there is no such country code'],
  ['+12015550100 ext. 5', 'it has an extension, which cannot be texted'],
  ['+82 10 1234 5678 or 5679', 'it holds more than a number'],
  ['call me', 'it must begin with + and the country code'],
])('says why %j is no number', (phoneNumber, why) => {
  const refusal = profileBody.safeParse({ phoneNumber })
  expect(refusal.error?.issues.map(({ message }) => message)).toEqual([
    `must be an international phone number such as +821012345678: ${why}`,
  ])
})

it.each([
  ['ko_KR', 'ko-KR'],
  ['zh_Hant_TW', 'zh-Hant-TW'],
  ['zh-hant-tw', 'zh-Hant-TW'],
])('takes the language %s as %s', (locale, kept) => expect(parse(profileBody, { locale })).toMatchObject({ locale: kept }))

const hex = '740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad'
it.each([
  ['small letters', hex],
  ['capitals', hex.toUpperCase()],
  ['both', `740F4707${hex.slice(8)}`],
  ['brackets and blanks, as old iOS code writes it', `<${hex.replace(/(.{8})(?=.)/g, '$1 ')}>`],
  ['capitals in brackets', `<${hex.toUpperCase()}>`],
  ['blanks around it', ` ${hex}\n`],
  ['an invisible mark', `\u200b${hex}`],
])('keeps a token of APNs in one spelling: %s', (_what, token) =>
  expect(parse(deviceBody, { platform: 'apns', token })).toEqual({ platform: 'apns', token: hex }),
)

it('leaves tokens alone whose letters mean something', () => {
  for (const token of [hex.toUpperCase(), 'dGhpcyBpcyB:APA91bE_-Xy'])
    expect(parse(deviceBody, { platform: 'fcm', token })).toEqual({ platform: 'fcm', token })
  expect(parse(deviceBody, { platform: 'apns', token: 'sim_Anna' })).toEqual({ platform: 'apns', token: 'sim_Anna' })
})

it.each<[string, unknown, string[]]>([
  ['an unknown platform', { platform: 'web', token: 't' }, ['/platform']],
  ['no token', { platform: 'fcm' }, ['/token']],
  ['a token with a space', { platform: 'fcm', token: 'a b' }, ['/token']],
  [
    'a token of iOS 13 that was cut',
    { platform: 'apns', token: '{length = 32, bytes = 0x740f4707 bebcf74f 9b7c25d4 8e335894 ... 61bb78ad }' },
    ['/token'],
  ],
  ['a token of blanks', { platform: 'apns', token: '< >' }, ['/token']],
  ['a token over 1,024 characters', { platform: 'fcm', token: 'a'.repeat(1_025) }, ['/token']],
])('a device with %s is refused', (_what, input, paths) => expect(refusedAt(deviceBody, input)).toEqual(paths))

it.each<[string, unknown, string[]]>([
  ['an unknown channel', { optOut: { channels: ['fax'] } }, ['/optOut/channels/0']],
  ['an unknown category', { optOut: { categories: ['News'] } }, ['/optOut/categories/0']],
  ['only one end of quiet hours', { quietHours: { start: '21:00' } }, ['/quietHours/end']],
  ['an hour 24', { quietHours: { start: '24:00', end: '08:00' } }, ['/quietHours/start']],
  ['quiet hours of no length', { quietHours: { start: '08:00', end: '08:00' } }, ['/quietHours/end']],
])('preferences with %s are refused', (_what, input, paths) => expect(refusedAt(preferencesBody, input)).toEqual(paths))

it('preferences say each channel once, and null clears quiet hours', () => {
  expect(parse(preferencesBody, { optOut: { channels: ['sms', 'sms'], categories: [] }, quietHours: null })).toEqual({
    optOut: { channels: ['sms'], categories: [] },
    quietHours: null,
  })
  expect(parse(preferencesBody, {})).toEqual({ optOut: { channels: [], categories: [] }, quietHours: null })
})

it('a userId has 1 to 128 characters, no control characters', () => {
  expect(parse(userIdParam, 'order 42/사용자')).toBe('order 42/사용자')
  for (const wrong of ['a\nb', 'a'.repeat(129)]) expect(refusedAt(userIdParam, wrong)).toEqual([''])
})
