// What a fact makes of a target: the rules of the ledger, without a database.
import type { AnsweringTarget } from './answer'
import type { Outcome } from './provider'
import type { RefusedByProvider } from './unsubscribes'

/** A target as the ledger holds it. */
export interface Target extends AnsweringTarget {
  readonly messageId: string
  readonly attempts: number
  /** Raised by every claim: a fact of an earlier claim is recognised by it. */
  readonly fence: number
  /** Whether the command was taken back, perhaps while an attempt was under way: then it is the last one. */
  readonly isWithdrawn: boolean
  /** What an operator said of its attempts of unknown outcome; null: nothing yet, or an attempt since is unknown again. */
  readonly resolved: Resolution | null
}

/**
 * What an operator makes of an attempt of unknown outcome: the provider has it (`sent`), provably has not (`not_sent`), or it is
 * attempted once more whatever became of it (`resend`).
 */
export type Resolution = 'sent' | 'not_sent' | 'resend'

interface OfOneClaim {
  readonly messageId: string
  readonly target: string
  readonly fence: number
}

/** Something that happened to a target. */
export type Fact =
  /** An attempt ended. */
  | (OfOneClaim & {
      readonly kind: 'attempted'
      readonly outcome: Outcome
      readonly dead: DeadAddress | null
      readonly alone: Alone | null
      /** Who does not want to hear of whom, where that was the outcome. */
      readonly refused?: RefusedByProvider | null
    })
  /** A claim found that there is nothing to send. */
  | (OfOneClaim & { readonly kind: 'skipped'; readonly reason: string })
  /** A claim found that it cannot be sent, ever. */
  | (OfOneClaim & { readonly kind: 'unsendable'; readonly reason: string })
  /** Its deadline passed: `expiresAt` while waiting, the lease while attempting. */
  | (OfOneClaim & { readonly kind: 'overdue'; readonly state: Target['state'] })
  /** The provider itself spoke of the message (a signed callback): it has it, whatever we thought. */
  | {
      readonly kind: 'confirmed'
      readonly messageId: string
      readonly target: string
      readonly providerMessageId: string | null
      readonly detail?: Readonly<Record<string, string>>
    }
  /** An operator looked after an attempt of unknown outcome; see {@link resolutionProblem} for what is allowed. */
  | { readonly kind: 'resolved'; readonly messageId: string; readonly target: string; readonly as: Resolution }
  /** The orchestrator took the command back: every target not begun. */
  | { readonly kind: 'withdrawn'; readonly messageId: string; readonly target: null }

/** What is known of a message whose only target this is and whose first attempt: all there is; null of any other. */
export interface Alone {
  readonly provider: string
  readonly workspaceId: string
  /** Of its command: the report carries the trace on. */
  readonly traceparent: string | null
  /** The database's clock, milliseconds. */
  readonly nowMs: () => number
}

/** An address that its provider calls gone. */
export interface DeadAddress {
  readonly workspaceId: string
  readonly userId: string
  readonly address: string
  readonly sinceMs: number
}

/** How a channel tries again. */
export interface RetryPolicy {
  /** Whether an attempt of unknown outcome is repeated: yes where repeats collapse (push), no where each costs money. */
  readonly resendUnknown: boolean
  /** Milliseconds until the next attempt, given how many there were and what the provider asked for. */
  backoffMs(attempts: number, afterMs: number | null): number
}

/** What changes. */
export interface Transition extends Pick<Target, 'state' | 'uncertain' | 'reason' | 'providerMessageId' | 'resolved' | 'detail'> {
  /** When to attempt next; null: not by ourselves. */
  readonly dueInMs: number | null
  /** Whether anything may still be attempted before `expiresAt`, by ourselves or because an operator says so. */
  readonly isOpen: boolean
}

const isWaiting = ({ state, uncertain }: Target): boolean =>
  state === 'pending' || state === 'retry_at' || (state === 'unknown' && uncertain)

// Possibly sent stays possibly sent, whatever ends it.
const ended = (
  { uncertain, reason: before, resolved }: Pick<Target, 'uncertain' | 'reason' | 'resolved'>,
  state: Target['state'],
  reason: string,
): Transition => ({
  ...(uncertain ? { state: 'unknown', reason: before } : { state, reason }),
  uncertain,
  resolved,
  providerMessageId: null,
  dueInMs: null,
  isOpen: false,
})

const accepted = (
  { uncertain, resolved }: Pick<Target, 'uncertain' | 'resolved'>,
  { providerMessageId, detail }: Pick<Target, 'providerMessageId' | 'detail'>,
): Transition => ({ state: 'accepted', uncertain, resolved, reason: null, providerMessageId, detail, dueInMs: null, isOpen: false })

/** Applies a fact; null: it changes nothing (too late, or of another claim). */
export function transition(row: Target, fact: Fact, policy: RetryPolicy): Transition | null {
  if (fact.kind === 'resolved') return resolved(row, fact.as)
  const next = row.state === 'accepted' ? null : applied(row, fact, policy)
  return next?.isOpen && row.isWithdrawn ? ended(next, 'withdrawn', 'withdrawn') : next
}

function applied(row: Target, fact: Exclude<Fact, { kind: 'resolved' }>, policy: RetryPolicy): Transition | null {
  switch (fact.kind) {
    case 'attempted':
      return attempted(row, fact, policy)
    case 'skipped':
      return isWaiting(row) && row.fence === fact.fence ? ended(row, 'skipped', fact.reason) : null
    case 'unsendable':
      return isWaiting(row) && row.fence === fact.fence ? ended(row, 'rejected', fact.reason) : null
    case 'overdue':
      if (row.fence !== fact.fence || row.state !== fact.state) return null
      return row.state === 'attempting' ? unknown(row, 'lease_expired', policy) : ended(row, 'expired', 'expired')
    case 'confirmed':
      // What was never attempted cannot have arrived. With one attempt no doubt is left; of several, more than one may have been taken.
      return row.attempts === 0 ? null : accepted({ ...row, uncertain: row.uncertain && row.attempts > 1 }, fact)
    case 'withdrawn':
      return isWaiting(row) ? ended(row, 'withdrawn', 'withdrawn') : null
  }
}

function attempted(row: Target, { outcome, fence }: Extract<Fact, { kind: 'attempted' }>, policy: RetryPolicy): Transition | null {
  // The truth, however late and whoever claimed the target since.
  if (outcome.kind === 'accepted') return accepted(row, outcome)
  if (row.state !== 'attempting' || row.fence !== fence) return null
  switch (outcome.kind) {
    case 'rejected':
      return ended(row, 'rejected', outcome.reason)
    case 'unwanted':
      return ended(row, 'skipped', outcome.reason)
    case 'retry':
      return {
        state: 'retry_at',
        uncertain: row.uncertain,
        resolved: row.resolved,
        reason: outcome.reason,
        providerMessageId: null,
        dueInMs: policy.backoffMs(row.attempts, outcome.afterMs),
        isOpen: true,
      }
    case 'unknown':
      return { ...unknown(row, outcome.reason, policy), detail: outcome.detail }
  }
}

const unknown = (row: Target, reason: string, policy: RetryPolicy): Transition => ({
  state: 'unknown',
  uncertain: true,
  // Whatever an operator said before was said of another attempt.
  resolved: null,
  reason,
  providerMessageId: null,
  dueInMs: policy.resendUnknown ? policy.backoffMs(row.attempts, null) : null,
  isOpen: true,
})

/** Why an operator's word cannot be taken, in a sentence; null: it can (said again, it changes nothing). */
export function resolutionProblem(
  {
    state,
    uncertain,
    resolved: before,
    isWithdrawn,
    isExpired,
  }: Pick<Target, 'state' | 'uncertain' | 'resolved' | 'isWithdrawn'> & {
    readonly isExpired: boolean
  },
  as: Resolution,
): string | null {
  if (before !== null) return before === as ? null : `This was resolved as ${before} before.`
  if (!uncertain) return 'The outcome of this message is known: there is nothing to resolve.'
  if (as === 'sent') return null
  if (state === 'attempting') return 'It is being attempted at this moment: look again in a few seconds.'
  if (state === 'accepted') return 'The provider has accepted a later attempt: it can only be resolved as sent.'
  if (as === 'not_sent') return null
  if (isWithdrawn) return 'The sequence has taken this message back: it is not sent again.'
  return isExpired ? 'The time in which it may be sent (expiresAt) has passed.' : null
}

function resolved(row: Target, as: Resolution): Transition | null {
  if (!row.uncertain || row.resolved !== null) return null
  switch (as) {
    case 'sent':
      return accepted({ uncertain: true, resolved: as }, row)
    case 'not_sent':
      if (row.state === 'attempting' || row.state === 'accepted') return null
      return ended({ ...row, uncertain: false, resolved: as }, 'rejected', as)
    case 'resend':
      return isWaiting(row) && !row.isWithdrawn ? { ...row, resolved: as, dueInMs: 0, isOpen: true } : null
  }
}
