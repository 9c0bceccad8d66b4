// Hands a request to a service and its answer back, byte by byte as they come.
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Log, Problem } from '@stepcast/service'
import type { Request, Response } from 'express'
import type { Dispatcher } from 'undici'
import { isStream, type NamedService } from './services'
import { maxWaiting, type Upstreams } from './upstreams'

// Of one connection only (RFC 9110 §7.6.1), or replaced by the signed context. undici speaks no Expect.
const notForwarded = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
  'authorization',
  'on-behalf-of',
  'cookie',
])

/** The way to the services. */
export class Passage {
  constructor(
    private readonly upstreams: Upstreams,
    private readonly log: Log,
  ) {}

  /** Answers with whatever the service does, 503 while it is away. @param added headers put on the request, winning over its own */
  async through(
    { name, part, maxBodyBytes }: NamedService,
    request: Request,
    response: Response,
    added: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const length = Number(request.headers['content-length'] ?? 0)
    if (maxBodyBytes !== null && length > maxBodyBytes) throw tooLarge(maxBodyBytes)
    const { requests, streams } = this.upstreams.of(name)
    // By path, not by Accept: a stream on a connection for requests would keep it for an hour, and 128 of them would stop a service.
    const pool = isStream(request.path) ? streams : requests
    if (pool.stats.pending > maxWaiting) throw away(part, 'is overloaded: try again in a moment')

    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const body = bodyOf(request, maxBodyBytes)
    const headers = { ...forwardedHeaders(request.headers), ...added }
    let answer: Dispatcher.ResponseData
    try {
      answer = await pool.request({
        method: request.method as Dispatcher.HttpMethod,
        path: request.originalUrl,
        headers,
        body,
        signal: gone.signal,
      })
    } catch (error) {
      if (gone.signal.aborted) return
      throw error instanceof Problem ? error : this.failed(error as Error & { code?: string }, name, part)
    }
    response.writeHead(answer.statusCode, forwardedHeaders(answer.headers) as Record<string, string | string[]>)
    // An event stream says 200 long before its first event.
    response.flushHeaders()
    await pipeline(answer.body, response).catch((error: Error) => {
      // Either side broke off; the other learns it by its connection being cut.
      if (!gone.signal.aborted) this.log.warn({ service: name, err: error }, 'answer broke off')
      response.destroy()
    })
  }

  private failed(error: Error & { code?: string }, name: string, part: string): Problem {
    this.log.warn({ service: name, code: error.code, message: error.message }, 'service out of reach')
    if (error.code === 'ECONNREFUSED' || error.code === 'UND_ERR_CONNECT_TIMEOUT')
      return away(part, 'is restarting: nothing was done; try again in a moment')
    return away(part, 'broke off before it answered: try again, with the same Idempotency-Key if there was one')
  }
}

const away = (part: string, what: string): Problem =>
  new Problem({ status: 503, detail: `The part for ${part} ${what}.`, headers: { 'retry-after': '1' } })

const tooLarge = (maxBodyBytes: number): Problem =>
  new Problem({
    status: 413,
    detail: `The body is larger than ${maxBodyBytes} bytes, the most this call takes.`,
    headers: { connection: 'close' },
  })

function forwardedHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string | string[]> {
  const forwarded: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !notForwarded.has(name) && !name.startsWith('x-stepcast-')) forwarded[name] = value
  }
  return forwarded
}

/** The body as it arrives, counted where it has no announced length; null when there is none. */
function bodyOf(request: Request, maxBodyBytes: number | null): Transform | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return null
  let bytes = 0
  // pipe, not pipeline: when a service answers early its side is closed, and the client's must stay open to be answered.
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (maxBodyBytes !== null && bytes > maxBodyBytes) done(tooLarge(maxBodyBytes))
      else done(null, chunk)
    },
  })
  body.once('close', () => {
    request.unpipe(body)
    request.resume()
  })
  request.once('aborted', () => body.destroy())
  return request.pipe(body)
}
