// The push channel: FCM and APNs, every device of a person, and what they have of their own beside the shared runtime.
import type { DispatcherOptions } from '@stepcast/channel'
import { ApnsKind } from './apns'
import { configFromEnv, type Config } from './config'
import { FcmKind } from './fcm'
import { PushController } from './push.controller'
import { tokenRemover } from './removeToken'

/** What this dispatcher is. A push may be repeated: a phone shows one of the same collapse id. */
export const pushDispatcher: DispatcherOptions<'push', Config> = {
  channel: 'push',
  service: 'push-dispatcher',
  schema: 'push_dispatcher',
  prefix: 'v1/push',
  config: configFromEnv,
  kinds: ({ fcmEndpoint, fcmTokenEndpoint, apnsEndpoint, concurrency }) => [
    new FcmKind({ endpoint: fcmEndpoint, tokenEndpoint: fcmTokenEndpoint, connections: concurrency }),
    new ApnsKind({ endpoint: apnsEndpoint, connections: concurrency }),
  ],
  addressesOf: (user) => user.devices.map(({ deviceId, platform, token }) => ({ target: deviceId, address: token, provider: platform })),
  noAddress: 'no_token',
  resendUnknown: 'always',
  removeAddress: ({ peopleSvcUrl, internalSecret }) => tokenRemover(peopleSvcUrl, internalSecret),
  controllers: [PushController],
}
