// What each of Solapi's answers makes of a message.
import type { CallResult } from '@stepcast/channel'
import { outcomeOf } from './solapiOutcome'

const outcome = (status: number, body: object | string, headers: Record<string, string> = {}) => {
  const result: CallResult = { kind: 'answered', status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) }
  return outcomeOf(result, 0)
}
const failed = (statusCode: string) =>
  outcome(200, { failedMessageList: [{ to: '01012345678', statusCode }], groupInfo: { count: { total: 1, registeredFailed: 1 } } })

describe('an Alimtalk handed to Solapi', () => {
  it('is accepted, by the id of its message or else of its group', () => {
    const groupInfo = { groupId: 'G1', count: { registeredFailed: 0 } }
    expect(outcome(200, { failedMessageList: [], groupInfo, messageList: [{ messageId: 'M1', statusCode: '2000' }] })).toEqual({
      kind: 'accepted',
      providerMessageId: 'M1',
    })
    expect(outcome(200, { failedMessageList: [], groupInfo })).toEqual({ kind: 'accepted', providerMessageId: 'G1' })
  })
  it('is accepted though the rest of the answer is lost', () =>
    expect(outcome(200, '')).toEqual({ kind: 'accepted', providerMessageId: null }))
  it.each(['1042', '1043', '1045', '1060', '2064'])('is rejected when it was not registered for a fault of its own: %s', (code) =>
    expect(failed(code)).toEqual({ kind: 'rejected', reason: code, deadAddress: false }),
  )
  it.each(['1061', '2061'])('is unwanted when the person refuses messages: %s', (code) =>
    expect(failed(code)).toEqual({ kind: 'unwanted', reason: 'unsubscribed' }),
  )
  it.each(['1031', '1048', '1049', '1050'])('is too large, as every provider means it: %s', (code) =>
    expect(failed(code)).toEqual({ kind: 'rejected', reason: 'too_large', deadAddress: false }),
  )
  it.each(['1020', '1024', '1030'])('is tried again when it was not registered for what passes or is the account: %s', (code) =>
    expect(failed(code)).toEqual({ kind: 'retry', reason: code, afterMs: null }),
  )
  it('is rejected when it was not registered and nothing says why', () =>
    expect(outcome(200, { failedMessageList: [], groupInfo: { count: { registeredFailed: 1 } } })).toMatchObject({ kind: 'rejected' }))

  it('is tried again when throttled, as late as Solapi says', () =>
    expect(outcome(429, { errorCode: 'TooManyRequests' }, { 'retry-after': '3' })).toEqual({
      kind: 'retry',
      reason: 'TooManyRequests',
      afterMs: 3_000,
    }))
  it.each([
    ['InvalidAPIKey', 403],
    ['SignatureDoesNotMatch', 403],
    ['RequestTimeTooSkewed', 403],
    ['NotEnoughBalance', 400],
  ])('is tried again when the account is at fault: %s', (errorCode, status) =>
    expect(outcome(status, { errorCode })).toEqual({ kind: 'retry', reason: errorCode, afterMs: null }),
  )
  it('is rejected when the request is at fault', () =>
    expect(outcome(400, { errorCode: 'ValidationError' })).toEqual({ kind: 'rejected', reason: 'ValidationError', deadAddress: false }))
  it('was perhaps sent when Solapi has seen this very request before', () =>
    expect(outcome(403, { errorCode: 'DuplicatedSignature' })).toEqual({ kind: 'unknown', reason: 'DuplicatedSignature' }))

  it.each([500, 502, 503, 301])('was perhaps sent after a %i: a repeat could reach the person twice', (status) =>
    expect(outcome(status, { errorCode: 'InternalError' })).toEqual({ kind: 'unknown', reason: 'InternalError' }),
  )
  it('was perhaps sent when the connection broke, and was not when none stood', () => {
    expect(outcomeOf({ kind: 'broken', reason: 'timeout' }, 0)).toEqual({ kind: 'unknown', reason: 'timeout' })
    expect(outcomeOf({ kind: 'not_begun', reason: 'ECONNREFUSED' }, 0)).toEqual({ kind: 'retry', reason: 'ECONNREFUSED', afterMs: null })
  })
})
