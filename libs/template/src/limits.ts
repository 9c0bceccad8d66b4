// What each channel carries at most, in the unit its provider counts, of content as it is sent: rendered, its links replaced.
import type { ChannelType } from '@stepcast/contracts'
import { apnsPayload, fcmPayload, type PushNames } from './pushPayload'
import type { ContentOf } from './template'

/** The limits of every channel. Characters are UTF-16 units: an emoji is two, for providers as for us. */
export const limits = {
  /** Ours: texts at their longest and the 64 kB that variables may have fit, in any alphabet; a long value repeated again and again does not. */
  in_app: { bytes: 131_072 },
  /** https://firebase.google.com/docs/cloud-messaging/concept-options and Apple's "Generating a remote notification": 4,096 bytes each. */
  push: { bytes: 4_096 },
  /** https://www.twilio.com/docs/api/errors/21617. */
  sms: { characters: 1_600 },
  /** Alimtalk, by Solapi's codes 1031, 1050, 1049 and 1048. */
  kakao: { characters: 1_000, buttons: 5, labelCharacters: 14, urlCharacters: 100 },
} as const

/** How large a part of a message is, and how large it may be. */
export interface Size {
  /** JSON pointer into the content; empty: all of it together. */
  readonly path: string
  /** Whose count this is, where a channel has several providers. */
  readonly provider?: 'fcm' | 'apns'
  readonly unit: 'bytes' | 'characters'
  readonly size: number
  readonly limit: number
}

/** The sizes of a message that are limited. */
export function sizesOf<C extends ChannelType>(channelType: C, content: ContentOf[C], names: PushNames): readonly Size[] {
  // The type of content follows from the channel's, which TypeScript cannot see.
  const of = measured[channelType] as (content: ContentOf[C], names: PushNames) => readonly Size[]
  return of(content, names)
}

/**
 * The first size that is over its limit; null: all fit.
 * @param provider the one that sends it: what others count is no matter
 */
export function oversize<C extends ChannelType>(channelType: C, content: ContentOf[C], names: PushNames, provider: string): Size | null {
  if (isSmall(content, names)) return null
  return sizesOf(channelType, content, names).find((one) => one.size > one.limit && (one.provider ?? provider) === provider) ?? null
}

const measured: { readonly [C in ChannelType]: (content: ContentOf[C], names: PushNames) => readonly Size[] } = {
  in_app: (content) => [bytes('', content, limits.in_app.bytes)],
  push: (content, names) => [
    { ...bytes('', fcmPayload(content, names), limits.push.bytes), provider: 'fcm' },
    { ...bytes('', apnsPayload(content, names), limits.push.bytes), provider: 'apns' },
  ],
  sms: ({ body }) => [characters('/body', body, limits.sms.characters)],
  kakao: ({ body, buttons }) => [
    characters('/body', body, limits.kakao.characters),
    ...buttons.flatMap(({ label, url }, i) => [
      characters(`/buttons/${i}/label`, label, limits.kakao.labelCharacters),
      ...(url === null ? [] : [characters(`/buttons/${i}/url`, url, limits.kakao.urlCharacters)]),
    ]),
  ],
}

const characters = (path: string, text: string, limit: number): Size => ({ path, unit: 'characters', size: text.length, limit })
const bytes = (path: string, value: object, limit: number): Size => ({
  path,
  unit: 'bytes',
  size: utf8Length(JSON.stringify(value)),
  limit,
})

/** Bytes of a well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    // Half of a pair is two of the pair's four bytes.
    if (unit > 0x7f) length += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return length
}

// JSON takes six bytes of a character at most. Most pushes are far below their limit and need not be written down to be measured.
function isSmall(content: object, names: PushNames): boolean {
  if ('buttons' in content || !('data' in content)) return false
  const { title, body, url, data } = content as ContentOf['push']
  let sum = title.length + body.length + (url?.length ?? 0) + names.messageId.length + names.workspaceId.length + names.userId.length
  for (const name in data) sum += name.length + (data[name]?.length ?? 0) + 1
  return sum * 6 + 300 <= limits.push.bytes
}
