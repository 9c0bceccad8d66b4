// APNs' answers and what they mean: every code of Apple's table.
import type { CallResult, Outcome } from '@stepcast/channel'
import { isTokenExpired, outcomeOf } from './apnsOutcome'

const minuteMs = 60_000
const answered = (status: number, body: unknown, headers = {}): Extract<CallResult, { kind: 'answered' }> => ({
  kind: 'answered',
  status,
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
const of = (result: CallResult, isProven = true): Outcome => outcomeOf(result, { minuteMs, nowMs: 0, isProven })
const refused = (status: number, reason: string, isProven = true): Outcome => of(answered(status, { reason }), isProven)

describe('an answer of APNs', () => {
  it('200 is accepted, with its apns-id', () => {
    expect(of(answered(200, '', { 'apns-id': 'an-id' }))).toEqual({ kind: 'accepted', providerMessageId: 'an-id' })
  })

  // Status and reason as in "Handling notification responses from APNs"; the last column: whether the token is dead.
  it.each([
    [400, 'BadCollapseId', 'rejected', false],
    [400, 'BadDeviceToken', 'rejected', true],
    [400, 'BadExpirationDate', 'rejected', false],
    [400, 'BadMessageId', 'rejected', false],
    [400, 'BadPriority', 'rejected', false],
    [400, 'BadTopic', 'retry', false],
    [400, 'DeviceTokenNotForTopic', 'rejected', true],
    [400, 'DuplicateHeaders', 'rejected', false],
    [400, 'IdleTimeout', 'retry', false],
    [400, 'InvalidPushType', 'rejected', false],
    [400, 'MissingDeviceToken', 'rejected', false],
    [400, 'MissingTopic', 'retry', false],
    [400, 'PayloadEmpty', 'rejected', false],
    [400, 'TopicDisallowed', 'retry', false],
    [403, 'BadCertificate', 'retry', false],
    [403, 'BadCertificateEnvironment', 'retry', false],
    [403, 'BadEnvironmentKeyIdInToken', 'retry', false],
    [403, 'ExpiredProviderToken', 'retry', false],
    [403, 'Forbidden', 'rejected', false],
    [403, 'InvalidProviderToken', 'retry', false],
    [403, 'MissingProviderToken', 'retry', false],
    [403, 'UnrelatedKeyIdInToken', 'retry', false],
    [404, 'BadPath', 'rejected', false],
    [405, 'MethodNotAllowed', 'rejected', false],
    [410, 'ExpiredToken', 'rejected', true],
    [410, 'Unregistered', 'rejected', true],
    [429, 'TooManyProviderTokenUpdates', 'retry', false],
    [429, 'TooManyRequests', 'retry', false],
    [500, 'InternalServerError', 'retry', false],
    [503, 'ServiceUnavailable', 'retry', false],
    [503, 'Shutdown', 'retry', false],
  ])('%i %s: %s, token dead: %s', (status, reason, kind, isDead) => {
    const outcome = refused(status, reason)
    expect(outcome).toMatchObject({ kind, reason })
    expect('deadAddress' in outcome && outcome.deadAddress).toBe(isDead)
  })

  it('413 has the reason that is the same for every provider', () =>
    expect(refused(413, 'PayloadTooLarge')).toEqual({ kind: 'rejected', reason: 'too_large', deadAddress: false }))

  it('410 says since when the token is dead, so that one registered later stays', () => {
    expect(of(answered(410, { reason: 'Unregistered', timestamp: 1_700_000_000_000 }))).toEqual({
      kind: 'rejected',
      reason: 'Unregistered',
      deadAddress: true,
      deadSinceMs: 1_700_000_000_000,
    })
  })

  it.each(['BadDeviceToken', 'DeviceTokenNotForTopic'])(
    '%s kills no token of an account that never had a push accepted: its environment or topic may be wrong',
    (reason) => {
      expect(refused(400, reason, false)).toEqual({ kind: 'rejected', reason, deadAddress: false })
      expect(refused(410, 'Unregistered', false)).toMatchObject({ deadAddress: true })
    },
  )

  it('5xx come back after 15 minutes as Apple asks, or when told', () => {
    expect(refused(503, 'ServiceUnavailable')).toMatchObject({ kind: 'retry', afterMs: 15 * minuteMs })
    expect(of(answered(500, '<html>', { 'retry-after': '2' }))).toEqual({ kind: 'retry', reason: 'HTTP_500', afterMs: 2_000 })
  })

  it('429 comes back when told', () => {
    expect(of(answered(429, { reason: 'TooManyRequests' }, { 'retry-after': '7' }))).toMatchObject({ kind: 'retry', afterMs: 7_000 })
    expect(refused(429, 'TooManyRequests')).toMatchObject({ kind: 'retry', afterMs: null })
  })

  it('what is not documented is final, but for credentials', () => {
    expect(refused(400, 'SomethingNew')).toEqual({ kind: 'rejected', reason: 'SomethingNew', deadAddress: false })
    expect(refused(403, 'SomethingNew')).toMatchObject({ kind: 'retry' })
    expect(of(answered(404, '<html>'))).toEqual({ kind: 'rejected', reason: 'HTTP_404', deadAddress: false })
  })

  it('no connection was not taken; a broken one is unknown', () => {
    expect(of({ kind: 'not_begun', reason: 'ECONNREFUSED' })).toEqual({ kind: 'retry', reason: 'ECONNREFUSED', afterMs: null })
    expect(of({ kind: 'broken', reason: 'ECONNRESET' })).toEqual({ kind: 'unknown', reason: 'ECONNRESET' })
  })

  it('tells an expired provider token from everything else', () => {
    expect(isTokenExpired(answered(403, { reason: 'ExpiredProviderToken' }))).toBe(true)
    expect(isTokenExpired(answered(403, { reason: 'InvalidProviderToken' }))).toBe(false)
    expect(isTokenExpired(answered(410, { reason: 'ExpiredToken' }))).toBe(false)
  })
})
