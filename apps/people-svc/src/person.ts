// What may be written about a user: shapes, and the canonical form in which it is kept.
import { parsePhoneNumberFromString, validatePhoneNumberLength, type PhoneNumber } from 'libphonenumber-js/max'
import { channelTypes } from '@stepcast/contracts'
import { freeId, instant, instantMs, locale } from '@stepcast/service'
import { categories } from '@stepcast/template'
import { z } from 'zod'

/** E.164. Possible is enough: numbering plans change faster than any library, and the demo's +1555 numbers are nobody's. */
const phoneNumber = z
  .string()
  .max(60)
  .transform((given, context) => {
    const text = asTyped(given)
    // The whole text is the number, and an extension cannot be texted.
    const phone = parsePhoneNumberFromString(text, { extract: false })
    if (phone?.isPossible() && phone.ext === undefined) return phone.number as string
    context.addIssue({
      code: 'custom',
      message: `must be an international phone number such as +821012345678: ${whyNoNumber(text, phone)}`,
    })
    return z.NEVER
  })

/**
 * The number as somebody would have typed it: address books put invisible marks of direction around it (U+202D, U+202C), spaces of other
 * kinds between its parts, and keyboards of East Asia write it in full width. Other digits libphonenumber reads by itself.
 */
const asTyped = (given: string): string =>
  given
    .replace(/\p{Cf}/gu, '')
    .replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .replace(/\p{Zs}/gu, ' ')
    .trim()

function whyNoNumber(text: string, phone: PhoneNumber | undefined): string {
  if (!text.startsWith('+')) return 'it must begin with + and the country code'
  if (phone?.ext !== undefined) return 'it has an extension, which cannot be texted'
  const country = phone === undefined ? '' : ` for the country code +${phone.countryCallingCode}`
  switch (validatePhoneNumberLength(text)) {
    case 'TOO_SHORT':
      return `it has too few digits${country}`
    case 'TOO_LONG':
      return `it has too many digits${country}`
    case 'INVALID_LENGTH':
      return `it has a number of digits that no number has${country}`
    case 'INVALID_COUNTRY':
      return 'there is no such country code'
    case 'NOT_A_NUMBER':
    case undefined:
      return 'it holds more than a number'
  }
}

const timezone = z.string().max(64).refine(isTimezone, 'must be an IANA timezone such as Asia/Seoul')

/** Intl takes offsets such as +09:00 as well; they know no daylight saving, so they are no timezone to us. */
function isTimezone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** Body of `PUT /v1/users/{userId}`: what is absent is cleared. */
export const profileBody = z.strictObject({
  phoneNumber: phoneNumber.nullable().default(null).describe('E.164; spaces, dashes and invisible marks are taken out'),
  kakaoPhoneNumber: phoneNumber.nullable().default(null).describe('E.164 of the KakaoTalk account; phoneNumber where it is absent'),
  locale: locale.nullable().default(null).describe('BCP 47; ko_KR is taken as ko-KR'),
  timezone: timezone.nullable().default(null).describe("IANA name; the workspace's where it is absent"),
})
export type Profile = z.output<typeof profileBody>

// Apple says to treat a token as opaque, and gives it in hexadecimal as every app writes it: at most 100 bytes so far. Old iOS code sends
// the description of its bytes, `<740f4707 bebcf74f …>`, and some apps write capitals.
const hexadecimal = /^(?:[0-9a-f]{2})+$/

/** One spelling of each token, so that a device is one device: APNs' hexadecimal in small letters, without blanks and brackets. */
function tokenOf(platform: 'fcm' | 'apns', given: string): string {
  const token = given.replace(/\p{Cf}/gu, '').trim()
  if (platform === 'fcm') return token
  const small = token
    .replace(/^<(.*)>$/s, '$1')
    .replace(/\s+/g, '')
    .toLowerCase()
  return hexadecimal.test(small) ? small : token
}

/** Body of `PUT /v1/users/{userId}/devices/{deviceId}`. */
export const deviceBody = z
  .strictObject({
    platform: z.enum(['fcm', 'apns']),
    token: z
      .string()
      .max(2_048)
      .describe("As the device gives it. APNs' is hexadecimal, kept in small letters without blanks and brackets"),
  })
  .transform(({ platform, token: given }, context) => {
    const token = tokenOf(platform, given)
    // FCM's are about 160 characters and may grow; a kilobyte is what nobody has come near.
    if (/^[\x21-\x7e]{1,1024}$/.test(token)) return { platform, token }
    const rule = 'must be 1 to 1024 printable ASCII characters without spaces'
    context.addIssue({ code: 'custom', path: ['token'], message: platform === 'fcm' ? rule : `${rule}, or hexadecimal as iOS gives it` })
    return z.NEVER
  })
export type DeviceToken = z.output<typeof deviceBody>

/** The spellings, in small letters, in which a token may stand that was registered before there was one; null: it has no other. */
export const spellingsOf = ({ platform, token }: DeviceToken): readonly string[] | null =>
  platform === 'apns' && hexadecimal.test(token) ? [token, `<${token}>`] : null

const clock = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'must be HH:mm from 00:00 to 23:59')
const unique = <T extends string>(values: readonly T[]): T[] => [...new Set(values)]

/** Body of `PUT /v1/users/{userId}/preferences`: what is absent is cleared. */
export const preferencesBody = z.strictObject({
  optOut: z
    .strictObject({
      channels: z.array(z.enum(channelTypes)).max(100).default([]).transform(unique),
      categories: z.array(z.enum(categories)).max(100).default([]).transform(unique),
    })
    .default({ channels: [], categories: [] }),
  quietHours: z
    .strictObject({ start: clock, end: clock })
    .refine(({ start, end }) => start !== end, {
      path: ['end'],
      message: 'must differ from start: a whole day is no quiet hours, opt out instead',
    })
    .nullable()
    .default(null)
    .describe("In the user's timezone; may cross midnight; null: none"),
})
export type Preferences = z.output<typeof preferencesBody>

export const userIdParam = freeId
export const deviceIdParam = freeId

/** Body of the push dispatcher's call about a token that a provider called dead. */
export const deadTokenBody = z.strictObject({
  workspaceId: z.string(),
  userId: freeId,
  deviceId: freeId,
  token: z.string(),
  deadSince: z
    .union([instantMs, instant.transform((text) => Date.parse(text))])
    .describe('When the provider said so: milliseconds, or RFC 3339'),
})
export type DeadToken = z.output<typeof deadTokenBody>
