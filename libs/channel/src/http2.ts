// HTTP/2 to one provider: a few sessions kept, filled to the peer's limit and rotated; each call tells whether it was taken.
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { Agent } from 'undici'
import { postOnce, type CallResult, type HttpRequest } from './call'
import type { Permit } from './provider'

/** A way to one origin. */
export interface Transport {
  /** POSTs once; see {@link CallResult} for what is known of a call that was not answered. Never rejects. */
  post(request: Omit<HttpRequest, 'origin'>, permit: Permit): Promise<CallResult>
  /** Lets connections go; calls under way are broken off. */
  close(): Promise<void>
}

/** Where a transport leads and how much it carries. */
export interface TransportOptions {
  /** `https://host[:port]`: HTTP/2. `http://…`: HTTP/1.1, for servers of tests. */
  readonly origin: string
  /** Calls under way at a time. */
  readonly connections: number
  /** Certificate authorities (PEM) instead of the system's and those of NODE_EXTRA_CA_CERTS. */
  readonly ca?: string | undefined
  /** An unused session is closed after this, milliseconds; 15 minutes unless told, since Apple wants connections kept. */
  readonly idleMs?: number
  /** Sessions at most; 4 unless told: FCM allows 100 streams on each, Apple up to 1,000. */
  readonly sessions?: number
  /** How often a silent session is asked whether it lives, milliseconds; 30 s unless told: a dead peer costs no more than that. */
  readonly pingEveryMs?: number
  /** A session is replaced after about this, milliseconds; an hour unless told, so that addresses taken out of the DNS are left. */
  readonly maxAgeMs?: number
}

/** A transport that fits the origin. */
export function transportTo(options: TransportOptions): Transport {
  if (options.origin.startsWith('https:')) return new Http2Transport(options)
  const agent = new Agent({ connections: options.connections, pipelining: 1, connect: { timeout: connectTimeoutMs } })
  return {
    post: (request, permit) => postOnce(agent, { ...request, origin: options.origin }, permit),
    close: () => agent.destroy(),
  }
}

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants
// TCP, TLS and the peer's first SETTINGS.
const connectTimeoutMs = 5_000
const pingTimeoutMs = 5_000
// After a failed connection the next is tried no sooner, as long as another session works.
const reconnectMs = 1_000
// Apple allows one stream until the first valid provider token: a session is not called full before it could show its worth.
const youthMs = 1_000
// Providers' answers are below 4 kB; what a broken proxy says beyond 64 kB is not read.
const maxAnswerBytes = 64 * 1024
// As many as a session that goes away and its successor that goes away as well.
const maxRefusals = 2
const headersFrame = 1

/** Sessions to one origin over TLS, and the calls that wait for a place: no more than its callers have under way, which bound it. */
export class Http2Transport implements Transport {
  private readonly sessions = new Set<Session>()
  private readonly waiting = new Set<Call>()
  private readonly limits: SessionLimits
  private readonly maxSessions: number
  private connectNotBefore = 0
  private timer: NodeJS.Timeout | null = null
  private isClosed = false

  constructor(private readonly options: TransportOptions) {
    const { connections, idleMs = 900_000, pingEveryMs = 30_000, maxAgeMs = 3_600_000 } = options
    this.limits = { streams: connections, idleMs, pingEveryMs, maxAgeMs }
    this.maxSessions = options.sessions ?? 4
  }

  /** Sessions that take calls, for specs and metrics. */
  get openSessions(): number {
    return [...this.sessions].filter(({ state }) => state === 'open').length
  }

  post(request: Omit<HttpRequest, 'origin'>, permit: Permit): Promise<CallResult> {
    return new Promise((resolve) => {
      const call = new Call(request, permit, (result) => {
        this.waiting.delete(call)
        resolve(result)
      })
      if (this.isClosed) return call.end({ kind: 'not_begun', reason: 'closed' })
      if (permit.signal.aborted) return call.end({ kind: 'not_begun', reason: 'timeout' })
      this.waiting.add(call)
      this.fill()
    })
  }

  async close(): Promise<void> {
    this.isClosed = true
    if (this.timer !== null) clearTimeout(this.timer)
    for (const call of [...this.waiting]) call.end({ kind: 'not_begun', reason: 'closed' })
    await Promise.all([...this.sessions].map((session) => session.destroy('closed')))
  }

  /** Gives waiting calls to sessions with room, the oldest session first, and connects once more when all are full. */
  private fill(): void {
    for (const session of this.sessions) {
      for (const call of this.waiting) {
        if (!session.hasRoom) break
        this.waiting.delete(call)
        session.begin(call, () => this.again(call))
      }
    }
    if (this.waiting.size > 0) this.connectIfFull()
  }

  /** A call that the peer provably did not take tries the next session, once: with another session it is still one attempt. */
  private again(call: Call): void {
    if (this.isClosed || call.refusals >= maxRefusals) return call.end({ kind: 'not_begun', reason: 'refused' })
    this.waiting.add(call)
    this.fill()
  }

  private connectIfFull(): void {
    const all = [...this.sessions]
    if (all.some(({ state }) => state === 'connecting')) return
    const open = all.filter(({ state }) => state === 'open')
    if (open.length >= this.maxSessions) return
    const now = performance.now()
    const notBefore = Math.max(open.length === 0 ? 0 : this.connectNotBefore, ...open.map(({ youngUntil }) => youngUntil))
    if (now < notBefore) {
      this.timer ??= setTimeout(() => {
        this.timer = null
        this.fill()
      }, notBefore - now).unref()
      return
    }
    const session: Session = new Session(this.options.origin, this.options.ca, this.limits, {
      hasRoom: () => this.fill(),
      ended: (failure) => {
        this.sessions.delete(session)
        if (failure !== null) this.connectionFailed(failure)
        if (!this.isClosed) this.fill()
      },
    })
    this.sessions.add(session)
  }

  /** Without any session those who wait learn why; with one they wait on. */
  private connectionFailed(reason: string): void {
    this.connectNotBefore = performance.now() + reconnectMs
    if (this.openSessions > 0) return
    for (const call of [...this.waiting]) call.end({ kind: 'not_begun', reason })
  }
}

interface SessionLimits {
  readonly streams: number
  readonly idleMs: number
  readonly pingEveryMs: number
  readonly maxAgeMs: number
}

interface SessionEvents {
  hasRoom(): void
  /** @param failure why it never opened; null when it had been open */
  ended(failure: string | null): void
}

/** One connection. `retiring`: what is under way goes on, nothing more begins. */
class Session {
  state: 'connecting' | 'open' | 'retiring' = 'connecting'
  /** Until then it is not called full: the peer may still raise its limit. */
  youngUntil = Infinity
  /** The last stream that the peer has taken or may take, once it said GOAWAY. */
  lastStreamId = Infinity
  private readonly http2: ClientHttp2Session
  private readonly retireAt: number
  private streams = 0
  private maxStreams = 0
  private heardAt = performance.now()
  private usedAt = performance.now()
  private failure: string | null = null
  private watch: NodeJS.Timeout | null = null
  private pingTimer: NodeJS.Timeout | null = null

  constructor(
    origin: string,
    ca: string | undefined,
    private readonly limits: SessionLimits,
    private readonly events: SessionEvents,
  ) {
    // A tenth more or less, so that sessions opened together do not end together.
    this.retireAt = performance.now() + limits.maxAgeMs * (0.9 + Math.random() / 5)
    this.http2 = connect(origin, { settings: { enablePush: false }, ...(ca === undefined ? {} : { ca }) })
    const connecting = setTimeout(() => void this.destroy('connect_timeout'), connectTimeoutMs)
    this.http2.on('remoteSettings', ({ maxConcurrentStreams = Infinity }) => {
      clearTimeout(connecting)
      this.maxStreams = maxConcurrentStreams
      this.opened()
      this.events.hasRoom()
    })
    this.http2.on('goaway', (_code, lastStreamId) => {
      this.lastStreamId = lastStreamId
      this.retire()
    })
    this.http2.on('error', (error: NodeJS.ErrnoException) => (this.failure ??= error.code ?? error.message))
    this.http2.on('close', () => {
      clearTimeout(connecting)
      if (this.watch !== null) clearInterval(this.watch)
      if (this.pingTimer !== null) clearTimeout(this.pingTimer)
      const neverOpened = this.state === 'connecting'
      this.state = 'retiring'
      this.events.ended(neverOpened ? (this.failure ?? 'connection_closed') : null)
    })
  }

  get hasRoom(): boolean {
    return this.state === 'open' && this.streams < Math.min(this.maxStreams, this.limits.streams)
  }

  /** @param refused called instead of an end when the peer provably did not take it */
  begin(call: Call, refused: () => void): void {
    if (!call.mayBegin()) return
    let stream: ClientHttp2Stream
    try {
      stream = this.http2.request(call.headers)
    } catch {
      // It is closing, and its event is on the way: no byte was written.
      this.retire()
      call.refusals += 1
      return refused()
    }
    this.streams += 1
    this.usedAt = performance.now()
    let isUnsent = false
    call.begun(() => {
      stream.close(NGHTTP2_CANCEL)
      // A peer that is gone answers nothing more, and says so to nobody: ask.
      this.ping()
    })
    stream.on('response', (headers) => {
      this.heard()
      call.answered(headers)
    })
    stream.on('data', (chunk: Buffer) => call.received(chunk))
    stream.on('frameError', (type) => (isUnsent ||= type === headersFrame))
    stream.on('error', (error: NodeJS.ErrnoException) => (this.failure ??= error.code ?? error.message))
    stream.on('close', () => {
      this.streams -= 1
      const isUntaken = isUnsent || stream.rstCode === NGHTTP2_REFUSED_STREAM || (stream.id ?? Infinity) > this.lastStreamId
      // Whoever refuses is going away, and its GOAWAY may come after the refusal; another session costs little.
      if (isUntaken) this.retire()
      if (call.closed(isUntaken, `reset_${stream.rstCode}`)) refused()
      if (this.state === 'open') this.events.hasRoom()
    })
    stream.end(call.body)
  }

  destroy(reason: string): Promise<void> {
    this.failure ??= reason
    return new Promise((resolve) => {
      if (this.http2.closed && this.http2.destroyed) return resolve()
      this.http2.once('close', () => resolve())
      this.http2.destroy()
    })
  }

  private opened(): void {
    if (this.state !== 'connecting') return
    this.state = 'open'
    this.youngUntil = performance.now() + youthMs
    this.watch = setInterval(() => this.look(), this.limits.pingEveryMs).unref()
  }

  private heard(): void {
    this.heardAt = performance.now()
    this.youngUntil = 0
  }

  private retire(): void {
    if (this.state === 'retiring') return
    this.state = 'retiring'
    // Ends once its streams have.
    if (!this.http2.closed) this.http2.close()
  }

  private look(): void {
    const now = performance.now()
    if (now > this.retireAt || (this.streams === 0 && now - this.usedAt > this.limits.idleMs)) return this.retire()
    if (now - this.heardAt >= this.limits.pingEveryMs) this.ping()
  }

  private ping(): void {
    if (this.pingTimer !== null || this.http2.destroyed) return
    this.pingTimer = setTimeout(() => void this.destroy('ping_timeout'), Math.min(pingTimeoutMs, this.limits.pingEveryMs)).unref()
    const isSent = this.http2.ping(() => {
      if (this.pingTimer !== null) clearTimeout(this.pingTimer)
      this.pingTimer = null
      this.heardAt = performance.now()
    })
    if (!isSent) void this.destroy('ping_failed')
  }
}

/** One call, from its place in the queue to its result. */
class Call {
  readonly headers: Record<string, string>
  readonly body: string
  /** How often the peer did not take it. */
  refusals = 0
  private answer: { status: number; headers: IncomingHttpHeaders } | null = null
  private readonly chunks: Buffer[] = []
  private bytes = 0
  private hasEnded = false
  private cancel: (() => void) | null = null

  constructor(
    { path, headers, body }: Omit<HttpRequest, 'origin'>,
    private readonly permit: Permit,
    private readonly resolve: (result: CallResult) => void,
  ) {
    this.headers = { ':method': 'POST', ':path': path, ...headers, 'content-length': String(Buffer.byteLength(body)) }
    this.body = body
    permit.signal.addEventListener('abort', this.giveUp, { once: true })
  }

  /** Asked right before the first byte; false: it has ended, and nothing may be written. */
  mayBegin(): boolean {
    if (!this.hasEnded && !this.permit.mayBegin()) this.end({ kind: 'not_begun', reason: 'lease_too_short' })
    return !this.hasEnded
  }

  /** @param cancel resets the stream */
  begun(cancel: () => void): void {
    this.cancel = cancel
  }

  answered(headers: IncomingHttpHeaders & { ':status'?: number }): void {
    this.answer = { status: Number(headers[':status']), headers }
  }

  received(chunk: Buffer): void {
    this.bytes += chunk.length
    if (this.bytes <= maxAnswerBytes) this.chunks.push(chunk)
  }

  /** The stream is over. Answers true when it has to begin again elsewhere. */
  closed(isUntaken: boolean, reason: string): boolean {
    this.cancel = null
    this.endIfAnswered()
    if (this.hasEnded) return false
    if (!isUntaken) {
      this.end({ kind: 'broken', reason })
      return false
    }
    this.refusals += 1
    return true
  }

  end(result: CallResult): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.permit.signal.removeEventListener('abort', this.giveUp)
    this.resolve(result)
  }

  // Whoever sent a status has decided, even when the rest of the answer is lost.
  private endIfAnswered(): void {
    if (this.answer === null) return
    const body = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks)
    this.end({ kind: 'answered', ...this.answer, body: body.toString() })
  }

  private readonly giveUp = (): void => {
    const { cancel } = this
    if (cancel === null) return this.end({ kind: 'not_begun', reason: 'timeout' })
    this.endIfAnswered()
    this.end({ kind: 'broken', reason: 'timeout' })
    cancel()
  }
}
