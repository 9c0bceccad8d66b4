// The KakaoTalk channel: Alimtalk to one number per person, with tracked buttons, through Solapi or a compatible provider.
import { numberAddress, paidChannel, type DispatcherOptions } from '@stepcast/channel'
import { configFromEnv, type Config } from './config'
import { SolapiKind } from './solapi'

/** The service's name, and that of its consumer group. */
export const serviceName = 'messenger-dispatcher'
/** The service's PostgreSQL schema. */
export const schema = 'messenger_dispatcher'

/** What the channel declares. Links of buttons are tracked; those in the text stay: an Alimtalk is sent only as Kakao has approved it. */
export const messengerDispatcher: DispatcherOptions<'kakao', Config> = {
  channel: 'kakao',
  service: serviceName,
  schema,
  prefix: 'v1/kakao',
  config: configFromEnv,
  kinds: ({ solapiEndpoint, concurrency }) => [new SolapiKind({ endpoint: solapiEndpoint, connections: concurrency })],
  addressesOf: ({ kakaoPhoneNumber, phoneNumber }) => numberAddress(kakaoPhoneNumber ?? phoneNumber, 'solapi'),
  ...paidChannel('k', (content, track) => ({
    ...content,
    buttons: content.buttons.map((button) => (button.url === null ? button : { ...button, url: track(button.url, button.id) })),
  })),
}
