// What Twilio's answers mean, by its published error codes (https://www.twilio.com/docs/api/errors).
import { retryAfterMs, type CallResult, type Outcome } from '@stepcast/channel'

interface TwilioAnswer {
  readonly sid?: string
  readonly num_segments?: string | null
  readonly price?: string | null
  readonly price_unit?: string | null
  readonly code?: number
}

// 20429: too many requests at a time. 21611: the sender's queue at Twilio is full. Both say that this message was not taken.
const throttled = new Set([20429, 21611])
/** The recipient has answered STOP to this sender. */
const unsubscribedCode = 21610
/** Its reason in reports: the same for every provider, and the same as where we know of it without asking. */
const unsubscribed = 'unsubscribed'
// Below it codes speak of the account and the API; from it on of the message: its number, its sender, its text.
const firstMessageCode = 21_000

/** Whether a code says that the person does not want to hear of this sender. */
export const isUnsubscribed = (code: number | string | null): boolean => code !== null && Number(code) === unsubscribedCode

/** 21617: over 1,600 characters. 30019: more than the carrier takes. 21602, 21619: without a text. */
const reasons: Readonly<Record<string, string>> = {
  [unsubscribedCode]: unsubscribed,
  21617: 'too_large',
  30019: 'too_large',
  21602: 'empty',
  21619: 'empty',
}

/** The reason of a code, as reports carry it: the code itself, but for those that mean the same for every provider. */
export const reasonOfCode = (code: number | string): string => reasons[String(code)] ?? String(code)

/**
 * The outcome of one call.
 *
 * A 5xx is unknown, not a retry: Twilio's page on error 20500 says that a message sent again after one may reach the person twice, and
 * that costs money. What blames the account (401, 403, 404 with a code below 21000) is the workspace's to mend and no fault of the
 * number: retry. No code says that a number is gone for good, so none is ever forgotten. Who has answered STOP is not failed: nobody has
 * done anything wrong, and there is nothing to wait for.
 * @param segments of the text, asked where Twilio does not tell (a messaging service that has not chosen a sender yet says 0)
 */
export function outcomeOf(result: CallResult, segments: () => number, nowMs: number): Outcome {
  switch (result.kind) {
    case 'not_begun':
      return { kind: 'retry', reason: result.reason, afterMs: null }
    case 'broken':
      return unknown(result.reason, segments)
    case 'answered': {
      const answer = answerOf(result.body)
      if (result.status >= 200 && result.status < 300) return accepted(answer, segments)
      return refused(result.status, answer.code ?? null, retryAfterMs(result.headers, nowMs), segments)
    }
  }
}

function accepted({ sid, num_segments, price, price_unit }: TwilioAnswer, segments: () => number): Outcome {
  const told = Number(num_segments ?? 0)
  const detail = {
    segments: String(told > 0 ? told : segments()),
    // Negative: what Twilio takes from the balance. Usually null at first; later prices are not called back.
    ...(price && price_unit ? { price: price.replace(/^-/, ''), currency: price_unit.toUpperCase() } : {}),
  }
  return { kind: 'accepted', providerMessageId: sid ?? null, detail }
}

function refused(status: number, code: number | null, afterMs: number | null, segments: () => number): Outcome {
  const reason = code === null ? `HTTP_${status}` : reasonOfCode(code)
  if (status === 429 || (code !== null && throttled.has(code))) return { kind: 'retry', reason, afterMs }
  // 408: the request did not arrive in full (RFC 9110 §15.5.9).
  if (status === 408) return { kind: 'retry', reason, afterMs }
  if (isUnsubscribed(code)) return { kind: 'unwanted', reason }
  // Neither taken nor refused as far as we can tell: server errors, and what no document speaks of.
  if (status < 400 || status >= 500) return unknown(reason, segments)
  const isOfAccount = [401, 403, 404].includes(status) && (code === null || code < firstMessageCode)
  return isOfAccount ? { kind: 'retry', reason, afterMs: null } : { kind: 'rejected', reason, deadAddress: false }
}

/** Possibly charged. Who says later that it was, a callback or an operator, does not know for how many segments. */
const unknown = (reason: string, segments: () => number): Outcome => ({ kind: 'unknown', reason, detail: { segments: String(segments()) } })

function answerOf(body: string): TwilioAnswer {
  try {
    const answer: unknown = JSON.parse(body)
    return typeof answer === 'object' && answer !== null ? answer : {}
  } catch {
    // A proxy's page, or the rest of the answer was lost: the status alone speaks.
    return {}
  }
}
