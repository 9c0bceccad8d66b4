// An SMS as Twilio takes it: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
import type { TwilioAccount } from '@stepcast/accounts'
import type { ProviderMessage } from '@stepcast/channel'

// https://www.twilio.com/docs/api/errors/90007: whole seconds from 1 to 36,000 (10 hours, which is also what it is without one).
const maxValidityS = 36_000

/** Where Twilio tells what becomes of a message. The messageId travels in the query, which Twilio signs. */
const statusCallbackUrl = (publicUrl: string, workspaceId: string, messageId: string): string =>
  `${publicUrl}/v1/callbacks/twilio/${workspaceId}?m=${encodeURIComponent(messageId)}`

/** The form of the request. */
export function twilioForm(
  { workspaceId, messageId, address, content, timeToLiveMs }: ProviderMessage<'sms'>,
  { from, messagingServiceSid }: Pick<TwilioAccount, 'from' | 'messagingServiceSid'>,
  publicUrl: string,
): URLSearchParams {
  const form = new URLSearchParams({
    To: address,
    Body: content.body,
    StatusCallback: statusCallbackUrl(publicUrl, workspaceId, messageId),
  })
  if (messagingServiceSid !== undefined) form.set('MessagingServiceSid', messagingServiceSid)
  else form.set('From', from!)
  // How long it may wait in Twilio's queue: no longer than the window, so that it does not come after the next step (rule 24).
  if (timeToLiveMs !== null) form.set('ValidityPeriod', String(Math.max(1, Math.min(maxValidityS, Math.floor(timeToLiveMs / 1_000)))))
  return form
}
