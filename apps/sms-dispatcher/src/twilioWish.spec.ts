// What people answer to a text.
import { readTwilioWish } from './twilioWish'
import type { Sending } from './twilioSender'

const service = `MG${'1'.repeat(32)}`
const number = '+15005550006'
const wish = (fields: Record<string, string>, sending: Sending = { from: number }) =>
  readTwilioWish(
    {
      url: '',
      headers: {},
      body: Buffer.from(
        new URLSearchParams({ MessageSid: 'SM1', From: '+821012345678', To: number, SmsStatus: 'received', ...fields }).toString(),
      ),
    },
    sending,
  )

it.each([
  'STOP',
  'stop',
  ' Stop ',
  'STOPALL',
  'Unsubscribe',
  'CANCEL',
  'end',
  'QUIT',
  'Stop.',
  '"STOP"',
  'ＳＴＯＰ',
  '\u200eSTOP\n',
  'OPTOUT',
  'Revoke',
])('%j means stop', (Body) => expect(wish({ Body })).toEqual({ kind: 'stop', id: 'SM1', address: '+821012345678', senders: [number] }))

it.each(['START', 'start', 'Unstop', 'YES', 'yes!'])('%j means start', (Body) =>
  expect(wish({ Body })).toMatchObject({ kind: 'start', id: 'SM1' }),
)

it.each(['', 'HELP', 'please stop', 'stop it', 'Stop the delivery', 'yes please', 'OK', '.', 'unstoppable'])('%j means neither', (Body) =>
  expect(wish({ Body })).toBeNull(),
)

it('goes by the word of Advanced Opt-Out, whatever the text is', () => {
  expect(wish({ Body: '그만', OptOutType: 'STOP' })).toMatchObject({ kind: 'stop' })
  expect(wish({ Body: '다시', OptOutType: 'START' })).toMatchObject({ kind: 'start' })
  expect(wish({ Body: 'STOP', OptOutType: 'HELP' })).toBeNull()
})

it('stops the sender that the account writes as, and starts whatever bears its name', () => {
  const ofService = { Body: 'STOP', MessagingServiceSid: service }
  expect(wish(ofService, { messagingServiceSid: service })).toMatchObject({ senders: [service] })
  expect(wish(ofService)).toMatchObject({ senders: [number] })
  expect(wish({ Body: 'STOP', To: '+15005550001' })).toMatchObject({ senders: ['+15005550001'] })
  expect(wish({ ...ofService, To: '+15005550001' })).toMatchObject({ senders: [service] })
  expect(new Set(wish({ ...ofService, Body: 'START' }, { messagingServiceSid: service })!.senders)).toEqual(new Set([service, number]))
  expect(wish({ Body: 'START', To: '+15005550001' })!.senders).toContain(number)
})

it('is not read out of other channels, of status callbacks, or of what names nobody', () => {
  expect(wish({ Body: 'STOP', From: 'whatsapp:+821012345678' })).toBeNull()
  expect(wish({ Body: 'STOP', MessageStatus: 'delivered' })).toBeNull()
  expect(wish({ Body: 'STOP', MessageSid: '' })).toBeNull()
  expect(wish({ Body: 'STOP', To: '' })).toBeNull()
  expect(wish({ Body: 'STOP', To: 'a\u0000b' })).toBeNull()
  expect(wish({ Body: 'STOP', MessageSid: 'SM\u0000' })).toBeNull()
  expect(wish({ Body: 'STOP', From: '' })).toBeNull()
})
