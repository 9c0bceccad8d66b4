// What a fact makes of a target: the rules of the ledger, without a database.
import type { AnsweringTarget } from './answer'
import type { Outcome } from './provider'

/** A target as the ledger holds it. */
export interface Target extends AnsweringTarget {
  readonly messageId: string
  readonly attempts: number
  /** Raised by every claim: a fact of an earlier claim is recognised by it. */
  readonly fence: number
  /** Whether the command was taken back, perhaps while an attempt was under way: then it is the last one. */
  readonly isWithdrawn: boolean
}

interface OfOneClaim {
  readonly messageId: string
  readonly target: string
  readonly fence: number
}

/** Something that happened to a target. */
export type Fact =
  /** An attempt ended. */
  | (OfOneClaim & { readonly kind: 'attempted'; readonly outcome: Outcome; readonly dead: DeadAddress | null })
  /** A claim found that there is nothing to send. */
  | (OfOneClaim & { readonly kind: 'skipped'; readonly reason: string })
  /** A claim found that it cannot be sent, ever. */
  | (OfOneClaim & { readonly kind: 'unsendable'; readonly reason: string })
  /** Its deadline passed: `expiresAt` while waiting, the lease while attempting. */
  | (OfOneClaim & { readonly kind: 'overdue'; readonly state: Target['state'] })
  /** The orchestrator took the command back: every target not begun. */
  | { readonly kind: 'withdrawn'; readonly messageId: string; readonly target: null }

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

/** What changes; `dueInMs` null: nothing more will be attempted. */
export interface Transition extends Pick<Target, 'state' | 'uncertain' | 'reason' | 'providerMessageId'> {
  readonly dueInMs: number | null
}

const isWaiting = ({ state, uncertain }: Target): boolean =>
  state === 'pending' || state === 'retry_at' || (state === 'unknown' && uncertain)

// Possibly sent stays possibly sent, whatever ends it.
const ended = (
  { uncertain, reason: before }: Pick<Target, 'uncertain' | 'reason'>,
  state: Target['state'],
  reason: string,
): Transition => ({
  ...(uncertain ? { state: 'unknown', reason: before } : { state, reason }),
  uncertain,
  providerMessageId: null,
  dueInMs: null,
})

/** Applies a fact; null: it changes nothing (too late, or of another claim). */
export function transition(row: Target, fact: Fact, policy: RetryPolicy): Transition | null {
  const next = row.state === 'accepted' ? null : applied(row, fact, policy)
  return next !== null && next.dueInMs !== null && row.isWithdrawn ? ended(next, 'withdrawn', 'withdrawn') : next
}

function applied(row: Target, fact: Fact, policy: RetryPolicy): Transition | null {
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
    case 'withdrawn':
      return isWaiting(row) ? ended(row, 'withdrawn', 'withdrawn') : null
  }
}

function attempted(row: Target, { outcome, fence }: Extract<Fact, { kind: 'attempted' }>, policy: RetryPolicy): Transition | null {
  // The truth, however late and whoever claimed the target since.
  if (outcome.kind === 'accepted') {
    return { state: 'accepted', uncertain: row.uncertain, reason: null, providerMessageId: outcome.providerMessageId, dueInMs: null }
  }
  if (row.state !== 'attempting' || row.fence !== fence) return null
  switch (outcome.kind) {
    case 'rejected':
      return ended(row, 'rejected', outcome.reason)
    case 'retry':
      return {
        state: 'retry_at',
        uncertain: row.uncertain,
        reason: outcome.reason,
        providerMessageId: null,
        dueInMs: policy.backoffMs(row.attempts, outcome.afterMs),
      }
    case 'unknown':
      return unknown(row, outcome.reason, policy)
  }
}

const unknown = (row: Target, reason: string, policy: RetryPolicy): Transition => ({
  state: 'unknown',
  uncertain: true,
  reason,
  providerMessageId: null,
  dueInMs: policy.resendUnknown ? policy.backoffMs(row.attempts, null) : null,
})
