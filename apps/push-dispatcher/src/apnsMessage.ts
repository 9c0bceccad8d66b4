// A push as APNs takes it: an alert that collapses with its own repeats and is never shown after the next step.
import { uuidV5 } from '@stepcast/contracts'
import type { ProviderMessage } from '@stepcast/channel'
import { apnsPayload } from '@stepcast/template'

const notificationNamespace = Buffer.from('6a7d0f3b9c1e5d248f60b1a2c3d4e5f6', 'hex')

/** The request for one device, but for its authorization. */
export interface ApnsRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * The request (Sending notification requests to APNs; Generating a remote notification).
 * @param topic the app's bundle id
 */
export function apnsRequest(message: ProviderMessage<'push'>, topic: string, nowMs: number): ApnsRequest {
  const { address, messageId, target, content, timeToLiveMs } = message
  return {
    path: `/3/device/${encodeURIComponent(address)}`,
    headers: {
      'apns-topic': topic,
      'apns-push-type': 'alert',
      'apns-priority': '10',
      // The same for every attempt, so that Apple's delivery log shows repeats as one.
      'apns-id': uuidV5(notificationNamespace, `${messageId}\n${target}`),
      // A messageId has at most 45 bytes, of 64 allowed.
      'apns-collapse-id': messageId,
      ...(timeToLiveMs === null ? {} : { 'apns-expiration': expirationOf(timeToLiveMs, nowMs) }),
    },
    body: JSON.stringify(apnsPayload(content, message)),
  }
}

// Whole seconds, rounded down so as not to outlive the window; 0: now or never.
const expirationOf = (timeToLiveMs: number, nowMs: number): string =>
  timeToLiveMs < 1_000 ? '0' : String(Math.floor((nowMs + timeToLiveMs) / 1_000))
