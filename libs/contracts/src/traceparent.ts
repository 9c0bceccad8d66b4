// The W3C trace context that travels on every request and record.
import { randomBytes } from 'node:crypto'

// Random bytes are drawn for 512 traces at once: one by one they were 5 % of the orchestrator's time.
const traceBytes = 24
let randomPool = Buffer.alloc(0)
let randomUsed = 0

/** A new, sampled `traceparent` (W3C Trace Context, version 00): trace id and span id at random. */
export function newTraceparent(): string {
  if (randomUsed + traceBytes > randomPool.length) {
    randomPool = randomBytes(traceBytes * 512)
    randomUsed = 0
  }
  const hex = randomPool.toString('hex', randomUsed, (randomUsed += traceBytes))
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`
}

/**
 * Whether it is a `traceparent` that may travel on, whoever sent it: version 00, ids not all zero.
 * https://www.w3.org/TR/trace-context/#traceparent-header
 */
export const isTraceparent = (text: unknown): text is string =>
  typeof text === 'string' && /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(text)
