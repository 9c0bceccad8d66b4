// A request's body on its way in, from clients of any speed: bounded in bytes and in time, and told apart into what is kept and what streams.
import type { Request } from 'express'
import { Problem } from './problem'

/** How a body is taken. */
export interface IncomingOptions {
  /** Bytes at most; null: it streams without end. */
  readonly most: number | null
  /** A sender who sends nothing for so long, while we read, is cut. */
  readonly silentMs: number
  /** Every megabyte, begun or whole, must come within so long, however it drips. Time in which we do not read does not count. */
  readonly megabyteWithinMs: number
  /** What is held of all bodies at once, where that is bounded. */
  readonly held?: HeldBytes
  /** Called once when a body is not here after a second; what it answers is called when it is. Throw to refuse it. */
  readonly onSlow?: () => () => void
}

/** Times as the product has them. */
export const usualTimes = { silentMs: 10_000, megabyteWithinMs: 60_000 } as const

/** Up to here a body is kept until it is whole, bytes. */
export const keptBytes = 1024 * 1024

const slowAfterMs = 1_000

/** The client went away: nobody is left to be answered. */
export class ClientGone extends Error {}

const closing = { connection: 'close' } as const

const tooLarge = (most: number): Problem =>
  new Problem({ status: 413, detail: `The body is larger than ${most} bytes, the most this call takes.`, headers: closing })

const tooSlow = (): Problem =>
  new Problem({ status: 408, detail: 'The body did not come in time: send it without long pauses.', headers: closing })

/** Whether a request announces a body; an empty one is none. */
export const hasBody = ({ headers }: Pick<Request, 'headers'>): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')

/**
 * The pieces of a request's body as they come. Ask for the next one only when the last is dealt with: meanwhile the sender is held back.
 * @throws Problem 413 when it is larger than allowed, 415 when it is compressed (a few bytes could become any number), 408 when its sender is
 * too slow; ClientGone
 */
export async function* piecesOf(request: Request, options: IncomingOptions): AsyncGenerator<Buffer, void> {
  const { 'content-length': announced, 'content-encoding': compressed } = request.headers
  if (!hasBody(request)) return
  if (compressed !== undefined && compressed.toLowerCase() !== 'identity') {
    throw new Problem({ status: 415, detail: 'The body is compressed: send it without Content-Encoding.', headers: closing })
  }
  if (options.most !== null && Number(announced ?? 0) > options.most) throw tooLarge(options.most)
  const reader = new Reader(request, options)
  try {
    for (let piece = await reader.next(); piece !== null; piece = await reader.next()) yield piece
  } finally {
    reader.end()
  }
}

/** A body that was small enough to be kept until it is whole, or one that still comes. */
export type Body =
  | { readonly kind: 'none' }
  | { readonly kind: 'whole'; readonly bytes: Buffer; readonly release: () => void }
  | { readonly kind: 'streamed'; readonly pieces: AsyncGenerator<Buffer, void> }

/**
 * Takes the body of a request: whole, up to {@link keptBytes}; a larger one as pieces.
 * @throws as {@link piecesOf}, at once or from the pieces
 */
export async function bodyOf(request: Request, options: IncomingOptions): Promise<Body> {
  if (!hasBody(request)) return { kind: 'none' }
  const pieces = piecesOf(request, options)
  const first: Buffer[] = []
  if (Number(request.headers['content-length'] ?? 0) > keptBytes) return { kind: 'streamed', pieces: following(first, pieces) }
  let bytes = 0
  const release = (): void => options.held?.give(bytes)
  try {
    while (bytes <= keptBytes) {
      const { value, done } = await pieces.next()
      if (done) return { kind: 'whole', bytes: first.length === 1 ? first[0]! : Buffer.concat(first), release }
      options.held?.take(value.length)
      first.push(value)
      bytes += value.length
    }
  } catch (error) {
    release()
    await pieces.return()
    throw error
  }
  release()
  return { kind: 'streamed', pieces: following(first, pieces) }
}

async function* following(first: readonly Buffer[], rest: AsyncGenerator<Buffer, void>): AsyncGenerator<Buffer, void> {
  yield* first
  yield* rest
}

/** Bytes that requests under way may keep in memory together. */
export class HeldBytes {
  private held = 0
  private readonly line = new Set<{ readonly bytes: number; readonly come: () => void }>()

  /**
   * @param most bytes in all
   * @param waitMs how long anyone waits for room
   */
  constructor(
    private readonly most: number,
    private readonly waitMs = 2_000,
  ) {}

  /** Takes so many bytes. @throws Problem 503 when there is no room now */
  take(bytes: number): void {
    if (!this.fits(bytes)) throw tooMuch()
    this.held += bytes
  }

  /** Takes so many bytes when there is room, in the order of asking. @throws Problem 503 when there is none in time */
  async room(bytes: number): Promise<void> {
    if (this.line.size === 0 && this.fits(bytes)) return void (this.held += bytes)
    await new Promise<void>((resolve, reject) => {
      const waiting = { bytes, come: () => leave(resolve) }
      const leave = (then: () => void): void => {
        clearTimeout(timer)
        this.line.delete(waiting)
        then()
      }
      const timer = setTimeout(() => leave(() => reject(tooMuch())), this.waitMs)
      this.line.add(waiting)
    })
  }

  give(bytes: number): void {
    this.held -= bytes
    for (const waiting of this.line) {
      if (!this.fits(waiting.bytes)) return
      this.held += waiting.bytes
      waiting.come()
    }
  }

  private fits(bytes: number): boolean {
    return this.held + bytes <= this.most
  }
}

const tooMuch = (): Problem =>
  new Problem({
    status: 503,
    detail: 'Too much is being sent at once: try again in a moment.',
    headers: { 'retry-after': '1', ...closing },
  })

/** Reads a request piece by piece. */
class Reader {
  private bytes = 0
  /** For how long we have read and nothing was there. */
  private waitedMs = 0
  private failed: Error | null = null
  private wake: () => void = () => {}
  private notSlow: (() => void) | null = null

  constructor(
    private readonly request: Request,
    private readonly options: IncomingOptions,
  ) {
    const wake = (): void => this.wake()
    request.on('readable', wake)
    request.on('end', wake)
    for (const end of ['aborted', 'error', 'close'] as const) {
      request.on(end, () => {
        if (!request.readableEnded) this.failed ??= new ClientGone('the client broke off')
        wake()
      })
    }
  }

  /** The next piece; null: that was all. */
  async next(): Promise<Buffer | null> {
    const silentFrom = this.waitedMs
    for (;;) {
      const chunk = this.request.read() as Buffer | null
      if (chunk !== null) {
        this.bytes += chunk.length
        if (this.options.most !== null && this.bytes > this.options.most) throw tooLarge(this.options.most)
        return chunk
      }
      if (this.request.readableEnded) return null
      if (this.failed) throw this.failed
      const { silentMs, megabyteWithinMs, onSlow } = this.options
      const allowedMs = Math.min(silentFrom + silentMs, megabyteWithinMs * (1 + Math.floor(this.bytes / keptBytes)))
      if (this.waitedMs >= allowedMs) throw tooSlow()
      if (onSlow && this.notSlow === null && this.waitedMs >= slowAfterMs) this.notSlow = onSlow()
      const until = onSlow && this.notSlow === null ? Math.min(allowedMs, slowAfterMs) : allowedMs
      await this.wait(until - this.waitedMs)
    }
  }

  /** Nothing more is read. */
  end(): void {
    this.notSlow?.()
    this.notSlow = null
  }

  private wait(withinMs: number): Promise<void> {
    const from = performance.now()
    return new Promise((resolve) => {
      this.wake = () => {
        clearTimeout(timer)
        this.wake = () => {}
        this.waitedMs += performance.now() - from
        resolve()
      }
      const timer = setTimeout(() => this.wake(), Math.max(1, Math.ceil(withinMs)))
    })
  }
}
