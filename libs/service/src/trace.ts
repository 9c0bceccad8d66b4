// Keeps the W3C trace of a request within reach of everything it causes, so that records on Kafka carry it on.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { NextFunction, Request, Response } from 'express'
import { isTraceparent, newTraceparent } from '@stepcast/contracts'

interface Work {
  readonly traceparent: string
  /** Null for work that begins with a record. */
  readonly response: Response | null
}

const work = new AsyncLocalStorage<Work>()

/** The `traceparent` of the request or record being worked on; undefined outside of any. */
export const currentTraceparent = (): string | undefined => work.getStore()?.traceparent

/** Runs something under a given trace, for work that begins with a record instead of a request. */
export const withTraceparent = <T>(traceparent: string, run: () => T): T => work.run({ traceparent, response: null }, run)

/** Puts a header on the answer to the request being worked on; nothing outside of any. */
export const answerWith = (name: string, value: string): void => void work.getStore()?.response?.setHeader(name, value)

// Nothing follows from a probe, and keeping a trace makes every promise of the process dearer from the first one on (Node 20).
const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics'])

/**
 * Express middleware: the request's own trace, or a new one, for as long as the request is worked on; probes keep none. Every answer carries
 * the trace's id as `request-id`: the log has the same as `trace`.
 */
export function keepTrace(request: Request, response: Response, next: NextFunction): void {
  const given = request.headers.traceparent
  const traceparent = isTraceparent(given) ? given : newTraceparent()
  response.setHeader('request-id', traceparent.slice(3, 35))
  if (probes.has(request.path)) return next()
  request.headers.traceparent = traceparent
  work.run({ traceparent, response }, next)
}
