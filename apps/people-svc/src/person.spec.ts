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
  ['a locale with an underscore', { locale: 'ko_KR' }, ['/locale']],
  ['an unknown timezone', { timezone: 'Asia/Atlantis' }, ['/timezone']],
  ['an offset as timezone', { timezone: '+09:00' }, ['/timezone']],
  ['an unknown field', { email: 'a@b' }, ['/email']],
])('a profile with %s is refused', (_what, input, paths) => expect(refusedAt(profileBody, input)).toEqual(paths))

it.each<[string, unknown, string[]]>([
  ['an unknown platform', { platform: 'web', token: 't' }, ['/platform']],
  ['no token', { platform: 'fcm' }, ['/token']],
  ['a token with a space', { platform: 'fcm', token: 'a b' }, ['/token']],
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
