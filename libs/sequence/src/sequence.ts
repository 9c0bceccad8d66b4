// The words of one sequence, the run of one send for one user: what can happen, what is true meanwhile, what may be put to it.
import type {
  ChannelType,
  EngagementKind,
  EngagementRecorded,
  EscalationRegretted,
  LateSignal,
  OnFailure,
  SequenceEnded,
  SequenceOutcome,
  SequenceStarted,
  SequenceStep,
  StepCommanded,
  StepDeferred,
  StepEnded,
  StepEndReason,
} from '@stepcast/contracts'

export type { ChannelType } from '@stepcast/contracts'

/** A fact of a sequence, as `SequenceChanged` carries it. Facts are never rewritten; old shapes go through `upcast`. */
export type SequenceEvent =
  | SequenceStarted
  | StepCommanded
  | StepDeferred
  | EngagementRecorded
  | StepEnded
  | EscalationRegretted
  | SequenceEnded

/**
 * Everything one turn did to one sequence, as far as the core needs it. `recordedAt` is the turn's time, milliseconds since the epoch
 * by the database's clock; the inputs of that turn carried it as `now`.
 */
export interface Change {
  readonly recordedAt: number
  readonly events: readonly SequenceEvent[]
}

// ── What is true ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The rules this sequence runs by, pinned when it started: a template's later edit changes nothing here (rule 14). */
export interface Plan {
  /** The last step is terminal: it has no condition and never waits. */
  readonly steps: readonly SequenceStep[]
  readonly onFailure: OnFailure
  readonly lateSignal: LateSignal
  /** A command expires this many milliseconds after it was given. */
  readonly dispatchTtlMs: number
}

/**
 * What one step sends on one channel, by what is known of it:
 *
 *     deferred ──► open ──► sent ──► failed
 *                    ├────────────► failed
 *                    ├────────────► skipped
 *                    └────────────► expired
 *
 * A step counts deferred and open messages as **open**, and failed, skipped and expired ones as **closed**.
 */
export type Message = DeferredMessage | OpenMessage | SentMessage | ClosedMessage

/** Waits for the end of quiet hours; never commanded so far. */
export interface DeferredMessage {
  readonly standing: 'deferred'
  readonly channelType: ChannelType
  /** When quiet hours are asked again, milliseconds since the epoch. */
  readonly until: number
}

interface CommandedMessage {
  readonly channelType: ChannelType
  readonly commandedAt: number
  /** The dispatcher answers by then and never sends after it. */
  readonly expiresAt: number
}

/** Commanded, and nothing was reported yet. */
export interface OpenMessage extends CommandedMessage {
  readonly standing: 'open'
}

/** Accepted by the provider or stored in the feed (`requested`), possibly so (`unknown`), or engaged with, which implies it. */
export interface SentMessage extends CommandedMessage {
  readonly standing: 'sent'
  /** The kinds recorded, in order of record, each once. */
  readonly reported: readonly EngagementKind[]
}

/** Nobody expects anything of it any more. What is reported later is only recorded, unless it meets a stop condition. */
export interface ClosedMessage extends CommandedMessage {
  readonly standing: 'failed' | 'skipped' | 'expired'
  /** When the dispatcher answered, clamped to [commandedAt, recordedAt]; for an expired message its `expiresAt`. */
  readonly closedAt: number
  readonly reported: readonly EngagementKind[]
}

/** A step that was entered, by its first `StepCommanded` or `StepDeferred`. */
export interface EnteredStep {
  /** Position, from 1. */
  readonly step: number
  readonly messages: readonly Message[]
  /** When the first message was sent, clamped to [commandedAt, recordedAt]; null before. The wait window counts from here (rule 1). */
  readonly windowStartedAt: number | null
  /** How the step ended, and when that was recorded; null while it is the current one. */
  readonly ended: { readonly reason: StepEndReason; readonly recordedAt: number } | null
  /** Whether its condition came in late, after a later step was sent. At most once per step. */
  readonly regretted: boolean
}

/** Nothing is known of the sequence. */
export interface NotStarted {
  readonly status: 'notStarted'
}

/** A step is under way. */
export interface Running {
  readonly status: 'running'
  readonly plan: Plan
  /** The current step, from 1; 0 only within the first change, between `SequenceStarted` and the first step. */
  readonly step: number
  /** The steps entered so far: `entered[n - 1]` is step n. */
  readonly entered: readonly EnteredStep[]
}

/** The outcome stands for ever; engagements are still recorded, and regrets noted. */
export interface Ended {
  readonly status: 'ended'
  readonly plan: Plan
  readonly outcome: SequenceOutcome
  /** The step whose condition stopped the sequence; null for any other outcome. */
  readonly step: number | null
  /** The kind that stopped it; null for any other outcome. */
  readonly engagement: EngagementKind | null
  readonly entered: readonly EnteredStep[]
}

/** One sequence at one moment: the fold of its events. */
export type Sequence = NotStarted | Running | Ended

/** Where every fold begins. */
export const notStarted: Sequence = { status: 'notStarted' }

// ── What may be put to it ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Start the sequence. A second start of a known sequence changes nothing (rules 16, 17). */
export interface StartInput {
  readonly type: 'start'
  /** The turn's time, milliseconds since the epoch, by the database's clock. */
  readonly now: number
  readonly steps: readonly SequenceStep[]
  readonly onFailure: OnFailure
  readonly lateSignal: LateSignal
  readonly dispatchTtlMs: number
  readonly tag: string | null
  readonly source: string
  readonly requestedAt: number | null
  /** A cancel that covers this sequence was recorded before: it is born cancelled and enters no step (rule 15). */
  readonly cancelled: boolean
  /** End of the user's quiet hours when `now` is inside them, else null. In-app is exempt (rule 21). */
  readonly quietUntil: number | null
}

/** A fact about a message was reported. */
export interface EngagementInput {
  readonly type: 'engagement'
  readonly now: number
  readonly messageId: string
  readonly step: number
  readonly channelType: string
  readonly kind: EngagementKind
  /** As reported; only ever trusted within [commandedAt, now]. */
  readonly occurredAt: number
  readonly source: string
  readonly reason: string | null
  readonly providerMessageId: string | null
  readonly detail: Readonly<Record<string, string>>
  readonly quietUntil: number | null
}

/** Do what is due at `now`. Early, late, repeated and stale timers are harmless: what is due follows from the state alone. */
export interface TimerInput {
  readonly type: 'timer'
  readonly now: number
  /** `receipts_behind`: fired although reports were still waiting to be read (rule 20). */
  readonly note: 'receipts_behind' | null
  readonly quietUntil: number | null
}

/** What holds deferred messages back may have changed: ask again, whenever. Where nothing is deferred it changes nothing (rule 21). */
export interface ReconsiderInput {
  readonly type: 'reconsider'
  readonly now: number
  readonly quietUntil: number | null
}

/** End the sequence where it stands (rule 15). */
export interface CancelInput {
  readonly type: 'cancel'
  readonly now: number
}

/** What the shell may put to a sequence. Time and quiet hours are data: the core has no clock and knows no timezone. */
export type SequenceInput = StartInput | EngagementInput | TimerInput | ReconsiderInput | CancelInput

// ── What it answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The input is not for this sequence; the shell makes a dead letter of it, or parks it while the sequence has `not_started`. */
export interface Refusal {
  readonly type: 'refused'
  readonly reason: 'not_started' | 'unknown_channel' | 'step_never_commanded'
  /** One sentence for the operator. */
  readonly detail: string
}

/** Facts to record, in order (none: nothing new), or a refusal. */
export type Decision = readonly SequenceEvent[] | Refusal

/** Whether the decision is a refusal. */
export const isRefusal = (decision: Decision): decision is Refusal => 'type' in decision

/** A command for the dispatcher of one channel, derived from recorded facts alone. */
export interface Effect {
  readonly type: 'send' | 'withdraw'
  readonly step: number
  readonly channelType: ChannelType
  readonly commandedAt: number
  readonly expiresAt: number
  /** The step's wait window in milliseconds; null on the terminal step. */
  readonly windowMs: number | null
}

/** The one live timer of a running sequence. */
export interface Timer {
  /** Milliseconds since the epoch. */
  readonly dueAt: number
  readonly step: number
}
