// What Solapi's answers mean: the codes of https://developers.solapi.com/references/message-status-codes and its documents on API keys.
import { retryAfterMs, type CallResult, type Outcome } from '@stepcast/channel'

interface SolapiAnswer {
  readonly errorCode?: string
  readonly failedMessageList?: readonly { readonly statusCode?: string }[]
  readonly messageList?: readonly { readonly messageId?: string }[]
  readonly groupInfo?: {
    readonly groupId?: string
    readonly count?: { readonly registeredFailed?: number }
  }
}

// 1061, 2061: the person refuses messages (080 number).
const unsubscribed = new Set(['1061', '2061'])
// 1031: the text has over 1,000 characters. 1048: a button's address over 100. 1049: its label over 14. 1050: more than 5 buttons.
const tooLarge = new Set(['1031', '1048', '1049', '1050'])
// 1020: wrong account or password. 1024: server error at registration. 1030: no balance left. Not registered, and none blames the message.
const passing = new Set(['1020', '1024', '1030'])
// Ours to mend. DuplicatedSignature is not among them: it says that this very request has been there before.
const ofAccount = new Set([
  'NotEnoughBalance',
  'InvalidAPIKey',
  'SignatureDoesNotMatch',
  'RequestTimeTooSkewed',
  'Unauthorized',
  'Forbidden',
])

/** Whether a status code says that the person does not want to hear of this sender. */
export const isUnsubscribed = (code: string): boolean => unsubscribed.has(code)

/** The reason of a status code, as reports carry it: the code itself, but for those that mean the same for every provider. */
export const reasonOfStatus = (code: string): string => (isUnsubscribed(code) ? 'unsubscribed' : tooLarge.has(code) ? 'too_large' : code)

/**
 * The outcome of one call with one message. A 5xx is unknown, not a retry: Solapi does not document that nothing was registered by then,
 * it offers no key to recognise a repeat, and a repeat costs money. No code says that a number is gone for good, so none is forgotten.
 */
export function outcomeOf(result: CallResult, nowMs: number): Outcome {
  switch (result.kind) {
    case 'not_begun':
      return { kind: 'retry', reason: result.reason, afterMs: null }
    case 'broken':
      return { kind: 'unknown', reason: result.reason }
    case 'answered': {
      const answer = answerOf(result.body)
      return result.status >= 200 && result.status < 300
        ? registered(answer)
        : refused(result.status, answer.errorCode ?? null, retryAfterMs(result.headers, nowMs))
    }
  }
}

function registered({ failedMessageList = [], messageList = [], groupInfo = {} }: SolapiAnswer): Outcome {
  const [failed] = failedMessageList
  if (failed === undefined && (groupInfo.count?.registeredFailed ?? 0) === 0) {
    return { kind: 'accepted', providerMessageId: messageList[0]?.messageId ?? groupInfo.groupId ?? null }
  }
  const code = failed?.statusCode ?? 'not_registered'
  // Asked each time: nobody tells us when the person wants to hear again.
  if (isUnsubscribed(code)) return { kind: 'unwanted', reason: reasonOfStatus(code) }
  return passing.has(code)
    ? { kind: 'retry', reason: code, afterMs: null }
    : { kind: 'rejected', reason: reasonOfStatus(code), deadAddress: false }
}

function refused(status: number, errorCode: string | null, afterMs: number | null): Outcome {
  const reason = errorCode ?? `HTTP_${status}`
  // 408: the request did not arrive in full (RFC 9110 §15.5.9).
  if (status === 429 || status === 408) return { kind: 'retry', reason, afterMs }
  if (status < 400 || status >= 500 || errorCode === 'DuplicatedSignature') return { kind: 'unknown', reason }
  const isOfAccount = errorCode === null ? [401, 402, 403].includes(status) : ofAccount.has(errorCode)
  return isOfAccount ? { kind: 'retry', reason, afterMs: null } : { kind: 'rejected', reason, deadAddress: false }
}

function answerOf(body: string): SolapiAnswer {
  try {
    const answer: unknown = JSON.parse(body)
    return typeof answer === 'object' && answer !== null ? answer : {}
  } catch {
    // A proxy's page, or the rest of the answer was lost: the status alone speaks.
    return {}
  }
}
