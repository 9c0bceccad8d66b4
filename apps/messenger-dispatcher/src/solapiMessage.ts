// An Alimtalk as Solapi takes it: `POST /messages/v4/send-many/detail`, in the shapes of solapi-nodejs (src/models).
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { ProviderMessage } from '@stepcast/channel'
import type { Button } from '@stepcast/template'

/** The body of the request: one message, so that one answer is its answer. */
export function solapiBody({ messageId, address, content }: ProviderMessage<'kakao'>): object {
  const { senderKey, templateCode, body, buttons } = content
  return {
    messages: [
      {
        ...localNumber(address),
        type: 'ATA',
        text: body,
        kakaoOptions: {
          pfId: senderKey,
          templateId: templateCode,
          // Solapi would send an SMS when KakaoTalk does not reach the person: that is the next step's business (rule 23).
          disableSms: true,
          ...(buttons.length === 0 ? {} : { buttons: buttons.map(solapiButton) }),
        },
        // Comes back with the report. Names of 30 and values of 100 characters are allowed.
        customFields: { messageId },
      },
    ],
    showMessageList: true,
  }
}

/** A web link; a button without an address sends its own label to the channel's chat (BK), the only kind that needs nothing else. */
const solapiButton = ({ label, url }: Button): object =>
  url === null ? { buttonType: 'BK', buttonName: label } : { buttonType: 'WL', buttonName: label, linkMo: url, linkPc: url }

/** The number without its country's code, which has a field of its own; Korean ones as they are dialled at home, with the 0. */
export function localNumber(e164: string): { to: string; country: string } {
  const number = parsePhoneNumberFromString(e164)!
  const country = number.countryCallingCode
  return { to: country === '82' ? `0${number.nationalNumber}` : number.nationalNumber, country }
}
