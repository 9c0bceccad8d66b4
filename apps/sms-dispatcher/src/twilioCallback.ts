// Twilio's status callbacks: https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
import type { TwilioAccount } from '@stepcast/accounts'
import type { CallbackRequest, ProviderStatus } from '@stepcast/channel'
import { isSignedByTwilio } from './twilioSignature'
import { isUnsubscribed, reasonOfCode } from './twilioOutcome'
import { personIn, senderIn } from './twilioSender'

// Everything else is on its way: accepted, scheduled, queued, sending, sent. `read` is not told of SMS.
const statusOf: Readonly<Record<string, 'delivered' | 'failed'>> = {
  delivered: 'delivered',
  read: 'delivered',
  undelivered: 'failed',
  failed: 'failed',
  canceled: 'failed',
}

/** What a callback says; null: Twilio did not sign it for this account. */
export function readTwilioCallback(
  { url, headers, body }: CallbackRequest,
  account: Pick<TwilioAccount, 'authToken' | 'from' | 'messagingServiceSid'>,
): ProviderStatus[] | null {
  const signature = headers['x-twilio-signature']
  const form = new URLSearchParams(body.toString('utf8'))
  if (typeof signature !== 'string' || !isSignedByTwilio(account.authToken, signature, url, form)) return null
  const messageId = new URL(url).searchParams.get('m')
  if (messageId === null) return []
  const word = form.get('MessageStatus') ?? ''
  const status = statusOf[word] ?? null
  const code = form.get('ErrorCode')
  const reason = status === 'failed' ? (code ? reasonOfCode(code) : word) : null
  const told = { messageId, providerMessageId: form.get('MessageSid'), reason }
  if (status !== 'failed' || !isUnsubscribed(code)) return [{ ...told, status }]
  const [address, sender] = [personIn(form, 'To'), senderIn(form, 'From', account)]
  return [{ ...told, status: 'skipped', ...(address === null || sender === null ? {} : { refused: { address, sender } }) }]
}
