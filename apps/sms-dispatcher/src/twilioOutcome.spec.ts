// What each of Twilio's answers makes of a message.
import type { CallResult } from '@stepcast/channel'
import { segmentsOf } from './segments'
import { outcomeOf } from './twilioOutcome'

const answered = (status: number, body: object | string, headers: Record<string, string> = {}): CallResult => ({
  kind: 'answered',
  status,
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
const outcome = (status: number, body: object | string, headers?: Record<string, string>) =>
  outcomeOf(answered(status, body, headers), () => 2, 0)
const error = (code: number, status: number) => outcome(status, { code, message: 'about +15551234567', status })

describe('an SMS handed to Twilio', () => {
  it('is accepted, with what it is charged as far as Twilio tells', () => {
    expect(outcome(201, { sid: 'SM1', num_segments: '3', price: '-0.02370', price_unit: 'usd' })).toEqual({
      kind: 'accepted',
      providerMessageId: 'SM1',
      detail: { segments: '3', price: '0.02370', currency: 'USD' },
    })
    expect(outcome(201, { sid: 'SM1', num_segments: '3', price: null, price_unit: 'USD' })).toMatchObject({ detail: { segments: '3' } })
  })
  it('has the segments of its text where a messaging service has no sender yet', () =>
    expect(outcome(201, { sid: 'SM1', num_segments: '0' })).toMatchObject({ detail: { segments: '2' } }))
  it('is accepted though the rest of the answer is lost', () =>
    expect(outcome(201, '')).toMatchObject({ kind: 'accepted', providerMessageId: null }))

  it('is tried again when throttled, as late as Twilio says', () => {
    expect(outcome(429, { code: 20429 }, { 'retry-after': '7' })).toEqual({ kind: 'retry', reason: '20429', afterMs: 7_000 })
    expect(error(20429, 429)).toMatchObject({ kind: 'retry', afterMs: null })
    expect(error(21611, 400)).toMatchObject({ kind: 'retry' })
  })
  it.each([
    [20003, 401],
    [20003, 403],
    [20005, 403],
    [20404, 404],
  ])('is tried again when the account is at fault: %i', (code, status) =>
    expect(error(code, status)).toEqual({ kind: 'retry', reason: String(code), afterMs: null }),
  )
  it.each([
    [21211, 400],
    [21612, 400],
    [21614, 400],
    [21408, 403],
    [21606, 400],
  ])('is rejected when the message is: %i. No number is ever forgotten', (code, status) =>
    expect(error(code, status)).toEqual({ kind: 'rejected', reason: String(code), deadAddress: false }),
  )
  it('is unwanted when the person has answered STOP', () => expect(error(21610, 400)).toEqual({ kind: 'unwanted', reason: 'unsubscribed' }))
  it.each([
    [21617, 'too_large'],
    [30019, 'too_large'],
    [21602, 'empty'],
    [21619, 'empty'],
  ])('%i is what every provider means by %s', (code, reason) =>
    expect(error(code, 400)).toEqual({ kind: 'rejected', reason, deadAddress: false }),
  )

  it.each([500, 502, 503, 504, 302])('was perhaps sent after a %i: a repeat could reach the person twice', (status) =>
    expect(outcome(status, { code: 20500 })).toEqual({ kind: 'unknown', reason: '20500', detail: { segments: '2' } }),
  )
  it('was perhaps sent when the connection broke, and was not when none stood', () => {
    expect(outcomeOf({ kind: 'broken', reason: 'timeout' }, () => 1, 0)).toMatchObject({ kind: 'unknown', reason: 'timeout' })
    expect(outcomeOf({ kind: 'not_begun', reason: 'ECONNREFUSED' }, () => 1, 0)).toEqual({
      kind: 'retry',
      reason: 'ECONNREFUSED',
      afterMs: null,
    })
  })
  it("is judged by the status when the body is a proxy's page", () => {
    expect(outcome(400, '<html>')).toMatchObject({ kind: 'rejected', reason: 'HTTP_400' })
    expect(outcome(403, '<html>')).toMatchObject({ kind: 'retry', reason: 'HTTP_403' })
    expect(outcome(503, 'null')).toMatchObject({ kind: 'unknown', reason: 'HTTP_503' })
  })
})

describe('the segments of a text', () => {
  it.each([
    ['a'.repeat(160), 1],
    ['a'.repeat(161), 2],
    ['가'.repeat(70), 1],
    ['가'.repeat(71), 2],
    ['€'.repeat(80), 1],
    ['€'.repeat(81), 2],
    ['', 1],
  ])('are counted as they are paid: %s', (body, segments) => expect(segmentsOf(body)).toBe(segments))
})
