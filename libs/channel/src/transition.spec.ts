// The rules of the ledger: what each fact makes of a target.
import type { Outcome } from './provider'
import { resolutionProblem, transition, type Fact, type Resolution, type RetryPolicy, type Target } from './transition'

const push: RetryPolicy = { resendUnknown: true, backoffMs: (attempts, afterMs) => afterMs ?? attempts * 100 }
const paid: RetryPolicy = { ...push, resendUnknown: false }
const row = (changes: Partial<Target> = {}): Target => ({
  messageId: 'm',
  target: 't',
  provider: 'fcm',
  state: 'attempting',
  attempts: 1,
  fence: 7,
  uncertain: false,
  reason: null,
  providerMessageId: null,
  isWithdrawn: false,
  resolved: null,
  ...changes,
})
const attempted = (outcome: Outcome, fence = 7): Fact => ({
  kind: 'attempted',
  messageId: 'm',
  target: 't',
  fence,
  outcome,
  dead: null,
  alone: null,
})
const accepted: Outcome = { kind: 'accepted', providerMessageId: 'p1' }
const retry: Outcome = { kind: 'retry', reason: 'QUOTA_EXCEEDED', afterMs: 3_000 }
const rejected: Outcome = { kind: 'rejected', reason: 'UNREGISTERED', deadAddress: true }
const lost: Outcome = { kind: 'unknown', reason: 'timeout' }

describe('a target', () => {
  it("is accepted, with the provider's id", () => {
    expect(transition(row(), attempted(accepted), push)).toMatchObject({ state: 'accepted', providerMessageId: 'p1', dueInMs: null })
  })
  it('is accepted however late the answer comes', () => {
    expect(transition(row({ state: 'unknown', uncertain: true, fence: 9 }), attempted(accepted), push)).toMatchObject({ state: 'accepted' })
  })
  it('stays accepted whatever comes later', () => {
    expect(transition(row({ state: 'accepted' }), attempted(rejected), push)).toBeNull()
    expect(transition(row({ state: 'accepted' }), { kind: 'withdrawn', messageId: 'm', target: null }, push)).toBeNull()
  })
  it('is tried again when provably not taken, when the provider said', () => {
    expect(transition(row(), attempted(retry), push)).toMatchObject({ state: 'retry_at', uncertain: false, dueInMs: 3_000 })
  })
  it("ignores another claim's failure", () => {
    expect(transition(row({ fence: 8 }), attempted(retry), push)).toBeNull()
    expect(transition(row({ fence: 8 }), attempted(rejected), push)).toBeNull()
  })
  it('of unknown outcome is sent again where repeats collapse, never where they cost', () => {
    expect(transition(row(), attempted(lost), push)).toMatchObject({ state: 'unknown', uncertain: true, dueInMs: 100 })
    expect(transition(row(), attempted(lost), paid)).toMatchObject({ state: 'unknown', uncertain: true, dueInMs: null })
  })
  it('possibly sent stays so: rejected, skipped, withdrawn or expired later', () => {
    const uncertain = row({ state: 'unknown', uncertain: true })
    expect(transition({ ...uncertain, state: 'attempting' }, attempted(rejected), push)).toMatchObject({ state: 'unknown', dueInMs: null })
    expect(transition(uncertain, { kind: 'skipped', messageId: 'm', target: 't', fence: 7, reason: 'opted_out' }, push)).toMatchObject({
      state: 'unknown',
      dueInMs: null,
    })
    expect(transition(uncertain, { kind: 'withdrawn', messageId: 'm', target: null }, push)).toMatchObject({
      state: 'unknown',
      dueInMs: null,
    })
    expect(transition(uncertain, { kind: 'overdue', messageId: 'm', target: 't', fence: 7, state: 'unknown' }, push)).toMatchObject({
      state: 'unknown',
      dueInMs: null,
    })
  })
  it('whose lease ended while attempting is unknown', () => {
    const fact: Fact = { kind: 'overdue', messageId: 'm', target: 't', fence: 7, state: 'attempting' }
    expect(transition(row(), fact, push)).toMatchObject({ state: 'unknown', uncertain: true, reason: 'lease_expired' })
  })
  it('that waited past expiresAt is expired', () => {
    const fact: Fact = { kind: 'overdue', messageId: 'm', target: 't', fence: 7, state: 'retry_at' }
    expect(transition(row({ state: 'retry_at' }), fact, push)).toMatchObject({ state: 'expired', reason: 'expired' })
    expect(transition(row({ state: 'attempting' }), fact, push)).toBeNull()
  })
  it('is withdrawn while pending or waiting to be tried again, never once begun', () => {
    const fact: Fact = { kind: 'withdrawn', messageId: 'm', target: null }
    expect(transition(row({ state: 'pending' }), fact, push)).toMatchObject({ state: 'withdrawn' })
    expect(transition(row({ state: 'retry_at' }), fact, push)).toMatchObject({ state: 'withdrawn' })
    expect(transition(row({ state: 'attempting' }), fact, push)).toBeNull()
  })
  it('withdrawn during an attempt is not attempted again', () => {
    expect(transition(row({ isWithdrawn: true }), attempted(retry), push)).toMatchObject({ state: 'withdrawn', dueInMs: null })
    expect(transition(row({ isWithdrawn: true }), attempted(lost), push)).toMatchObject({
      state: 'unknown',
      reason: 'timeout',
      dueInMs: null,
    })
    expect(transition(row({ isWithdrawn: true }), attempted(accepted), push)).toMatchObject({ state: 'accepted' })
  })
})

describe('a message whose provider speaks of it', () => {
  const confirmed: Fact = { kind: 'confirmed', messageId: 'm', target: 't', providerMessageId: 'SM1', detail: { segments: '1' } }

  it('is accepted, whatever was thought of its one attempt, and no doubt is left', () => {
    for (const state of ['attempting', 'unknown', 'retry_at'] as const) {
      expect(transition(row({ state, uncertain: state === 'unknown' }), confirmed, paid)).toMatchObject({
        state: 'accepted',
        uncertain: false,
        providerMessageId: 'SM1',
        detail: { segments: '1' },
        dueInMs: null,
        isOpen: false,
      })
    }
  })
  it('stays on the list when several attempts were made: more than one may have been taken', () => {
    const twice = row({ state: 'unknown', uncertain: true, attempts: 2 })
    expect(transition(twice, confirmed, paid)).toMatchObject({ state: 'accepted', uncertain: true })
  })
  it('changes nothing when it was accepted before or never attempted', () => {
    expect(transition(row({ state: 'accepted' }), confirmed, paid)).toBeNull()
    expect(transition(row({ state: 'pending', attempts: 0 }), confirmed, paid)).toBeNull()
  })
})

describe("an operator's word on an unknown attempt", () => {
  const unsure = row({ state: 'unknown', uncertain: true, reason: 'timeout' })
  const word = (as: Resolution): Fact => ({ kind: 'resolved', messageId: 'm', target: 't', as })
  const problem = (changes: Partial<Target>, as: Resolution, isExpired = false): string | null =>
    resolutionProblem({ ...unsure, isExpired, ...changes }, as)

  it('can be given as long as the message may be sent, where nobody repeats it by himself', () => {
    expect(transition(row(), attempted(lost), paid)).toMatchObject({ state: 'unknown', dueInMs: null, isOpen: true })
    const expired: Fact = { kind: 'overdue', messageId: 'm', target: 't', fence: 7, state: 'unknown' }
    expect(transition(unsure, expired, paid)).toMatchObject({ state: 'unknown', isOpen: false })
  })
  it('sent: it was accepted', () => {
    expect(transition(unsure, word('sent'), paid)).toMatchObject({ state: 'accepted', resolved: 'sent', isOpen: false })
    expect(transition({ ...unsure, state: 'accepted' }, word('sent'), push)).toMatchObject({ state: 'accepted', resolved: 'sent' })
  })
  it('not_sent: it failed, and is not attempted again', () => {
    const notSent = { state: 'rejected', reason: 'not_sent', uncertain: false, dueInMs: null }
    expect(transition(unsure, word('not_sent'), push)).toMatchObject(notSent)
  })
  it('resend: it is attempted now', () => {
    const again = { state: 'unknown', uncertain: true, resolved: 'resend', dueInMs: 0, isOpen: true }
    expect(transition(unsure, word('resend'), paid)).toMatchObject(again)
  })
  it('said twice changes nothing, and another word is refused', () => {
    expect(transition({ ...unsure, resolved: 'sent' }, word('sent'), paid)).toBeNull()
    expect([problem({ resolved: 'sent' }, 'sent'), problem({ resolved: 'not_sent', uncertain: false }, 'not_sent')]).toEqual([null, null])
    expect(problem({ resolved: 'sent' }, 'resend')).toBe('This was resolved as sent before.')
  })
  it('is asked for anew when the attempt made since is unknown again', () => {
    expect(transition({ ...unsure, state: 'attempting', resolved: 'resend' }, attempted(lost), paid)).toMatchObject({ resolved: null })
  })
  it('is refused where it cannot be: nothing unknown, under way, accepted since, taken back, expired', () => {
    expect(problem({}, 'resend')).toBeNull()
    expect(problem({ uncertain: false }, 'sent')).toMatch('outcome of this message is known')
    expect(problem({ state: 'attempting' }, 'resend')).toMatch('being attempted')
    expect(problem({ state: 'accepted' }, 'not_sent')).toMatch('accepted a later attempt')
    expect(problem({ isWithdrawn: true }, 'resend')).toMatch('taken this message back')
    expect(problem({}, 'resend', true)).toMatch('expiresAt')
    expect(problem({}, 'not_sent', true)).toBeNull()
    expect(transition({ ...unsure, isWithdrawn: true }, word('resend'), paid)).toBeNull()
  })
})
