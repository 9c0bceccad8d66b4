// What FCM's answers mean, by its published error codes (firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode).
import { retryAfterMs, type CallResult, type Outcome } from '@stepcast/channel'

/** What is known besides the answer. */
export interface Circumstances {
  /** How long to wait after a 429 without Retry-After: FCM's documents say a minute. */
  readonly quotaWaitMs: number
  readonly nowMs: number
  /** Whether size and keys of the payload are as FCM allows: only then can INVALID_ARGUMENT mean the token. */
  readonly isPayloadSound: () => boolean
}

interface Detail {
  readonly '@type'?: string
  readonly errorCode?: string
  readonly fieldViolations?: readonly { readonly field?: string; readonly description?: string }[]
}
interface GoogleError {
  readonly status?: string
  readonly message?: string
  readonly details?: readonly Detail[]
}

const fcmErrorType = 'type.googleapis.com/google.firebase.fcm.v1.FcmError'
const badRequestType = 'type.googleapis.com/google.rpc.BadRequest'

/**
 * The outcome of one call. Tokens die by UNREGISTERED, and by INVALID_ARGUMENT only where FCM blames the token itself and the payload
 * cannot be meant (firebase.google.com/docs/cloud-messaging/manage-tokens); never by what passes.
 */
export function outcomeOf(result: CallResult, circumstances: Circumstances): Outcome {
  switch (result.kind) {
    case 'not_begun':
      return { kind: 'retry', reason: result.reason, afterMs: null }
    case 'broken':
      return { kind: 'unknown', reason: result.reason }
    case 'answered':
      return result.status === 200
        ? { kind: 'accepted', providerMessageId: nameOf(result.body) }
        : refusal(result.status, errorOf(result.body), retryAfterMs(result.headers, circumstances.nowMs), circumstances)
  }
}

/** Whether a 401 is about the app's own APNs or web push key, which a new access token does not mend. */
export const isThirdPartyAuthError = ({ body }: { readonly body: string }): boolean =>
  fcmErrorOf(errorOf(body))?.errorCode === 'THIRD_PARTY_AUTH_ERROR'

function refusal(status: number, error: GoogleError, afterMs: number | null, { quotaWaitMs, isPayloadSound }: Circumstances): Outcome {
  const reason = fcmErrorOf(error)?.errorCode ?? error.status ?? `HTTP_${status}`
  const rejected = (deadAddress: boolean): Outcome => ({ kind: 'rejected', reason, deadAddress })
  const retry = (waitMs: number | null): Outcome => ({ kind: 'retry', reason, afterMs: waitMs })
  if (status === 429) return retry(afterMs ?? quotaWaitMs)
  if (status >= 500) return retry(afterMs)
  switch (reason) {
    case 'UNREGISTERED':
      return rejected(true)
    case 'HTTP_413':
    case 'INVALID_ARGUMENT':
      if (status === 413 || isTooBig(error)) return { kind: 'rejected', reason: 'too_large', deadAddress: false }
      return rejected(blamesToken(error) && isPayloadSound())
    // For people to mend, and meant for no one message: the service account's sign-in or rights, the app's APNs or web push key.
    case 'UNAUTHENTICATED':
    case 'PERMISSION_DENIED':
    case 'THIRD_PARTY_AUTH_ERROR':
      return retry(null)
    // SENDER_ID_MISMATCH (another project's token, alive there), and what is not documented.
    default:
      return rejected(false)
  }
}

const fcmErrorOf = (error: GoogleError): Detail | undefined => error.details?.find((detail) => detail['@type'] === fcmErrorType)

// FCM puts its own error where the token is at fault; a payload it cannot take names other fields, or nothing.
function blamesToken(error: GoogleError): boolean {
  if (fcmErrorOf(error) === undefined) return false
  const fields =
    error.details?.filter((detail) => detail['@type'] === badRequestType).flatMap(({ fieldViolations }) => fieldViolations ?? []) ?? []
  return fields.every(({ field }) => field === 'message.token')
}

// Its code for a message that is too big is the one for everything it cannot take; only its words tell ("Android message is too big").
const isTooBig = ({ message, details = [] }: GoogleError): boolean =>
  [message, ...details.flatMap(({ fieldViolations = [] }) => fieldViolations.map(({ description }) => description))].some(
    (words) => words !== undefined && /\btoo (?:big|large|long)\b|exceeds? .*(?:size|length|bytes)/i.test(words),
  )

function errorOf(body: string): GoogleError {
  try {
    return (JSON.parse(body) as { error?: GoogleError }).error ?? {}
  } catch {
    // A proxy's page: the status alone speaks.
    return {}
  }
}

function nameOf(body: string): string | null {
  try {
    return (JSON.parse(body) as { name?: string }).name ?? null
  } catch {
    // Accepted, and the rest of the answer was lost.
    return null
  }
}
