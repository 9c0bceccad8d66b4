// Which calls pages of other origins may make: those that speak for one user with that user's token, and no others.
import type { CorsOptions, CorsOptionsDelegate } from '@nestjs/common/interfaces/external/cors-options.interface'
import type { Request } from 'express'

// The feed, and receipts of push messages. API keys do not belong in browsers, so nothing that takes one may be called from there.
const callsOfUsers = /^\/v1\/(feed(\/|$)|push\/[^/]+\/(delivered|clicked)$)/

/**
 * Tokens are sent on purpose, never by the browser itself as cookies are: whichever page has one may call, and no origin needs to be
 * known. `on-behalf-of` is not among the headers: it goes with an API key.
 */
const anyOrigin: CorsOptions = {
  origin: '*',
  credentials: false,
  methods: ['GET', 'POST', 'DELETE'],
  allowedHeaders: ['authorization', 'content-type', 'last-event-id', 'idempotency-key'],
  exposedHeaders: ['retry-after', 'request-id'],
  // An hour; browsers ask again before, Chrome after two hours at most.
  maxAge: 3_600,
}

/** Decides per request, for Nest's `enableCors`. */
export const corsOfUsers: CorsOptionsDelegate<Request> = ({ path }, decide) =>
  decide(null as unknown as Error, callsOfUsers.test(path) ? anyOrigin : { origin: false })
