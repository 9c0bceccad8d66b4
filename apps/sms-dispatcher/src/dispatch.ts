// The SMS channel: one number per person, tracked links in the text, Twilio's or a compatible provider's network.
import {
  CallbacksController,
  Dispatch,
  eraseLinks,
  LinkTokens,
  LinksAndStatuses1764000000001,
  LinksController,
  LinkVisits,
  numberAddress,
  POOL,
  CONFIG,
  replaceLinks,
  trackLinks,
  type DispatcherOptions,
  type LinkOptions,
  type Prepare,
} from '@stepcast/channel'
import { LOG, Registry, type Log } from '@stepcast/service'
import type { Pool } from 'pg'
import { configFromEnv, type Config } from './config'
import { TwilioKind } from './twilio'

/** The service's name, and that of its consumer group. */
export const serviceName = 'sms-dispatcher'
/** The service's PostgreSQL schema. */
export const schema = 'sms_dispatcher'

const tokensOf = ({ encryptionSecret }: Config): LinkTokens => new LinkTokens(encryptionSecret, 's')

/** Replaces the links of a text by short tracked ones where the template says so. */
const trackTexts =
  (options: LinkOptions): Prepare<'sms'> =>
  (messages) =>
    trackLinks(
      messages,
      (content, track) => (content.trackLinks ? { ...content, body: replaceLinks(content.body, (url) => track(url, null)) } : content),
      options,
    )

/** What the channel declares. Each SMS costs money, so an attempt of unknown outcome is repeated only for workspaces that say so. */
export const smsDispatcher: DispatcherOptions<'sms', Config> = {
  channel: 'sms',
  service: serviceName,
  schema,
  prefix: 'v1/sms',
  config: configFromEnv,
  kinds: ({ twilioEndpoint, publicUrl, concurrency }) => [
    new TwilioKind({ endpoint: twilioEndpoint, publicUrl, connections: concurrency }),
  ],
  addressesOf: ({ phoneNumber }) => numberAddress(phoneNumber, 'twilio'),
  noAddress: 'no_number',
  resendUnknown: 'as_the_workspace_says',
  steps: ({ config, pool }) => ({
    prepare: trackTexts({ pool, tokens: tokensOf(config), publicUrl: config.publicUrl, days: config.linkDays }),
    onErased: eraseLinks,
  }),
  migrations: [LinksAndStatuses1764000000001],
  controllers: [CallbacksController, LinksController],
  providers: [
    {
      provide: LinkVisits,
      inject: [CONFIG, POOL, Dispatch, LOG, Registry],
      useFactory: (config: Config, pool: Pool, dispatch: Dispatch<'sms'>, log: Log, registry: Registry) =>
        new LinkVisits({ pool, tokens: tokensOf(config), dispatch, log, registry }),
    },
  ],
}
