// A push as FCM HTTP v1 takes it: shown by the system, collapsing with its own repeats, never later than the next step.
import { createHash } from 'node:crypto'
import type { ProviderMessage } from '@stepcast/channel'

/**
 * What the app finds in `message.data` besides the template's own data: it reports receipts for the message's id, and only while the
 * user named here is signed in on the device.
 */
export const dataKeys = {
  messageId: 'stepcast_message_id',
  workspaceId: 'stepcast_workspace_id',
  userId: 'stepcast_user_id',
  url: 'stepcast_url',
} as const

/** FCM's longest time to live: 4 weeks. */
const maxTtlS = 2_419_200

/** The body of `messages:send`. */
export function fcmBody(
  { address, messageId, workspaceId, userId, content, timeToLiveMs }: ProviderMessage<'push'>,
  nowMs: number,
): object {
  const { title, body, url } = content
  // FCM takes whole seconds; 0 means now or never.
  const ttlS = timeToLiveMs === null ? null : Math.min(maxTtlS, Math.floor(timeToLiveMs / 1_000))
  const link = url?.startsWith('https://') ? { fcm_options: { link: url } } : {}
  return {
    message: {
      token: address,
      notification: { title, body },
      data: {
        ...strings(content.data),
        [dataKeys.messageId]: messageId,
        [dataKeys.workspaceId]: workspaceId,
        [dataKeys.userId]: userId,
        ...(url === null ? {} : { [dataKeys.url]: url }),
      },
      android: {
        priority: 'high',
        // FCM ignores the collapse key of notifications; their tag is what replaces a repeat on the screen.
        collapse_key: messageId,
        notification: { tag: messageId },
        ...(ttlS === null ? {} : { ttl: `${ttlS}s` }),
      },
      apns: {
        headers: {
          // A messageId has at most 45 bytes, of 64 allowed.
          'apns-collapse-id': messageId,
          'apns-priority': '10',
          ...(ttlS === null ? {} : { 'apns-expiration': String(Math.floor(nowMs / 1_000) + ttlS) }),
        },
      },
      webpush: {
        // RFC 8030: a topic has at most 32 URL-safe characters.
        headers: {
          Topic: createHash('sha256').update(messageId).digest('base64url').slice(0, 32),
          ...(ttlS === null ? {} : { TTL: String(ttlS) }),
        },
        ...link,
      },
    },
  }
}

// Rendering turns an address that is none into null, and FCM takes only strings.
const strings = (data: Readonly<Record<string, string | null>>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
