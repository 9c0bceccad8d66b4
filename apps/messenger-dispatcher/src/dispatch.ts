// The KakaoTalk channel: Alimtalk to one number per person, with tracked buttons, through Solapi or a compatible provider.
import {
  CallbacksController,
  CONFIG,
  Dispatch,
  eraseLinks,
  LinkTokens,
  LinksAndStatuses1764000000001,
  LinksController,
  LinkVisits,
  numberAddress,
  POOL,
  trackLinks,
  type DispatcherOptions,
  type LinkOptions,
  type Prepare,
} from '@stepcast/channel'
import { LOG, Registry, type Log } from '@stepcast/service'
import type { Pool } from 'pg'
import { configFromEnv, type Config } from './config'
import { SolapiKind } from './solapi'

/** The service's name, and that of its consumer group. */
export const serviceName = 'messenger-dispatcher'
/** The service's PostgreSQL schema. */
export const schema = 'messenger_dispatcher'

const tokensOf = ({ encryptionSecret }: Config): LinkTokens => new LinkTokens(encryptionSecret, 'k')

/** Replaces the links of buttons by tracked ones. Those in the text stay: an Alimtalk is sent only as Kakao has approved it. */
const trackButtons =
  (options: LinkOptions): Prepare<'kakao'> =>
  (messages) =>
    trackLinks(
      messages,
      (content, track) => ({
        ...content,
        buttons: content.buttons.map((button) => (button.url === null ? button : { ...button, url: track(button.url, button.id) })),
      }),
      options,
    )

/** What the channel declares. Each message costs money, so an attempt of unknown outcome is repeated only for workspaces that say so. */
export const messengerDispatcher: DispatcherOptions<'kakao', Config> = {
  channel: 'kakao',
  service: serviceName,
  schema,
  prefix: 'v1/kakao',
  config: configFromEnv,
  kinds: ({ solapiEndpoint, concurrency }) => [new SolapiKind({ endpoint: solapiEndpoint, connections: concurrency })],
  addressesOf: ({ kakaoPhoneNumber, phoneNumber }) => numberAddress(kakaoPhoneNumber ?? phoneNumber, 'solapi'),
  noAddress: 'no_number',
  resendUnknown: 'as_the_workspace_says',
  steps: ({ config, pool }) => ({
    prepare: trackButtons({ pool, tokens: tokensOf(config), publicUrl: config.publicUrl, days: config.linkDays }),
    onErased: eraseLinks,
  }),
  migrations: [LinksAndStatuses1764000000001],
  controllers: [CallbacksController, LinksController],
  providers: [
    {
      provide: LinkVisits,
      inject: [CONFIG, POOL, Dispatch, LOG, Registry],
      useFactory: (config: Config, pool: Pool, dispatch: Dispatch<'kakao'>, log: Log, registry: Registry) =>
        new LinkVisits({ pool, tokens: tokensOf(config), dispatch, log, registry }),
    },
  ],
}
