// What the answers of APNs mean, by the tables of Apple's "Handling notification responses from APNs" (developer.apple.com/documentation).
import { retryAfterMs, type CallResult, type Outcome } from '@stepcast/channel'

/** What is known besides the answer. */
export interface Circumstances {
  readonly minuteMs: number
  readonly nowMs: number
  /** Whether this account's topic and environment are right for sure: a push of it was accepted before. */
  readonly isProven: boolean
}

interface ApnsError {
  readonly reason?: string
  /** With 410: since when the token is not valid, milliseconds since the epoch. */
  readonly timestamp?: number
}

/** Wrong settings of the account: nobody's token is to blame, and whoever mends them in time saves the message. */
const settingsFaults: ReadonlySet<string> = new Set([
  'BadCertificate',
  'BadCertificateEnvironment',
  'BadEnvironmentKeyIdInToken',
  'BadEnvironmentKeyInToken',
  'BadTopic',
  'ExpiredProviderToken',
  'InvalidProviderToken',
  'MissingProviderToken',
  'MissingTopic',
  'TopicDisallowed',
  'UnrelatedKeyIdInToken',
])

/**
 * The outcome of one call. Tokens die by 410 (Unregistered, ExpiredToken), as of the time Apple names. BadDeviceToken and
 * DeviceTokenNotForTopic come as well from an account set to the wrong environment or app: they kill a token only where that is ruled
 * out, else one wrong setting would cost a workspace all its devices.
 */
export function outcomeOf(result: CallResult, circumstances: Circumstances): Outcome {
  switch (result.kind) {
    case 'not_begun':
      return { kind: 'retry', reason: result.reason, afterMs: null }
    case 'broken':
      return { kind: 'unknown', reason: result.reason }
    case 'answered':
      return result.status === 200
        ? { kind: 'accepted', providerMessageId: idOf(result) }
        : refusal(result.status, errorOf(result.body), retryAfterMs(result.headers, circumstances.nowMs), circumstances)
  }
}

/** Whether the provider token has to be renewed. */
export const isTokenExpired = ({ status, body }: { readonly status: number; readonly body: string }): boolean =>
  status === 403 && errorOf(body).reason === 'ExpiredProviderToken'

function refusal(
  status: number,
  { reason = `HTTP_${status}`, timestamp }: ApnsError,
  afterMs: number | null,
  { minuteMs, isProven }: Circumstances,
): Outcome {
  const retry = (waitMs: number | null): Outcome => ({ kind: 'retry', reason, afterMs: waitMs })
  const rejected: Outcome = { kind: 'rejected', reason, deadAddress: false }
  if (status === 429) return retry(afterMs)
  // "After 15 minutes, you can retry JSON payloads that receive response status codes that begin with 5XX."
  if (status >= 500) return retry(afterMs ?? 15 * minuteMs)
  if (settingsFaults.has(reason)) return retry(null)
  switch (reason) {
    case 'Unregistered':
    case 'ExpiredToken':
      return { ...rejected, deadAddress: true, ...(typeof timestamp === 'number' ? { deadSinceMs: timestamp } : {}) }
    case 'BadDeviceToken':
    case 'DeviceTokenNotForTopic':
      return { ...rejected, deadAddress: isProven }
    // The connection lay idle, and the request was not read.
    case 'IdleTimeout':
      return retry(null)
    case 'PayloadTooLarge':
    case 'HTTP_413':
      return { ...rejected, reason: 'too_large' }
    // "Don't retry": Forbidden. A request APNs cannot read will not be readable later: the other codes of 400, 404, 405.
    case 'Forbidden':
      return rejected
    // A 403 that is not documented is about the credentials, as all of them are.
    default:
      return status === 403 ? retry(null) : rejected
  }
}

const idOf = ({ headers }: Extract<CallResult, { kind: 'answered' }>): string | null => {
  const id = headers['apns-id']
  return typeof id === 'string' ? id : null
}

function errorOf(body: string): ApnsError {
  try {
    return JSON.parse(body) as ApnsError
  } catch {
    // A proxy's page: the status alone speaks.
    return {}
  }
}
