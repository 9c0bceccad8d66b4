// One message of a step: how it moves from command to answer to engagement, and what may be said of it.
import type { ChannelType, EngagementKind, StepEndReason, StopCondition } from '@stepcast/contracts'
import { failure } from './failure'
import type { Message, OpenMessage, SentMessage } from './sequence'

/**
 * How long after `expiresAt` a dispatcher's silence is taken for good, in milliseconds. A dispatcher answers by `expiresAt`; ten seconds
 * is the time its last answer has to arrive: as long as a consumer group takes to notice that one of its members is gone.
 */
export const silenceGraceMs = 10_000

/** When the silence of an unanswered message is taken for good. */
export const silentAt = (message: OpenMessage): number => message.expiresAt + silenceGraceMs

/** The channel of that name. Throws when there is none: templates are checked long before they come here. */
export function channelTypeOf(name: string): ChannelType {
  switch (name) {
    case 'in_app':
    case 'push':
    case 'sms':
    case 'kakao':
      return name
  }
  throw failure(`no channel is called ${name}`)
}

// Ranks of what was reported. The status is the highest, so it never regresses and does not depend on the order of arrival (rule 13).
const ranks: Readonly<Record<EngagementKind, number>> = {
  skipped: 0,
  unknown: 1,
  requested: 2,
  failed: 3,
  delivered: 4,
  viewed: 5,
  clicked: 6,
}

const isEngagement = (kind: EngagementKind): boolean => ranks[kind] >= ranks.delivered

const impliesSent = (kind: EngagementKind): boolean => kind !== 'failed' && kind !== 'skipped'

/** The kinds recorded of a message, in order of record. */
export const reportedOf = (message: Message): readonly EngagementKind[] =>
  message.standing === 'deferred' || message.standing === 'open' ? [] : message.reported

/** The furthest a message got. Equal facts give equal status, in whatever order they came in. */
export const statusOf = (message: Message): EngagementKind | 'deferred' | 'commanded' =>
  reportedOf(message).reduce<EngagementKind | 'deferred' | 'commanded'>(
    (furthest, kind) => (furthest === 'deferred' || furthest === 'commanded' || ranks[kind] > ranks[furthest] ? kind : furthest),
    message.standing === 'deferred' ? 'deferred' : 'commanded',
  )

/** Whether the message ever left for the user, as far as anybody reported, also where it failed or was reported too late. */
export const wasSent = (message: Message): boolean => reportedOf(message).some(impliesSent)

/** Whether the message is commanded and still unanswered, its dispatcher's time not being over at `now`. */
export const isAwaited = (message: Message, now: number): boolean => message.standing === 'open' && now < silentAt(message)

/** Whether nothing but an attempt of unknown outcome was reported: possibly sent, and perhaps to be sent again (rule 12). */
export const isPossiblySent = (message: Message): message is SentMessage => message.standing === 'sent' && statusOf(message) === 'unknown'

/**
 * Whether the end of its step takes the message back: it is unanswered, or possibly sent, since it would be sent again after a cancel was
 * answered or when the message has done its job (rules 12, 15). Once its window has elapsed only an operator's word sends it again, and a
 * last step ends while its messages may still be tried.
 */
export const isTakenBack = (message: Message, reason: StepEndReason): message is OpenMessage | SentMessage =>
  message.standing === 'open' || (isPossiblySent(message) && reason !== 'completed' && reason !== 'waitElapsed')

/** Whether the engagement meets the stop condition: clicked implies viewed, viewed implies delivered (rules 4, 6). */
export const meets = (kind: EngagementKind, condition: StopCondition | null): boolean =>
  condition !== null && isEngagement(kind) && ranks[kind] >= ranks[condition]

/** The time of a report as far as it can be trusted: no clock of a client or provider moves a window out of [commandedAt, recordedAt]. */
export const trustedAt = (commandedAt: number, occurredAt: number, recordedAt: number): number =>
  Math.max(commandedAt, Math.min(occurredAt, recordedAt))

/**
 * The message after a new report of it.
 *
 * @param at when it happened, clamped by {@link trustedAt}. An answer given in time counts even if it was read late, say after an outage
 * (rule 20); one given after the silence was taken for good leaves the message expired.
 */
export function report(message: Exclude<Message, { standing: 'deferred' }>, kind: EngagementKind, at: number): Message {
  const { channelType, commandedAt, expiresAt } = message
  const reported = [...reportedOf(message), kind]
  const closed = (standing: 'failed' | 'skipped' | 'expired', closedAt: number): Message => ({
    standing,
    channelType,
    commandedAt,
    expiresAt,
    closedAt,
    reported,
  })

  switch (message.standing) {
    case 'open':
      if (at >= silentAt(message)) return closed('expired', expiresAt)
      if (kind === 'failed' || kind === 'skipped') return closed(kind, at)
      return { standing: 'sent', channelType, commandedAt, expiresAt, reported }
    case 'sent':
      // Accepted, then found undeliverable. Whoever engaged has got it, whatever the provider says.
      if (kind === 'failed' && !message.reported.some(isEngagement)) return closed('failed', at)
      // Accepted, then found unwanted: the person has told the sender to stop. Else what was sent, possibly or not, cannot be skipped.
      if (kind === 'skipped' && message.reported.includes('requested') && !message.reported.some(isEngagement)) return closed('skipped', at)
      return { standing: 'sent', channelType, commandedAt, expiresAt, reported }
    case 'failed':
    case 'skipped':
    case 'expired':
      return closed(message.standing, message.closedAt)
  }
}
