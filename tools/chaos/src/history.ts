// What was asked of the product and what was seen of it: all that the checker knows. Plain values, so that a spec can write one by hand.
import type { ChannelType, DispatchStep, EngagementKind, SendRequested, SequenceChanged } from '@stepcast/contracts'

/** A record as it stands on its topic. */
export interface Recorded<T> {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly value: T
  /** Of the value's bytes: equal records have equal digests. */
  readonly digest: string
}

/** A person's share of a send that was answered 202, or acknowledged by Kafka. */
export interface Accepted {
  readonly sequenceId: string
  readonly workspaceId: string
  readonly sendId: string
  readonly userId: string
  readonly templateId: string
  /** When the answer was there, milliseconds of this machine's clock, which is the database's too. */
  readonly acceptedAt: number
}

/** An engagement that Kafka acknowledged, or the product answered 204 for. */
export interface Receipt {
  readonly messageId: string
  readonly kind: EngagementKind
  /** When it was first put on its way, and when the first of its copies was acknowledged. */
  readonly sentAt: number
  readonly ackedAt: number
  /** It went straight to its sequence's home partition, so its place among the timers is promised (rule 20). */
  readonly isKeyed: boolean
}

/** A cancel that was answered. */
export interface Cancelled {
  readonly workspaceId: string
  /** `user`: the person was erased. */
  readonly scope: 'sequence' | 'send' | 'user'
  readonly id: string
  readonly answeredAt: number
}

/** An opt-out that was answered. */
export interface OptedOut {
  readonly workspaceId: string
  readonly userId: string
  readonly channel: ChannelType
  readonly answeredAt: number
}

/** A request that arrived at a provider. */
export interface Arrival {
  readonly messageId: string | null
  /** The device token, or a number. */
  readonly to: string
  /** RFC 3339. */
  readonly at: string
  /** `200`, `201`, `hang` or `reset` where the provider took it; else its refusal. */
  readonly answer: string
}

/** A record that nobody can use, put on a topic on purpose. */
export interface Poison {
  readonly topic: string
  readonly digest: string
  /** The reason its dead letter must give, or one of two: `not_avro or too_large`. */
  readonly reason: string
  /** Where it stands, `partition/offset`: what cannot be read at all has no bytes to be known by. Empty: not known yet. */
  place: string
}

/** A dead letter. */
export interface DeadLetter {
  readonly topic: string
  /** Of the record's value, also where the letter does not keep that. */
  readonly digest: string
  /** `partition/offset` of the record. */
  readonly place: string
  readonly reason: string
  readonly detail: string
}

/** An attempt of unknown outcome, as the product lists it. */
export interface Unknown {
  readonly messageId: string
  readonly target: string
}

/** The numbers of a template as `GET /v1/metrics/templates/{id}` tells them, as far as they are compared. */
export interface Numbers {
  readonly recipients: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly steps: readonly (Readonly<Record<string, unknown>> & {
    readonly step: number
    readonly channels: readonly (Readonly<Record<string, unknown>> & { readonly channelType: string })[]
  })[]
}

/** What only the end can tell. */
export interface Final {
  /** By `workspaceId/templateId`. */
  readonly numbers: ReadonlyMap<string, Numbers>
  /** Rows of the orchestrator's timers. */
  readonly timers: number
}

/** Everything. */
export interface History {
  /** Sends that were ever tried: nothing else may start. */
  readonly asked: ReadonlySet<string>
  readonly accepted: readonly Accepted[]
  readonly receipts: readonly Receipt[]
  readonly cancels: readonly Cancelled[]
  readonly optOuts: readonly OptedOut[]
  readonly poison: readonly Poison[]
  readonly arrivals: readonly Arrival[]
  readonly sends: readonly Recorded<SendRequested>[]
  readonly changes: readonly Recorded<SequenceChanged>[]
  readonly commands: readonly Recorded<DispatchStep>[]
  readonly deadLetters: readonly DeadLetter[]
  /** Attempts of unknown outcome, as listed after the arrivals were read; null: not asked for. */
  readonly unknown: readonly Unknown[] | null
  /** Null while the run goes on: what is not there yet may still come. */
  readonly final: Final | null
}

/** A promise that was not kept. */
export interface Breach {
  /** The promise, in words. */
  readonly promise: string
  readonly what: string
  /** Whose story tells it; null: nobody's. */
  readonly sequenceId: string | null
}

/** The `source` of the driver's own engagements. */
export const driver = 'chaos'

/** Kinds by which a dispatcher answers a command. */
export const answers: readonly EngagementKind[] = ['requested', 'unknown', 'failed', 'skipped']

const ranks: Readonly<Record<string, number>> = { delivered: 1, viewed: 2, clicked: 3 }

/** Whether an engagement meets a condition: clicked implies viewed implies delivered. */
export const meets = (kind: string, condition: string | null): boolean =>
  condition !== null && (ranks[kind] ?? 0) >= (ranks[condition] ?? Infinity)

/** The target of an address: the device of a token of ours, `phone_<userId>_<deviceId>` or `bad_<userId>_<deviceId>`; else a number. */
export const targetOf = (address: string): string => (address.includes('_') ? address.slice(address.lastIndexOf('_') + 1) : 'number')

/** Channels on which each message costs money: what is possibly sent is not sent again (rule 12). */
export const isPaid = (channelType: string): boolean => channelType === 'sms' || channelType === 'kakao'
