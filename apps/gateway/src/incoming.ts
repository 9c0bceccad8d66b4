// A request's body on its way in, from clients of any speed: small ones are here before anybody waits for them, slow ones are cut.
import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import { Problem } from '@stepcast/service'
import type { Request } from 'express'

/** How a body is taken. */
export interface IncomingOptions {
  /** Bytes at most; null: it streams without end. */
  readonly most: number | null
  /** A sender who sends nothing for so long, while it is read, is cut. */
  readonly silentMs: number
  /** A body that is kept until it is here must be within this time, however it drips. */
  readonly wholeWithinMs: number
}

/** Up to here a body is kept until it is whole, bytes. */
export const keptBytes = 1024 * 1024

/** Times as the product has them. */
export const usualTimes = { silentMs: 10_000, wholeWithinMs: 60_000 } as const

/** A body: whole, or what still comes of one that is larger than {@link keptBytes}. */
export type Body = { readonly kind: 'none' } | { readonly kind: 'whole'; readonly bytes: Buffer } | { readonly kind: 'streamed'; readonly stream: Readable }

/**
 * Takes the body of a request.
 * @throws Problem 413 when it is larger than allowed, 415 when it is compressed, 408 when its sender is too slow; also from the stream
 */
export async function bodyOf(request: Request, options: IncomingOptions): Promise<Body> {
  const { 'content-length': announced, 'transfer-encoding': transfer, 'content-encoding': compressed } = request.headers
  if (transfer === undefined && (announced === undefined || announced === '0')) return { kind: 'none' }
  if (compressed !== undefined && compressed.toLowerCase() !== 'identity') {
    throw new Problem({ status: 415, detail: 'The body is compressed: send it without Content-Encoding.', headers: closing })
  }
  if (options.most !== null && Number(announced ?? 0) > options.most) throw tooLarge(options.most)
  const reader = new Reader(request, options)
  if (announced !== undefined && Number(announced) > keptBytes) return { kind: 'streamed', stream: streamed([], reader) }
  const deadline = performance.now() + options.wholeWithinMs
  const chunks: Buffer[] = []
  for (let bytes = 0; bytes <= keptBytes; ) {
    const chunk = await reader.next(Math.min(options.silentMs, deadline - performance.now()))
    if (chunk === null) return { kind: 'whole', bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) }
    chunks.push(chunk)
    bytes += chunk.length
  }
  return { kind: 'streamed', stream: streamed(chunks, reader) }
}

const closing = { connection: 'close' } as const

const tooLarge = (most: number): Problem =>
  new Problem({ status: 413, detail: `The body is larger than ${most} bytes, the most this call takes.`, headers: closing })

const tooSlow = (): Problem =>
  new Problem({ status: 408, detail: 'The body did not come in time: send it without long pauses.', headers: closing })

/** The client went away: nobody is left to be answered. */
export class ClientGone extends Error {}

/** Reads a request piece by piece. */
class Reader {
  private bytes = 0
  private failed: Error | null = null
  private readonly wakes = new Set<() => void>()

  constructor(private readonly request: Request, private readonly options: IncomingOptions) {
    const wake = (): void => this.wakes.forEach((one) => one())
    request.on('readable', wake)
    request.on('end', wake)
    for (const end of ['aborted', 'error', 'close'] as const) {
      request.on(end, () => {
        if (!request.readableEnded) this.failed ??= new ClientGone('the client broke off')
        wake()
      })
    }
  }

  /** The next piece; null: that was all. @throws Problem 408 after this time, 413 beyond the most */
  async next(withinMs = this.options.silentMs): Promise<Buffer | null> {
    const until = performance.now() + withinMs
    for (;;) {
      const chunk = this.request.read() as Buffer | null
      if (chunk !== null) {
        this.bytes += chunk.length
        if (this.options.most !== null && this.bytes > this.options.most) throw tooLarge(this.options.most)
        return chunk
      }
      if (this.request.readableEnded) return null
      if (this.failed) throw this.failed
      const left = until - performance.now()
      if (left <= 0) throw tooSlow()
      await this.woken(left)
    }
  }

  private woken(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.wakes.delete(done)
        resolve()
      }
      const timer = setTimeout(done, withinMs)
      this.wakes.add(done)
    })
  }
}

/** What is here already and what still comes. Time in which its reader holds the sender back does not count. */
function streamed(first: readonly Buffer[], reader: Reader): Readable {
  const stream = new PassThrough()
  const write = async (chunk: Buffer): Promise<void> => {
    if (!stream.write(chunk)) await Promise.race([once(stream, 'drain'), once(stream, 'close')])
  }
  const run = async (): Promise<void> => {
    for (const chunk of first) await write(chunk)
    for (let chunk = await reader.next(); chunk !== null && !stream.destroyed; chunk = await reader.next()) await write(chunk)
    stream.end()
  }
  run().catch((error: Error) => stream.destroy(error))
  return stream
}
