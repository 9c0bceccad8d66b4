// Logs as JSON lines on stdout: what happened and how long it took, never who: no ids of users, no bodies, no URLs.
import type { LoggerService } from '@nestjs/common'
import type { NextFunction, Request, Response } from 'express'
import { pino, type Logger } from 'pino'
import { currentTraceparent } from './trace'

export type Log = Logger
/** Injection token of the service's {@link Log}. */
export const LOG = Symbol('log')

// Errors carry more than their message: PostgreSQL's `detail` and `where` quote values, TypeORM's `parameters` are. These name a place.
const saidOfErrors = [
  'code',
  'errno',
  'syscall',
  'address',
  'port',
  'severity',
  'schema',
  'table',
  'column',
  'constraint',
  'dataType',
  'routine',
  'retriable',
] as const

// Errors of PostgreSQL whose message names places only: outages, and class 23, constraints, which quotes in `detail`. All others may quote
// the value itself: `invalid input syntax for type uuid: "…"`.
const namesPlacesOnly = /^(08|23|25|28|3D|40|42|53|55|57|58)/

/** An error as it is logged: what it is and where it happened, never the values it happened with. */
export function loggedError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: typeof error }
  const { type, message, stack } = pino.stdSerializers.err(error)
  const fields = error as unknown as Record<string, unknown>
  const said = Object.fromEntries(saidOfErrors.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]] as const])))
  const { code } = fields
  // Only errors of PostgreSQL tell a routine beside their code.
  if (typeof code !== 'string' || fields.routine === undefined || namesPlacesOnly.test(code)) return { type, message, stack, ...said }
  const without = `SQLSTATE ${code}`
  return { type, message: without, stack: `${type}: ${without}${framesOf(stack)}`, ...said }
}

/** A stack without the message it begins with, which may have several lines. */
const framesOf = (stack: string | undefined): string => /(\n\s+at .*)+$/.exec(stack ?? '')?.[0] ?? ''

/** The log of a service; `LOG_LEVEL` is one of pino's levels, `info` by default. */
export const createLog = (name: string, level = 'info'): Log =>
  pino({
    name,
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: loggedError },
    mixin: () => ({ trace: currentTraceparent()?.slice(3, 35) }),
  })

/** Nest's own chatter: its start-up notes only at debug, its warnings and errors as they are. */
export class NestLog implements LoggerService {
  constructor(private readonly target: Log) {}
  log(message: unknown): void {
    this.target.debug(String(message))
  }
  debug(message: unknown): void {
    this.target.debug(String(message))
  }
  verbose(message: unknown): void {
    this.target.trace(String(message))
  }
  warn(message: unknown): void {
    this.target.warn(String(message))
  }
  error(message: unknown, stack?: unknown): void {
    this.target.error({ stack }, String(message))
  }
  fatal(message: unknown): void {
    this.target.fatal(String(message))
  }
}

/** The route pattern that answered, such as `/v1/users/:userId`; never the URL, which names users. */
export const routeOf = (request: Request): string => (request.route as { path?: string } | undefined)?.path ?? 'none'

// Asked every few seconds by probes and scrapers: noise at info.
const probes = new Set(['/healthz', '/readyz', '/metrics'])

/** Express middleware: one line per request, once it is answered, and the same for whoever measures. */
export const requestLog =
  (log: Log, observe: (method: string, route: string, status: number, seconds: number) => void) =>
  (request: Request, response: Response, next: NextFunction): void => {
    const startedAt = process.hrtime.bigint()
    response.once('close', () => {
      const ms = Number(process.hrtime.bigint() - startedAt) / 1e6
      const route = routeOf(request)
      observe(request.method, route, response.statusCode, ms / 1_000)
      const line = {
        method: request.method,
        route,
        status: response.statusCode,
        ms: Math.round(ms),
        aborted: response.writableFinished ? undefined : true,
      }
      log[probes.has(route) ? 'debug' : 'info'](line, 'request')
    })
    next()
  }
