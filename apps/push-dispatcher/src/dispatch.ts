// The push channel: FCM now; APNs tokens are skipped as long as there is no provider for them.
import { Counter, Histogram, type Registry } from 'prom-client'
import type { Pool } from 'pg'
import { Dispatch, type DispatchOptions } from '@stepcast/channel'
import type { KafkaConnection, Log } from '@stepcast/kafka'
import type { Config } from './config'
import { Fcm } from './fcm'

/** The service's name, and that of its consumer group. */
export const serviceName = 'push-dispatcher'

/** What the dispatcher is made of. */
export interface PushOptions extends Pick<DispatchOptions<'push'>, 'onAttempt' | 'onDeadAddress' | 'leaseMs'> {
  readonly config: Config
  readonly connection: KafkaConnection
  readonly pool: Pool
  readonly log: Log
}

/** Puts the push channel together. A push may be repeated: a phone shows one of the same collapse id. */
export function pushDispatch({ config, ...options }: PushOptions): Dispatch<'push'> {
  const { fcm, concurrency, ratePerWorkspace, timeoutMs, minuteMs } = config
  return new Dispatch({
    ...options,
    channel: 'push',
    service: serviceName,
    concurrency,
    ratePerWorkspace,
    timeoutMs,
    minuteMs,
    providers: fcm === null ? [] : [new Fcm({ ...fcm, connections: concurrency, minuteMs })],
    addressesOf: (user) => user.devices.map(({ deviceId, platform, token }) => ({ target: deviceId, address: token, provider: platform })),
    noAddress: 'no_token',
    resendUnknown: true,
  })
}

/** Counts attempts for Prometheus. */
export function attemptMetrics(registry: Registry): NonNullable<DispatchOptions<'push'>['onAttempt']> {
  const registers = [registry]
  const attempts = new Counter({
    name: 'stepcast_dispatch_attempts_total',
    help: 'Provider calls by how they ended.',
    labelNames: ['provider', 'outcome'],
    registers,
  })
  const seconds = new Histogram({
    name: 'stepcast_dispatch_attempt_seconds',
    help: 'How long provider calls took.',
    labelNames: ['provider'],
    buckets: [0.01, 0.05, 0.2, 1, 5, 10],
    registers,
  })
  return (provider, outcome, took) => {
    attempts.inc({ provider, outcome })
    seconds.observe({ provider }, took)
  }
}
