// A push as FCM HTTP v1 takes it: shown by the system, collapsing with its own repeats, never later than the next step.
import { createHash } from 'node:crypto'
import type { ProviderMessage } from '@stepcast/channel'
import { fcmPayload, oversize, pushDataOf } from '@stepcast/template'

/** FCM's longest time to live: 4 weeks. */
const maxTtlS = 2_419_200
// Names FCM keeps for itself in `data`.
const reservedKey = /^(from$|message_type$|gcm|google)/

/** The body of `messages:send`. */
export function fcmBody(message: ProviderMessage<'push'>, nowMs: number): object {
  const { address, messageId, content, timeToLiveMs } = message
  const { url } = content
  // FCM takes whole seconds; 0 means now or never.
  const ttlS = timeToLiveMs === null ? null : Math.min(maxTtlS, Math.floor(timeToLiveMs / 1_000))
  const link = url?.startsWith('https://') ? { fcm_options: { link: url } } : {}
  return {
    message: {
      token: address,
      ...fcmPayload(content, message),
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
        // Wakes the app's notification extension, which alone can report `delivered`.
        payload: { aps: { 'mutable-content': 1 } },
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

/** Whether FCM can take the payload by its documents: at most 4,096 bytes of content and data, no key of FCM's own. */
export function isWithinFcmLimits(message: ProviderMessage<'push'>): boolean {
  const keys = Object.keys(pushDataOf(message.content, message))
  return oversize('push', message.content, message, 'fcm') === null && !keys.some((key) => reservedKey.test(key))
}
