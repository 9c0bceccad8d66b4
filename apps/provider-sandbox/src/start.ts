// Starts a sandbox: a service without callers of its own, since it stands outside the product.
import { type Env, type RunningService, startService } from '@stepcast/service'
import { AppModule } from './app.module'

/** Starts the sandbox on HOST and PORT. @param ownsProcess false where a spec holds several services. */
export const startSandbox = (env: Env, ownsProcess = true): Promise<RunningService> =>
  startService({
    name: 'provider-sandbox',
    module: AppModule,
    env,
    ownsProcess,
    authenticate: () => () => Promise.resolve(null),
    prepare: (app) => void app.useBodyParser('urlencoded', { extended: false }),
  })
