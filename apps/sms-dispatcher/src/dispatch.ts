// The SMS channel: one number per person, tracked links in the text, Twilio's or a compatible provider's network.
import {
  numberAddress,
  paidChannel,
  replaceLinks,
  Unsubscribes,
  Unsubscribes1764900000001,
  type DispatcherOptions,
} from '@stepcast/channel'
import { configFromEnv, type Config } from './config'
import { TwilioKind } from './twilio'
import { UnsubscribedController } from './unsubscribed.controller'

/** The service's name, and that of its consumer group. */
export const serviceName = 'sms-dispatcher'
// Several times what remains of 1,600 characters whose links are long; beyond it the text is refused, so its links need not be kept.
const maxTracked = 20_000
/** The service's PostgreSQL schema. */
export const schema = 'sms_dispatcher'

const paid = paidChannel<'sms', Config>('s', (content, track) =>
  content.trackLinks && content.body.length <= maxTracked
    ? { ...content, body: replaceLinks(content.body, (url) => track(url, null)) }
    : content,
)

/** What the channel declares. The links of a text are replaced by short tracked ones where the template says so. */
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
  ...paid,
  steps: (parts) => ({ ...paid.steps?.(parts), unsubscribes: new Unsubscribes(parts.pool, parts.config.numberSecrets) }),
  migrations: [...(paid.migrations ?? []), Unsubscribes1764900000001],
  controllers: [...(paid.controllers ?? []), UnsubscribedController],
}
