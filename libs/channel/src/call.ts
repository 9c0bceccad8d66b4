// One HTTP call that knows whether a byte was written: the difference between "not taken" and "unknown".
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Permit } from './provider'

/** A request with its whole body. */
export interface HttpRequest {
  /** `https://host[:port]`. */
  readonly origin: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** How a call ended. */
export type CallResult =
  | { readonly kind: 'answered'; readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string }
  /** No byte of the request was written. */
  | { readonly kind: 'not_begun'; readonly reason: string }
  /** Bytes were written, no answer came. */
  | { readonly kind: 'broken'; readonly reason: string }

// Providers' answers are below 4 kB; what a broken proxy says beyond 64 kB is not read.
const maxAnswerBytes = 64 * 1024

/** POSTs once, through undici's low-level interface, because only that tells when the request reaches the socket. */
export function postOnce(dispatcher: Dispatcher, { origin, path, headers, body }: HttpRequest, permit: Permit): Promise<CallResult> {
  return new Promise((resolve) => {
    let begun = false
    let controller: Dispatcher.DispatchController | null = null
    let answer: { status: number; headers: IncomingHttpHeaders } | null = null
    const chunks: Buffer[] = []
    let bytes = 0

    const end = (result: CallResult): void => {
      permit.signal.removeEventListener('abort', giveUp)
      resolve(result)
    }
    const failed = (reason: string): void => {
      // Whoever sent a status has decided, even when the rest of the answer is lost.
      if (answer !== null) end({ kind: 'answered', ...answer, body: Buffer.concat(chunks).toString() })
      else end({ kind: begun ? 'broken' : 'not_begun', reason })
    }
    const giveUp = (): void => {
      failed('timeout')
      controller?.abort(new Error('timeout'))
    }

    if (permit.signal.aborted) return end({ kind: 'not_begun', reason: 'timeout' })
    permit.signal.addEventListener('abort', giveUp, { once: true })
    dispatcher.dispatch(
      { origin, path, method: 'POST', headers: { ...headers }, body, headersTimeout: 0, bodyTimeout: 0 },
      {
        // Called when the connection stands and nothing has been written yet.
        onRequestStart(started) {
          controller = started
          if (permit.signal.aborted) return started.abort(new Error('timeout'))
          if (!permit.mayBegin()) return started.abort(new Error('lease_too_short'))
          begun = true
        },
        onResponseStart(_controller, status, responseHeaders) {
          // 1xx are not answers.
          if (status >= 200) answer = { status, headers: responseHeaders }
        },
        onResponseData(_controller, chunk) {
          bytes += chunk.length
          if (bytes <= maxAnswerBytes) chunks.push(chunk)
        },
        onResponseEnd() {
          failed('empty')
        },
        onResponseError(_controller, error) {
          failed((error as NodeJS.ErrnoException).code ?? error.message)
        },
      },
    )
  })
}

/** Retry-After of an answer in milliseconds: seconds or an HTTP date (RFC 9110 §10.2.3); null when absent or unreadable. */
export function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number | null {
  const value = headers['retry-after']
  if (value === undefined) return null
  if (/^\d+$/.test(value)) return Number(value) * 1_000
  const at = Date.parse(value)
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs)
}
