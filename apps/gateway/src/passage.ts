// Hands a request to a service and its answer back, byte by byte as they come.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { bodyOf, ClientGone, HeldBytes, type Log, Problem, usualTimes } from '@stepcast/service'
import type { Request, Response } from 'express'
import type { Dispatcher } from 'undici'
import { NoPlace } from './places'
import { isStream, type NamedService } from './services'
import { SlowSenders } from './slowSenders'
import type { Upstreams } from './upstreams'

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

// An answer of which nothing was taken for so long.
const unreadMs = 30_000
// Bodies that are kept until they are whole, all together: a quarter of the process.
const heldBytes = 128 * 1024 * 1024

/** The way to the services. */
export class Passage {
  private readonly held = new HeldBytes(heldBytes)
  private readonly slow = new SlowSenders()

  constructor(
    private readonly upstreams: Upstreams,
    private readonly log: Log,
  ) {}

  /**
   * Answers with whatever the service does, 503 while it is away.
   * @param workspaceId whose places are taken; null: nobody is known, the address stands for whoever calls
   * @param added headers put on the request, winning over its own
   */
  async through(
    { name, part, maxBodyBytes }: NamedService,
    request: Request,
    response: Response,
    workspaceId: string | null,
    added: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const address = request.socket.remoteAddress ?? ''
    const { requests, streams, places, largePlaces } = this.upstreams.of(name)
    const gone = new AbortController()
    let give: () => void = () => {}
    response.once('close', () => {
      gone.abort()
      give()
    })
    let answer: Dispatcher.ResponseData
    try {
      const body = await bodyOf(request, {
        most: maxBodyBytes,
        ...usualTimes,
        held: this.held,
        onSlow: () => this.slow.enter(address, workspaceId),
      })
      if (body.kind === 'whole') response.once('close', body.release)
      // By path, not by Accept: a stream on a connection for requests would keep it for an hour, and 128 of them would stop a service.
      const isOpenStream = isStream(request.path)
      // Taken when the body is here: who sends slowly waits for himself. Large ones come while they are passed on, on places of their own.
      if (!isOpenStream) give = await (body.kind === 'streamed' ? largePlaces : places).take(workspaceId ?? address, gone.signal)
      answer = await (isOpenStream ? streams : requests).request({
        method: request.method as Dispatcher.HttpMethod,
        path: request.originalUrl,
        headers: {
          ...forwardedHeaders(request.headers),
          ...(body.kind === 'whole' ? { 'content-length': String(body.bytes.length) } : {}),
          ...added,
        },
        body:
          body.kind === 'none'
            ? null
            : body.kind === 'whole'
              ? body.bytes
              : Readable.from(body.pieces, { objectMode: false, highWaterMark: 64 * 1024 }),
        signal: gone.signal,
      })
    } catch (error) {
      give()
      if (gone.signal.aborted || error instanceof ClientGone) return
      if (error instanceof NoPlace) throw away(part, 'is overloaded: try again in a moment')
      throw error instanceof Problem ? error : this.failed(error as Error & { code?: string }, name, part)
    }
    // Who does not read keeps a place, so not for long. Open streams are cut where they are made.
    if (!isStream(request.path)) response.setTimeout(unreadMs, () => response.destroy())
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

function forwardedHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string | string[]> {
  const forwarded: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !notForwarded.has(name) && !name.startsWith('x-stepcast-')) forwarded[name] = value
  }
  return forwarded
}
