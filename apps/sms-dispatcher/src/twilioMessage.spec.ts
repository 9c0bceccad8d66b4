// The form that Twilio gets.
import type { ProviderMessage } from '@stepcast/channel'
import { twilioForm } from './twilioMessage'

const message: ProviderMessage<'sms'> = {
  workspaceId: 'demo',
  messageId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c.3.sms',
  userId: 'user-1',
  target: 'number',
  address: '+15551234567',
  content: { body: '배송 & more', trackLinks: true },
  timeToLiveMs: 90_500,
}
const form = (changes: Partial<ProviderMessage<'sms'>> = {}) =>
  Object.fromEntries(twilioForm({ ...message, ...changes }, { from: '+15005550006' }, 'https://steps.example'))

describe('an SMS for Twilio', () => {
  it('says to whom, from whom, what, and where to call back', () =>
    expect(form()).toEqual({
      To: '+15551234567',
      From: '+15005550006',
      Body: '배송 & more',
      ValidityPeriod: '90',
      StatusCallback: 'https://steps.example/v1/callbacks/twilio/demo?m=623f8d79-cdc6-5760-8ab0-ef346563ba6c.3.sms',
    }))
  it('is from a messaging service where the account has one', () => {
    const given = Object.fromEntries(twilioForm(message, { messagingServiceSid: 'MG1' }, 'https://steps.example'))
    expect([given.MessagingServiceSid, given.From]).toEqual(['MG1', undefined])
  })
  it("waits in Twilio's queue no longer than its window, within what Twilio allows", () =>
    expect([0, 999, 1_000, 300_000, 86_400_000].map((timeToLiveMs) => form({ timeToLiveMs }).ValidityPeriod)).toEqual([
      '1',
      '1',
      '1',
      '300',
      '36000',
    ]))
  it('waits as long as Twilio likes when nothing follows', () => expect(form({ timeToLiveMs: null }).ValidityPeriod).toBeUndefined())
})
