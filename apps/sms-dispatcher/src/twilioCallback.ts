// Twilio's status callbacks: https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
import type { CallbackRequest, ProviderStatus } from '@stepcast/channel'
import { isSignedByTwilio } from './twilioSignature'
import { reasonOfCode } from './twilioOutcome'

// Everything else is on its way: accepted, scheduled, queued, sending, sent. `read` is not told of SMS.
const statusOf: Readonly<Record<string, 'delivered' | 'failed'>> = {
  delivered: 'delivered',
  read: 'delivered',
  undelivered: 'failed',
  failed: 'failed',
  canceled: 'failed',
}

/** What a callback says; null: Twilio did not sign it for this account. */
export function readTwilioCallback({ url, headers, body }: CallbackRequest, authToken: string): ProviderStatus[] | null {
  const signature = headers['x-twilio-signature']
  const form = new URLSearchParams(body.toString('utf8'))
  if (typeof signature !== 'string' || !isSignedByTwilio(authToken, signature, url, form)) return null
  const messageId = new URL(url).searchParams.get('m')
  if (messageId === null) return []
  const word = form.get('MessageStatus') ?? ''
  const status = statusOf[word] ?? null
  const code = form.get('ErrorCode')
  const reason = status === 'failed' ? (code ? reasonOfCode(code) : word) : null
  return [{ messageId, providerMessageId: form.get('MessageSid'), status, reason }]
}
