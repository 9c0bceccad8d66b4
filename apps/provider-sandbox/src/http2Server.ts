// The TLS address: APNs and FCM over HTTP/2, answered straight from the stream; HTTP/1.1 goes the way of the plain address.
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Apns, ProviderTokens, wrongPath } from './apns'
import type { Answer } from './answer'
import type { Certificate } from './certificate'
import type { Reply } from './desk'
import type { Fcm } from './fcm'

/** What the server speaks. */
export interface Http2ServerOptions {
  readonly certificate: Certificate
  readonly apns: Apns
  readonly fcm: Fcm
  /** Answers HTTP/1.1. */
  readonly http1: (request: IncomingMessage, response: ServerResponse) => void
}

// Apple allows one stream until a connection has shown a good token, then 1,000; Google's front ends allow 100.
const firstStreams = 1
const apnsStreams = 1_000
const fcmStreams = 100
// FCM's messages have 4 kB of data; with escapes and the rest far less than this.
const maxFcmBytes = 65_536

const sendPath = /^\/v1\/projects\/([^/]+)\/messages(?::|%3A)send$/i

/** What is known of one connection. */
interface Connection {
  readonly tokens: ProviderTokens
  /** The highest stream whose request was taken to the desk. */
  lastTaken: number
  /** After a GOAWAY: higher streams were promised not to be taken. */
  ended: boolean
  /** Whether it is allowed more than the first streams. */
  raised: boolean
}

/** One server with all its connections. */
export class Http2Server {
  private readonly server: Http2SecureServer
  private readonly sockets = new Set<TLSSocket>()
  private readonly connections = new Map<Http2Session, Connection>()

  constructor(private readonly options: Http2ServerOptions) {
    const { cert, key } = options.certificate
    this.server = createSecureServer({ cert, key, allowHTTP1: true, settings: { maxConcurrentStreams: firstStreams } })
    this.server.on('request', options.http1)
    // With a request listener Node wraps every HTTP/2 stream too: slower than answering the stream itself, and answered twice.
    this.server.removeAllListeners('stream')
    this.server.on('stream', (stream, headers) => this.read(stream, headers))
    this.server.on('secureConnection', (socket) => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
    })
    this.server.on('session', (session) => {
      this.connections.set(session, { tokens: new ProviderTokens(), lastTaken: 0, ended: false, raised: false })
      session.once('close', () => this.connections.delete(session))
      session.on('error', () => session.destroy())
    })
    // Clients that break off while they greet are no event here.
    this.server.on('sessionError', () => undefined)
    this.server.on('tlsClientError', () => undefined)
  }

  /** The port it listens on. */
  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** @param port 0: any free one */
  listen(port: number, host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(port, host, () => {
        this.server.off('error', reject)
        resolve()
      })
    })
  }

  /** Cuts every connection. */
  close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }

  private read(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const chunks: Buffer[] = []
    let bytes = 0
    // Broken off by the client: nothing arrived, or nobody waits for the answer any more.
    stream.on('error', ignore)
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxFcmBytes) chunks.push(chunk)
    })
    stream.on('end', () => {
      const connection = stream.session === undefined ? undefined : this.connections.get(stream.session)
      if (connection === undefined || stream.aborted || stream.id === undefined) return
      if (connection.ended && stream.id > connection.lastTaken) return
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      const reply = this.take(stream.session, connection, headers, body)
      if (reply.kind === 'goaway') goAway(stream, connection)
      else connection.lastTaken = Math.max(connection.lastTaken, stream.id)
      write(stream, reply)
    })
  }

  private take(session: Http2Session | undefined, connection: Connection, headers: IncomingHttpHeaders, body: Buffer): Reply {
    const { ':method': method, ':path': path = '' } = headers
    if (method === 'POST' && path.startsWith('/3/device/')) {
      const reply = this.options.apns.send(connection.tokens, path, headers, body)
      if (connection.tokens.isTrusted) raise(session, connection, apnsStreams)
      return reply
    }
    const project = method === 'POST' ? sendPath.exec(path)?.[1] : undefined
    if (project !== undefined || (method === 'POST' && path === '/token')) {
      raise(session, connection, fcmStreams)
      if (project === undefined) return answered(this.options.fcm.token(Object.fromEntries(new URLSearchParams(body.toString('utf8')))))
      return this.options.fcm.send(decodeURIComponent(project), parsed(body), headers.authorization, true)
    }
    return answered(wrongPath(method, path))
  }
}

const ignore = (): void => undefined

const answered = (answer: Answer): Reply => ({ kind: 'answer', answer, afterMs: 0, close: false })

function write(stream: ServerHttp2Stream, reply: Reply): void {
  switch (reply.kind) {
    case 'hang':
    case 'goaway':
      return
    case 'reset':
      if (reply.connection) stream.session?.destroy()
      else stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      return
    case 'answer':
      if (reply.afterMs > 0) setTimeout(writeAnswer, reply.afterMs, stream, reply.answer)
      else writeAnswer(stream, reply.answer)
  }
}

function writeAnswer(stream: ServerHttp2Stream, { status, headers, body }: Answer): void {
  if (stream.destroyed || stream.closed) return
  if (body === null) return stream.respond({ ':status': status, ...headers }, { endStream: true })
  stream.respond({ ':status': status, 'content-type': 'application/json', ...headers })
  // The answer to a HEAD has ended with its headers.
  if (!stream.writableEnded) stream.end(JSON.stringify(body))
}

// Names the last stream taken, and refuses this one, so that the client knows what to send again; Apple says why in the frame.
function goAway(stream: ServerHttp2Stream, connection: Connection): void {
  const { session } = stream
  connection.ended = true
  stream.close(constants.NGHTTP2_REFUSED_STREAM)
  if (session === undefined || session.destroyed) return
  session.goaway(constants.NGHTTP2_NO_ERROR, connection.lastTaken, Buffer.from('{"reason":"Shutdown"}'))
  // Closing says GOAWAY again, naming the highest stream it knows unless the first frame is out: that must never rise.
  setImmediate(() => session.close())
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return null
  }
}

/** Allows a connection more streams, once. */
function raise(session: Http2Session | undefined, connection: Connection, streams: number): void {
  if (connection.raised) return
  connection.raised = true
  session?.settings({ maxConcurrentStreams: streams })
}
