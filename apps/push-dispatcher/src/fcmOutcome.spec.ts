// FCM's answers and what they mean.
import type { CallResult, Outcome } from '@stepcast/channel'
import { isThirdPartyAuthError, outcomeOf } from './fcmOutcome'

const fcmError = (errorCode: string): object => ({ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode })
const badRequest = (field: string): object => ({ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field }] })
const answered = (status: number, body: unknown, headers = {}): Extract<CallResult, { kind: 'answered' }> => ({
  kind: 'answered',
  status,
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
const refused = (status: number, code: string, details: object[] = [], headers = {}): Extract<CallResult, { kind: 'answered' }> =>
  answered(status, { error: { code: status, status: code, details } }, headers)
const of = (result: CallResult, isPayloadSound = true): Outcome =>
  outcomeOf(result, { quotaWaitMs: 60_000, nowMs: 0, isPayloadSound: () => isPayloadSound })

describe('an answer of FCM', () => {
  it('200 is accepted, with its name', () => {
    expect(of(answered(200, { name: 'projects/p/messages/1' }))).toEqual({ kind: 'accepted', providerMessageId: 'projects/p/messages/1' })
  })
  it('200 with its rest lost is accepted', () => {
    expect(of(answered(200, '{"na'))).toEqual({ kind: 'accepted', providerMessageId: null })
  })
  it('UNREGISTERED kills the token', () => {
    expect(of(refused(404, 'NOT_FOUND', [fcmError('UNREGISTERED')]))).toEqual({
      kind: 'rejected',
      reason: 'UNREGISTERED',
      deadAddress: true,
    })
  })
  it('404 of something else does not', () => {
    expect(of(refused(404, 'NOT_FOUND'))).toEqual({ kind: 'rejected', reason: 'NOT_FOUND', deadAddress: false })
  })
  it('INVALID_ARGUMENT kills the token only where FCM blames it', () => {
    expect(of(refused(400, 'INVALID_ARGUMENT', [fcmError('INVALID_ARGUMENT')]))).toMatchObject({ kind: 'rejected', deadAddress: true })
    expect(of(refused(400, 'INVALID_ARGUMENT', [fcmError('INVALID_ARGUMENT'), badRequest('message.token')]))).toMatchObject({
      deadAddress: true,
    })
    expect(of(refused(400, 'INVALID_ARGUMENT', [fcmError('INVALID_ARGUMENT'), badRequest('message.android.ttl')]))).toMatchObject({
      deadAddress: false,
    })
    expect(of(refused(400, 'INVALID_ARGUMENT', [badRequest('message.data')]))).toMatchObject({ deadAddress: false })
    expect(of(refused(400, 'INVALID_ARGUMENT'))).toMatchObject({ kind: 'rejected', deadAddress: false })
  })
  it.each([
    ['Message too big', [badRequest('message')]],
    ['Android message is too big', [fcmError('INVALID_ARGUMENT')]],
    ['APNs payload exceeds maximum size', []],
  ])('INVALID_ARGUMENT for its size has the reason that is the same for every provider: %s', (words, details) => {
    const { body, ...answer } = refused(400, 'INVALID_ARGUMENT', details) as { body: string }
    const made = JSON.parse(body) as { error: object }
    const told = { ...answer, body: JSON.stringify({ error: { ...made.error, message: words } }) } as never
    expect(of(told)).toEqual({ kind: 'rejected', reason: 'too_large', deadAddress: false })
  })
  it('INVALID_ARGUMENT does not kill the token where the payload may be meant: too long, or a reserved key', () => {
    const outcome = of(refused(400, 'INVALID_ARGUMENT', [fcmError('INVALID_ARGUMENT')]), false)
    expect(outcome).toMatchObject({ kind: 'rejected', deadAddress: false })
  })
  it('SENDER_ID_MISMATCH is final, the token alive elsewhere', () => {
    expect(of(refused(403, 'PERMISSION_DENIED', [fcmError('SENDER_ID_MISMATCH')]))).toEqual({
      kind: 'rejected',
      reason: 'SENDER_ID_MISMATCH',
      deadAddress: false,
    })
  })
  it('429 comes back when told, else after a minute', () => {
    expect(of(refused(429, 'RESOURCE_EXHAUSTED', [fcmError('QUOTA_EXCEEDED')], { 'retry-after': '7' }))).toEqual({
      kind: 'retry',
      reason: 'QUOTA_EXCEEDED',
      afterMs: 7_000,
    })
    expect(of(refused(429, 'RESOURCE_EXHAUSTED'))).toMatchObject({ kind: 'retry', afterMs: 60_000 })
  })
  it("500, 503 and a proxy's page come back", () => {
    expect(of(refused(500, 'INTERNAL', [fcmError('INTERNAL')]))).toEqual({ kind: 'retry', reason: 'INTERNAL', afterMs: null })
    expect(of(refused(503, 'UNAVAILABLE', [], { 'retry-after': '2' }))).toMatchObject({ kind: 'retry', afterMs: 2_000 })
    expect(of(answered(502, '<html>'))).toEqual({ kind: 'retry', reason: 'HTTP_502', afterMs: null })
  })
  it('our own sign-in or rights come back: no message is to blame', () => {
    expect(of(refused(401, 'UNAUTHENTICATED'))).toMatchObject({ kind: 'retry' })
    expect(of(refused(403, 'PERMISSION_DENIED'))).toMatchObject({ kind: 'retry' })
  })
  it('no connection was not taken; a broken one is unknown', () => {
    expect(of({ kind: 'not_begun', reason: 'ECONNREFUSED' })).toEqual({ kind: 'retry', reason: 'ECONNREFUSED', afterMs: null })
    expect(of({ kind: 'broken', reason: 'ECONNRESET' })).toEqual({ kind: 'unknown', reason: 'ECONNRESET' })
  })

  // Every code of firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode, with its HTTP status and google.rpc status.
  it.each([
    [400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'rejected', true],
    [404, 'NOT_FOUND', 'UNREGISTERED', 'rejected', true],
    [403, 'PERMISSION_DENIED', 'SENDER_ID_MISMATCH', 'rejected', false],
    [429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED', 'retry', false],
    [503, 'UNAVAILABLE', 'UNAVAILABLE', 'retry', false],
    [500, 'INTERNAL', 'INTERNAL', 'retry', false],
    [401, 'UNAUTHENTICATED', 'THIRD_PARTY_AUTH_ERROR', 'retry', false],
    [400, 'INVALID_ARGUMENT', 'UNSPECIFIED_ERROR', 'rejected', false],
  ])('%i %s %s: %s, token dead: %s', (status, rpcStatus, code, kind, isDead) => {
    const outcome = of(refused(status, rpcStatus, [fcmError(code)]))
    expect(outcome).toMatchObject({ kind, reason: code })
    expect('deadAddress' in outcome && outcome.deadAddress).toBe(isDead)
  })
  it("does not blame the access token for the app's own APNs key", () => {
    expect(isThirdPartyAuthError(refused(401, 'UNAUTHENTICATED', [fcmError('THIRD_PARTY_AUTH_ERROR')]))).toBe(true)
    expect(isThirdPartyAuthError(refused(401, 'UNAUTHENTICATED'))).toBe(false)
  })
})
