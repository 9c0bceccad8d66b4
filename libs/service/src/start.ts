// Boots a service: Nest on Express with our log, guard, problems, probes and a shutdown that leaves nothing half done.
import { STATUS_CODES, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type DynamicModule, type INestApplicationContext, type Type } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express'
import { newTraceparent } from '@stepcast/contracts'
import express, { type Request, type Response } from 'express'
import { AcceptCheck } from './accepts'
import { type BodyReading, BodyReader } from './body'
import { contextHeader, contextKey, verifyContext } from './context'
import { createLog, LOG, type Log, NestLog, requestLog } from './log'
import { createMetrics, Registry } from './metrics'
import { knownPaths } from './methods'
import { OpenApi } from './openapi'
import { signCursorsWith } from './page'
import { SchemaPipe } from './parse'
import { Probes } from './probes'
import { Problem, unauthenticated } from './problem'
import { ProblemFilter } from './problemFilter'
import { Readiness } from './readiness'
import { type Authenticate, ScopeGuard } from './scope'
import { keepTrace } from './trace'

/** The environment a service was started with; inject it by {@link ENV} instead of reading `process.env`. */
export type Env = Readonly<Record<string, string | undefined>>
/** Injection token of the service's {@link Env}. */
export const ENV = Symbol('env')

export interface ServiceOptions {
  /** The service's name in logs, metrics and documents, such as `template-svc`. */
  readonly name: string
  readonly module: Type<unknown> | DynamicModule
  /** `process.env` unless a spec brings its own. `HOST` (127.0.0.1), `PORT` (0: any free one), `LOG_LEVEL`, `STEPCAST_INTERNAL_SECRET`. */
  readonly env?: Env
  /** How bodies are read unless a route declares otherwise (ReadsBody); JSON of at most 1 MB by default. */
  readonly bodies?: BodyReading
  /** Who is calling; by default the context the gateway signed. */
  readonly authenticate?: (app: INestApplicationContext) => Authenticate
  /**
   * Whether requests carry a trace (default). False for a program outside the product: the first one makes Node follow every promise and
   * stream from then on.
   */
  readonly traces?: boolean
  /** Serve `/healthz`, `/readyz`, `/metrics` and `/openapi.json` (default), or leave them to the module. */
  readonly probes?: boolean
  /** Called before listening, for Express middleware that must come first. */
  readonly prepare?: (app: NestExpressApplication) => void | Promise<void>
  /** Whether signals and crashes of the process are this service's (default); false where a spec holds several. */
  readonly ownsProcess?: boolean
}

export interface RunningService {
  readonly app: NestExpressApplication
  readonly port: number
  /** `http://host:port`. */
  readonly url: string
  readonly log: Log
  /** Becomes unready, lets requests end, stops what the module started. */
  stop(): Promise<void>
}

// Requests get 3 s to end by themselves; what hangs on (streams) is cut, so that the rest fits into the 10 s before a kill.
const drainMs = 3_000
const stopDeadlineMs = 9_000

const megabyte = 1024 * 1024

class Frame {}

/**
 * Starts a service and prints one line `listening` with its port.
 * Rejects when the module cannot be made, migrations fail or the port is taken; the process then exits 1.
 */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { name, env = process.env, ownsProcess = true } = options
  const log = createLog(name, env.LOG_LEVEL)
  if (ownsProcess) crashOnUnexpected(log)
  const readiness = new Readiness()
  const openApi = new OpenApi(name)
  const { registry, observeRequest } = createMetrics(name)
  const frame: DynamicModule = {
    module: Frame,
    global: true,
    imports: [options.module],
    controllers: options.probes === false ? [] : [Probes],
    providers: [
      { provide: ENV, useValue: env },
      { provide: LOG, useValue: log },
      { provide: Readiness, useValue: readiness },
      { provide: Registry, useValue: registry },
      { provide: OpenApi, useValue: openApi },
    ],
    exports: [ENV, LOG, Readiness, Registry, OpenApi],
  }
  // Before anything makes its router: `/V1/templates` is not `/v1/templates`, to nobody.
  const routes = express().set('case sensitive routing', true)
  const app = await NestFactory.create<NestExpressApplication>(frame, new ExpressAdapter(routes), {
    logger: new NestLog(log),
    bodyParser: false,
    abortOnError: false,
  })
  app.disable('x-powered-by')
  if (options.traces ?? true) app.use(keepTrace)
  app.use(requestLog(log, observeRequest))
  app.use(refuseUnclear)
  await options.prepare?.(app)
  const guard = new ScopeGuard(options.authenticate?.(app) ?? bySignedContext(env))
  app.useGlobalGuards(guard)
  app.useGlobalInterceptors(new AcceptCheck(), new BodyReader(options.bodies ?? { json: megabyte }))
  app.useGlobalPipes(new SchemaPipe())
  app.useGlobalFilters(new ProblemFilter(log, knownPaths(app), guard))
  if (env.STEPCAST_INTERNAL_SECRET) signCursorsWith(env.STEPCAST_INTERNAL_SECRET)
  openApi.describe(app)

  const server = await listen(app, env)
  const stop = () => stopApp(app, server, readiness)
  if (ownsProcess) stopOnSignal(stop, log)
  const { port } = server.address() as AddressInfo
  log.info({ port }, 'listening')
  return { app, port, url: `http://${hostOf(env)}:${port}`, log, stop }
}

// Said twice they mean two things: what is in front of us might have read the one, and we the other.
const saidOnce = ['host', 'on-behalf-of', 'idempotency-key', 'content-type', 'if-match']

/** Express middleware: refuses what nothing here can be meant by. */
function refuseUnclear({ originalUrl, rawHeaders }: Request, _response: Response, next: (problem?: Problem) => void): void {
  // PostgreSQL's text holds no NUL, so no id does: asked for one, its statement would fail.
  if (originalUrl.includes('%00')) return next(unclear('The address holds the character NUL (%00), which nothing here has in its name.'))
  const seen = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (seen.has(name) && saidOnce.includes(name)) return next(unclear(`The header ${name} is sent twice: send it once.`))
    seen.add(name)
  }
  next()
}

const unclear = (detail: string): Problem => new Problem({ status: 400, detail })

const hostOf = (env: Env): string => env.HOST || '127.0.0.1'

/** The default {@link Authenticate}: what the gateway signed, or 401. */
function bySignedContext(env: Env): Authenticate {
  const key = contextKey(env.STEPCAST_INTERNAL_SECRET)
  return async (request) => {
    const token = request.headers[contextHeader]
    if (typeof token !== 'string') return null
    const caller = await verifyContext(key, token)
    if (caller === null) throw unauthenticated('The signed context is expired or not ours: call through the gateway.')
    return caller
  }
}

async function listen(app: NestExpressApplication, env: Env): Promise<Server> {
  try {
    const server = (await app.listen(Number(env.PORT ?? 0), hostOf(env))) as Server
    server.on('clientError', answerClientError)
    return server
  } catch (error) {
    // What the module had started goes with it.
    await app.close()
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE')
      throw new Error(`PORT ${env.PORT} is in use by another process: choose another or stop that one`)
    throw error
  }
}

/** What Node refuses before it is a request: with the same words as all else. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: { _headerSent?: boolean } }): void {
  // Part of an answer is on its way, or nobody is there.
  if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?._headerSent) return void socket.destroy()
  const problem = clientProblem(error.code)
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nconnection: close\r\ncontent-type: application/problem+json; charset=utf-8\r\n` +
      `request-id: ${newTraceparent().slice(3, 35)}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

function clientProblem(code: string | undefined): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem({ status: 431, detail: 'The headers are larger than 16 kB together.' })
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem({ status: 408, detail: 'The request did not come in time: send it without long pauses.' })
    case undefined:
    default:
      return new Problem({ status: 400, detail: 'This is not HTTP as RFC 9112 has it: the request cannot be read.' })
  }
}

async function stopApp(app: NestExpressApplication, server: Server, readiness: Readiness): Promise<void> {
  readiness.stop()
  const cut = setTimeout(() => server.closeAllConnections(), drainMs)
  await app.close().finally(() => clearTimeout(cut))
}

function stopOnSignal(stop: () => Promise<void>, log: Log): void {
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      // What still waits by then (for a broker that is away) is made to survive the end of its process: not a failure.
      setTimeout(() => {
        log.warn('some part did not stop within 9 s: going without it')
        process.exit(0)
      }, stopDeadlineMs).unref()
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.fatal({ err: error }, 'stopping failed')
          process.exit(1)
        },
      )
    })
  }
}

/** The code is wrong: say so and go. Whoever supervises the process starts it again. */
function crashOnUnexpected(log: Log): void {
  const crash = (error: unknown): void => {
    log.fatal({ err: error }, 'crashed')
    process.exit(1)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
}
