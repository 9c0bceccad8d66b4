// The one answer of a message with several targets: the best of their outcomes, once nothing better can come soon.
import type { EngagementReported } from '@stepcast/contracts'

/** Where one target stands. */
export type TargetState =
  /** Not begun. */
  | 'pending'
  /** An attempt is under way, or was when its process died. */
  | 'attempting'
  /** Provably not taken, to be tried again. */
  | 'retry_at'
  /** Perhaps taken. */
  | 'unknown'
  | 'accepted'
  | 'rejected'
  | 'skipped'
  | 'withdrawn'
  | 'expired'

/** One target as far as the answer depends on it. */
export interface AnsweringTarget {
  readonly target: string
  readonly provider: string
  readonly state: TargetState
  /** Whether any attempt ended unknown: from then on it possibly was sent. */
  readonly uncertain: boolean
  readonly reason: string | null
  readonly providerMessageId: string | null
  /** What the provider told with its acceptance, for the report. */
  readonly detail?: Readonly<Record<string, string>> | undefined
}

/** What a dispatcher reports of a message. */
export interface Answer extends Pick<EngagementReported, 'occurredAt' | 'reason' | 'providerMessageId' | 'detail'> {
  readonly kind: 'requested' | 'unknown' | 'failed' | 'skipped'
}

/**
 * The answer as the targets stand: `requested` if any was accepted, else `unknown` if any is uncertain, else `failed` if any failed, else
 * `skipped`. Null while a better one may still come: an unknown one waits for first attempts only, since a retry may take an hour.
 */
export function answerOf(targets: readonly AnsweringTarget[], nowMs: number): Answer | null {
  const accepted = targets.find(({ state }) => state === 'accepted')
  if (accepted) return answer('requested', accepted, nowMs)
  if (targets.some(({ state, uncertain }) => !uncertain && (state === 'pending' || state === 'attempting'))) return null
  const uncertain = targets.find((target) => target.uncertain)
  if (uncertain) return answer('unknown', uncertain, nowMs)
  if (targets.some(({ state }) => state === 'retry_at')) return null
  const failed = targets.find(({ state }) => state === 'rejected') ?? targets.find(({ state }) => state === 'expired')
  if (failed) return answer('failed', failed, nowMs)
  const [first] = targets
  return first === undefined ? null : answer('skipped', first, nowMs)
}

const answer = (kind: Answer['kind'], { provider, target, reason, providerMessageId, detail }: AnsweringTarget, nowMs: number): Answer => ({
  kind,
  occurredAt: nowMs,
  reason: kind === 'requested' ? null : reason,
  providerMessageId,
  detail: { provider, target, ...detail },
})

/** An answer without any target: nobody to send to, or too late. */
export const answerWithoutTarget = (kind: 'skipped' | 'failed', reason: string, nowMs: number): Answer => ({
  kind,
  occurredAt: nowMs,
  reason,
  providerMessageId: null,
  detail: {},
})

const rank: Readonly<Record<Answer['kind'], number>> = { skipped: 0, failed: 1, unknown: 2, requested: 3 }

/**
 * Whether an answer says more than the one given before: a status never regresses. `failed` after `unknown` does say more: doubt stays
 * with a target until somebody has looked, so it is what an operator found out.
 */
export const improves = (before: Answer | null, after: Answer): boolean =>
  before === null || rank[after.kind] > rank[before.kind] || (before.kind === 'unknown' && after.kind === 'failed')

/** The report of an answer, as Kafka gets it. */
export const reportOf = (workspaceId: string, messageId: string, source: string, { kind, ...rest }: Answer): EngagementReported => ({
  workspaceId,
  messageId,
  kind,
  source,
  ...rest,
})
