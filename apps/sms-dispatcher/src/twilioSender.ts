// Whom a text is from or to on the workspace's side: the number, or the messaging service that it belongs to.
import type { TwilioAccount } from '@stepcast/accounts'

/** What says who a workspace's texts are from. */
export type Sending = Pick<TwilioAccount, 'from' | 'messagingServiceSid'>

/** The sender of an account, as people answer it. */
export const senderOf = ({ from, messagingServiceSid }: Sending): string => messagingServiceSid ?? from!

/**
 * The sender that a form of Twilio's speaks of: the one this account sends by, if it is one of those named, else the service before the
 * number, since Twilio keeps STOPs of a service for all of its numbers. Null: none is named.
 * @param number the field of the workspace's own number: `From` of what it sent, `To` of what it got
 */
export function senderIn(form: URLSearchParams, number: 'From' | 'To', sending: Sending): string | null {
  const named = sendersIn(form, number)
  return named.find((one) => one === senderOf(sending)) ?? named[0] ?? null
}

/** Every sender that a form names. */
export const sendersIn = (form: URLSearchParams, number: 'From' | 'To'): string[] =>
  [form.get('MessagingServiceSid'), form.get(number)].filter((name): name is string => name !== null && /^[\x20-\x7e]{1,64}$/.test(name))

/** The person's number in a field; null: there is none in E.164, as for WhatsApp and the like, whose numbers have a prefix. */
export const personIn = (form: URLSearchParams, field: 'From' | 'To'): string | null => {
  const number = form.get(field)
  return number !== null && /^\+[0-9]{1,15}$/.test(number) ? number : null
}
