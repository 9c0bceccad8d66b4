// One answer per message: the best of its targets.
import { answerOf, improves, type AnsweringTarget, type TargetState } from './answer'

const target = (state: TargetState, uncertain = false): AnsweringTarget => ({
  target: `${state}-phone`,
  provider: 'fcm',
  state,
  uncertain,
  reason: state === 'rejected' ? 'UNREGISTERED' : state,
  providerMessageId: null,
})
const kindOf = (...targets: AnsweringTarget[]): string | null => answerOf(targets, 1_000)?.kind ?? null

describe('the answer of a message', () => {
  it('is requested as soon as one target was accepted, others pending or not', () => {
    expect(kindOf(target('accepted'), target('pending'))).toBe('requested')
    expect(kindOf(target('rejected'), target('accepted'), target('unknown', true))).toBe('requested')
  })
  it('waits for first attempts', () => {
    expect(kindOf(target('pending'))).toBeNull()
    expect(kindOf(target('attempting'), target('rejected'))).toBeNull()
    expect(kindOf(target('attempting'), target('unknown', true))).toBeNull()
  })
  it('is unknown when one was possibly sent, though another will be tried again', () => {
    expect(kindOf(target('unknown', true), target('retry_at'))).toBe('unknown')
    expect(kindOf(target('attempting', true), target('rejected'))).toBe('unknown')
  })
  it('waits for what will be tried again when nothing was possibly sent', () => {
    expect(kindOf(target('retry_at'), target('rejected'))).toBeNull()
  })
  it('is failed when one failed and none was sent', () => {
    expect(answerOf([target('skipped'), target('rejected')], 1_000)).toMatchObject({
      kind: 'failed',
      reason: 'UNREGISTERED',
      detail: { provider: 'fcm', target: 'rejected-phone' },
    })
    expect(answerOf([target('expired')], 1_000)).toMatchObject({ kind: 'failed', reason: 'expired' })
  })
  it('is skipped when every target was', () => {
    expect(answerOf([target('withdrawn'), target('withdrawn')], 1_000)).toMatchObject({ kind: 'skipped', reason: 'withdrawn' })
  })
  it('never regresses', () => {
    const requested = answerOf([target('accepted')], 1_000)!
    const unknown = answerOf([target('unknown', true)], 1_000)!
    const failed = answerOf([target('rejected')], 1_000)!
    expect([
      improves(null, failed),
      improves(unknown, requested),
      improves(requested, unknown),
      improves(requested, failed),
      improves(unknown, unknown),
    ]).toEqual([true, true, false, false, false])
  })
  it('is failed after unknown once an operator found that it was not sent', () => {
    const unknown = answerOf([target('unknown', true)], 1_000)!
    const notSent = answerOf([{ ...target('rejected'), reason: 'not_sent' }], 2_000)!
    expect(notSent).toMatchObject({ kind: 'failed', reason: 'not_sent' })
    expect(improves(unknown, notSent)).toBe(true)
  })
  it('carries what the provider told of its acceptance', () => {
    const detail = { segments: '2', price: '0.0150', currency: 'USD' }
    expect(answerOf([{ ...target('accepted'), detail }], 1_000)!.detail).toEqual({ provider: 'fcm', target: 'accepted-phone', ...detail })
  })
})
