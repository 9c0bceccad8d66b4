// How the gateway is started, by its own process and by its specs.
import { type RunningService, startService, type ServiceOptions } from '@stepcast/service'
import { GatewayModule } from './app.module'
import { Authentication } from './authentication'
import { corsOfUsers } from './cors'

/** Starts the gateway. */
export const startGateway = (options: Pick<ServiceOptions, 'env' | 'ownsProcess'> = {}): Promise<RunningService> =>
  startService({
    name: 'gateway', module: GatewayModule, bodies: { json: 64 * 1024 }, probes: false, ...options,
    authenticate: (app) => {
      const authentication = app.get(Authentication, { strict: false })
      return (request) => authentication.callerOf(request)
    },
    prepare: (app) => {
      app.enableCors(corsOfUsers)
      app.use((_request: unknown, response: { setHeader(name: string, value: string): void }, next: () => void) => {
        response.setHeader('x-content-type-options', 'nosniff')
        next()
      })
    },
  })
