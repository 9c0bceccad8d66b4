// The body that Solapi gets, and how it is signed.
import { createHmac } from 'node:crypto'
import type { ProviderMessage } from '@stepcast/channel'
import { solapiAuthorization } from './solapiAuthorization'
import { localNumber, solapiBody } from './solapiMessage'

const message: ProviderMessage<'kakao'> = {
  workspaceId: 'demo',
  messageId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c.4.kakao',
  userId: 'user-1',
  target: 'number',
  address: '+821012345678',
  content: {
    senderKey: 'KA01PF',
    templateCode: 'KA01TP',
    body: '주문 42가 발송되었습니다.',
    buttons: [
      { id: 'track', label: '배송조회', url: 'https://steps.example/l/kAAA' },
      { id: 'ask', label: '문의', url: null },
    ],
  },
  timeToLiveMs: null,
}

describe('an Alimtalk for Solapi', () => {
  it('is one message, by template, without a fallback by SMS, carrying our id', () =>
    expect(solapiBody(message)).toEqual({
      messages: [
        {
          to: '01012345678',
          country: '82',
          type: 'ATA',
          text: '주문 42가 발송되었습니다.',
          kakaoOptions: {
            pfId: 'KA01PF',
            templateId: 'KA01TP',
            disableSms: true,
            buttons: [
              { buttonType: 'WL', buttonName: '배송조회', linkMo: 'https://steps.example/l/kAAA', linkPc: 'https://steps.example/l/kAAA' },
              { buttonType: 'BK', buttonName: '문의' },
            ],
          },
          customFields: { messageId: '623f8d79-cdc6-5760-8ab0-ef346563ba6c.4.kakao' },
        },
      ],
      showMessageList: true,
    }))
  it('names no buttons where the template has none', () => {
    const body = solapiBody({ ...message, content: { ...message.content, buttons: [] } }) as { messages: { kakaoOptions: object }[] }
    expect(body.messages[0]!.kakaoOptions).not.toHaveProperty('buttons')
  })
  it.each([
    ['+821012345678', { to: '01012345678', country: '82' }],
    ['+82212345678', { to: '0212345678', country: '82' }],
    ['+15550001234', { to: '5550001234', country: '1' }],
    ['+4915112345678', { to: '15112345678', country: '49' }],
  ])('goes to the number as it is dialled in its country: %s', (number, local) => expect(localNumber(number)).toEqual(local))
})

describe("Solapi's authorization", () => {
  const account = { apiKey: 'NCSAYU7YDBXYORXC', apiSecret: 'a-secret-of-a-spec' }

  it('signs date and salt', () => {
    const signature = createHmac('sha256', account.apiSecret).update('2019-07-01T00:41:48.000Zjqsba2jxjnrjor').digest('hex')
    expect(solapiAuthorization(account, Date.UTC(2019, 6, 1, 0, 41, 48), 'jqsba2jxjnrjor')).toBe(
      `HMAC-SHA256 apiKey=NCSAYU7YDBXYORXC, date=2019-07-01T00:41:48.000Z, salt=jqsba2jxjnrjor, signature=${signature}`,
    )
  })
  it('is another for every request, since Solapi takes none twice', () =>
    expect(solapiAuthorization(account, 0)).not.toBe(solapiAuthorization(account, 0)))
})
