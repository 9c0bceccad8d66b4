// How the gateway is started, by its own process and by its specs.
import { contentPolicy, type RunningService, startService, type ServiceOptions } from '@stepcast/service'
import type { NextFunction, Request, Response } from 'express'
import { GatewayModule } from './app.module'
import { Authentication } from './authentication'
import { corsOfUsers } from './cors'

// No page of another site shows ours within its own, and nothing of ours is guessed to be of another type or told to other sites.
const headersOfAll = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'content-security-policy': contentPolicy(),
}

/** Starts the gateway. */
export const startGateway = (options: Pick<ServiceOptions, 'env' | 'ownsProcess'> = {}): Promise<RunningService> =>
  startService({
    name: 'gateway',
    module: GatewayModule,
    bodies: { json: 64 * 1024 },
    probes: false,
    ...options,
    authenticate: (app) => {
      const authentication = app.get(Authentication, { strict: false })
      return (request) => authentication.callerOf(request)
    },
    prepare: (app) => {
      app.enableCors(corsOfUsers)
      // Bodies have times of their own (usualTimes), which do not count while we hold a sender back; headers have Node's minute.
      app.getHttpServer().requestTimeout = 0
      app.use((request: Request, response: Response, next: NextFunction) => {
        response.set(headersOfAll)
        // Whoever signs in is answered for himself, often with what is secret.
        if (request.headers.authorization !== undefined) response.set('cache-control', 'no-store')
        next()
      })
    },
  })
