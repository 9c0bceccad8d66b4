// STOP and START: what a person answers to a text, as Twilio passes it on.
// https://www.twilio.com/docs/messaging/twiml#request-parameters, …/services/twilio-phone-numbers-stop-words, …/services/advanced-opt-out
import type { CallbackRequest, Wish } from '@stepcast/channel'
import { personIn, senderIn, senderOf, sendersIn, type Sending } from './twilioSender'

// Twilio's own words; REVOKE and OPTOUT since April 2025.
const stops = new Set(['STOP', 'STOPALL', 'UNSUBSCRIBE', 'CANCEL', 'END', 'QUIT', 'REVOKE', 'OPTOUT'])
const starts = new Set(['START', 'UNSTOP', 'YES'])

/**
 * What a signed call says that a person wants; null: it is no incoming text, or one about something else. A STOP on another channel
 * (WhatsApp) is not one here.
 */
export function readTwilioWish({ body }: CallbackRequest, sending: Sending): Wish | null {
  const form = new URLSearchParams(body.toString('utf8'))
  const [id, address] = [form.get('MessageSid') ?? form.get('SmsMessageSid') ?? '', personIn(form, 'From')]
  // A status callback has a status, and no text of a person.
  if (!/^[\x21-\x7e]{1,64}$/.test(id) || address === null || form.has('MessageStatus')) return null
  const kind = wishIn(form)
  const sender = senderIn(form, 'To', sending)
  if (kind === null || sender === null) return null
  // Whatever we hold of this person and any name of the sender is lifted: Twilio refuses what it has not lifted itself.
  return { id, kind, address, senders: kind === 'stop' ? [sender] : [sender, ...sendersIn(form, 'To'), senderOf(sending)] }
}

/** By Advanced Opt-Out's word where it is on, since a workspace chooses its own keywords there; else by Twilio's. */
function wishIn(form: URLSearchParams): Wish['kind'] | null {
  const type = form.get('OptOutType')?.toUpperCase()
  if (type === 'STOP') return 'stop'
  if (type === 'START') return 'start'
  if (type !== undefined) return null
  // The word is all there is; phones add a full stop or a blank.
  const word = (form.get('Body') ?? '')
    .normalize('NFKC')
    .replace(/^[\s\p{P}\p{Cf}]+|[\s\p{P}\p{Cf}]+$/gu, '')
    .toUpperCase()
  return stops.has(word) ? 'stop' : starts.has(word) ? 'start' : null
}
