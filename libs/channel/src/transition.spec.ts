// The rules of the ledger: what each fact makes of a target.
import type { Outcome } from './provider'
import { transition, type Fact, type RetryPolicy, type Target } from './transition'

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
  ...changes,
})
const attempted = (outcome: Outcome, fence = 7): Fact => ({ kind: 'attempted', messageId: 'm', target: 't', fence, outcome, dead: null })
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
