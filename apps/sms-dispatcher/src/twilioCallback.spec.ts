// What Twilio's status callbacks say.
import { readTwilioCallback } from './twilioCallback'
import { twilioSignature } from './twilioSignature'

const token = 'the-auth-token-of-a-spec'
const url = 'https://steps.example/v1/callbacks/twilio/demo?m=623f8d79-cdc6-5760-8ab0-ef346563ba6c.3.sms'
const service = `MG${'1'.repeat(32)}`
const read = (
  fields: Record<string, string>,
  called = url,
  headers?: Record<string, string>,
  sending: { from?: string; messagingServiceSid?: string } = { from: '+15005550006' },
) => {
  const form = new URLSearchParams({ MessageSid: 'SM1', AccountSid: 'AC1', ...fields })
  return readTwilioCallback(
    { url: called, headers: headers ?? { 'x-twilio-signature': twilioSignature(token, called, form) }, body: Buffer.from(form.toString()) },
    { authToken: token, ...sending },
  )
}

describe("Twilio's status callback", () => {
  const messageId = '623f8d79-cdc6-5760-8ab0-ef346563ba6c.3.sms'

  it('tells the message by the query that Twilio signs', () =>
    expect(read({ MessageStatus: 'sent' })).toEqual([{ messageId, providerMessageId: 'SM1', status: null, reason: null }]))
  it.each(['accepted', 'scheduled', 'queued', 'sending', 'sent', 'something-new'])('is on its way: %s', (MessageStatus) =>
    expect(read({ MessageStatus })).toMatchObject([{ status: null, reason: null }]),
  )
  it('is delivered', () => expect(read({ MessageStatus: 'delivered' })).toMatchObject([{ status: 'delivered', reason: null }]))
  it.each([
    [{ MessageStatus: 'undelivered', ErrorCode: '30003' }, '30003'],
    [{ MessageStatus: 'failed', ErrorCode: '30008' }, '30008'],
    [{ MessageStatus: 'failed' }, 'failed'],
    [{ MessageStatus: 'canceled' }, 'canceled'],
  ])('has failed, with its code as the reason: %j', (fields, reason) => expect(read(fields)).toMatchObject([{ status: 'failed', reason }]))
  it.each(['failed', 'undelivered'])('is skipped, with the number and the sender that it has told to stop: %s', (MessageStatus) => {
    const fields = { MessageStatus, ErrorCode: '21610', To: '+821012345678', From: '+15005550006' }
    expect(read(fields)).toEqual([
      {
        messageId,
        providerMessageId: 'SM1',
        status: 'skipped',
        reason: 'unsubscribed',
        refused: { address: '+821012345678', sender: '+15005550006' },
      },
    ])
    expect(read({ ...fields, MessagingServiceSid: service }, url, undefined, { messagingServiceSid: service })).toMatchObject([
      { refused: { sender: service } },
    ])
    expect(read({ ...fields, MessagingServiceSid: service })).toMatchObject([{ refused: { sender: '+15005550006' } }])
  })
  it('is nothing without a signature, or with one of something else', () => {
    expect(read({ MessageStatus: 'delivered' }, url, {})).toBeNull()
    const other = twilioSignature(
      token,
      url.replace('.3.', '.2.'),
      new URLSearchParams({ MessageSid: 'SM1', AccountSid: 'AC1', MessageStatus: 'delivered' }),
    )
    expect(read({ MessageStatus: 'delivered' }, url, { 'x-twilio-signature': other })).toBeNull()
  })
  it('speaks of nothing of ours when it carries no message', () =>
    expect(read({ MessageStatus: 'delivered' }, 'https://steps.example/v1/callbacks/twilio/demo')).toEqual([]))
})
