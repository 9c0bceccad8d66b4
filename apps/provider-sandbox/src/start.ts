// Starts a sandbox: a service without callers of its own, since it stands outside the product.
import { join } from 'node:path'
import type { Response } from 'express'
import { contentPolicy, type Env, type RunningService, startService } from '@stepcast/service'
import { AppModule } from './app.module'
import { productUrlOf } from './productUrl'
import { TlsAddress } from './tlsAddress'

/** A sandbox that runs. */
export interface RunningSandbox extends RunningService {
  /** `https://localhost:port`: FCM and APNs over HTTP/2. */
  readonly tlsUrl: string
  /** What its clients must trust, PEM. */
  readonly ca: string
}

const pageDirectory = join(__dirname, '..', 'page')
const clientDirectory = join(__dirname, '..', '..', '..', 'libs', 'client', 'dist')

/**
 * Starts the sandbox on HOST and PORT, and its TLS address on SANDBOX_TLS_PORT.
 * @param ownsProcess false where a spec holds several services
 */
export async function startSandbox(env: Env, ownsProcess = true): Promise<RunningSandbox> {
  const setHeaders = (response: Response): void => void response.set({ ...pageHeaders(productUrlOf(env)) })
  const service = await startService({
    name: 'provider-sandbox',
    module: AppModule,
    env,
    ownsProcess,
    traces: false,
    authenticate: () => () => Promise.resolve(null),
    prepare: (app) => {
      app.useStaticAssets(pageDirectory, { setHeaders })
      app.useStaticAssets(clientDirectory, { prefix: '/client/', setHeaders })
    },
  })
  const tls = service.app.get(TlsAddress)
  service.log.info({ port: tls.port }, 'listening with TLS')
  return { ...service, tlsUrl: `https://localhost:${tls.port}`, ca: tls.certificate }
}

// Scripts and styles of its own only; it talks to itself and to the product. Always fresh: a few kB on one's own machine.
const pageHeaders = (productUrl: string): Record<string, string> => ({
  'content-security-policy': contentPolicy(
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' https: data:",
    `connect-src 'self' ${new URL(productUrl).origin}`,
  ),
  'cache-control': 'no-cache',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
})
