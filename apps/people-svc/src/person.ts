// What may be written about a user: shapes, and the canonical form in which it is kept.
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { channelTypes } from '@stepcast/contracts'
import { freeId, instant, instantMs } from '@stepcast/service'
import { categories } from '@stepcast/template'
import { z } from 'zod'

/** E.164. Possible is enough: numbering plans change faster than any library, and the demo's +1555 numbers are nobody's. */
const phoneNumber = z
  .string()
  .max(40)
  .transform((given, context) => {
    // The whole text is the number, and an extension cannot be texted.
    const phone = parsePhoneNumberFromString(given, { extract: false })
    if (phone?.isPossible() && phone.ext === undefined) return phone.number as string
    context.addIssue({ code: 'custom', message: 'must be an international phone number such as +821012345678' })
    return z.NEVER
  })

const locale = z
  .string()
  .max(35)
  .transform((given, context) => {
    try {
      return Intl.getCanonicalLocales(given)[0]!
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a BCP 47 language tag such as ko-KR' })
      return z.NEVER
    }
  })

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
  phoneNumber: phoneNumber.nullable().default(null).describe('E.164; spaces and dashes are taken out'),
  kakaoPhoneNumber: phoneNumber.nullable().default(null).describe('E.164 of the KakaoTalk account; phoneNumber where it is absent'),
  locale: locale.nullable().default(null).describe('BCP 47'),
  timezone: timezone.nullable().default(null).describe("IANA name; the workspace's where it is absent"),
})
export type Profile = z.output<typeof profileBody>

/** Body of `PUT /v1/users/{userId}/devices/{deviceId}`. */
export const deviceBody = z.strictObject({
  platform: z.enum(['fcm', 'apns']),
  // FCM's are about 160 characters and may grow; a kilobyte is what nobody has come near.
  token: z.string().regex(/^[\x21-\x7e]{1,1024}$/, 'must be 1 to 1024 printable ASCII characters without spaces'),
})
export type DeviceToken = z.output<typeof deviceBody>

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
