// What any record or request may hold, whichever way it comes in: HTTP, Kafka and gRPC ask the same questions here. A value that
// passes fits the database, a JavaScript date, the wire and every reader behind.
import type { CancelRequested, DispatchStep, EngagementReported, SendRequested } from './generated/avro'
import { freeIdProblem, isSequenceId, parseMessageId, templateIdPattern, workspaceIdPattern, type ChannelType } from './ids'

/** Why something is refused: a snake_case word to filter by, and a sentence without personal data. */
export interface Refusal {
  readonly reason: string
  readonly detail: string
}

/**
 * What is wrong with a text; null: nothing. NUL is refused by PostgreSQL's text and jsonb; half of a surrogate pair has no UTF-8, so it
 * would come back as another text.
 */
export function textProblem(text: string): string | null {
  if (text.includes('\0')) return 'must not hold the character NUL'
  return text.isWellFormed() ? null : 'must not hold half a surrogate pair'
}

/** What is wrong with any text inside a value, names of fields included, however deep; null: nothing. */
export function textsProblem(value: unknown): string | null {
  if (typeof value === 'string') return textProblem(value)
  if (typeof value !== 'object' || value === null) return null
  for (const [name, one] of Object.entries(value)) {
    const problem = textProblem(name) ?? textsProblem(one)
    if (problem) return problem
  }
  return null
}

/** What is wrong with a text that must be JSON the database can keep; null: nothing. */
export function jsonProblem(text: string, kind: 'object' | 'any' = 'any'): string | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'must be JSON'
  }
  if (kind === 'object' && (typeof value !== 'object' || value === null || Array.isArray(value))) return 'must be a JSON object'
  return textsProblem(value)
}

/** The first instant taken, milliseconds: 1970. */
export const earliestInstant = 0
/** The first instant not taken any more, milliseconds: 2200. */
export const latestInstant = Date.UTC(2200, 0, 1)

/** What is wrong with an instant in milliseconds since 1970; null: nothing. Seconds or microseconds by mistake are told apart from milliseconds where they can be. */
export const instantProblem = (ms: number): string | null =>
  Number.isFinite(ms) && ms >= earliestInstant && ms < latestInstant ? null : 'must be a time from 1970 to 2199, in milliseconds since 1970'

/** Largest int of the database (int4) and of Avro. */
export const maxInt4 = 2_147_483_647
/** What is wrong with a whole number of the database's type int4, at least `min`; null: nothing. */
export const int4Problem = (value: number, min = 0): string | null =>
  Number.isInteger(value) && value >= min && value <= maxInt4 ? null : `must be a whole number from ${min} to ${maxInt4}`

/** A record of an outside producer at most, key, value and headers together, bytes. A change repeats what its inputs said and must itself fit. */
export const maxRecordBytes = 256 * 1024
/** Names and values of a send's variables at most, bytes. */
export const maxVariablesBytes = 64 * 1024

/** A record as it stands on a topic. */
export interface RecordBytes {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** A value is bytes, text, several of them, or nothing. */
  readonly headers: Readonly<Record<string, unknown>>
  /** Its size in the batch it came in, where that is known; {@link recordBytes} counts five times as much at most (headers without name and value). */
  readonly bytes?: number | undefined
}

/** Bytes of a record with its key and all headers. */
export function recordBytes({ key, value, headers }: RecordBytes): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0)
  for (const name in headers) bytes += headerBytes(name, headers[name], Buffer.byteLength)
  return bytes
}

function headerBytes(name: string, value: unknown, bytesOf: (text: string) => number): number {
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + headerBytes(name, one, bytesOf), 0)
  const own = typeof value === 'string' ? bytesOf(value) : value instanceof Uint8Array ? value.length : 0
  return bytesOf(name) + own + 10
}

// A UTF-16 unit is at most three bytes of UTF-8.
const atMost = (text: string): number => text.length * 3

/** Refuses a record that is larger than an outside producer may write, `added` being what we may have put to it; null: it fits. */
export function sizeProblem(record: RecordBytes, added = 0): Refusal | null {
  // Most records are a few hundred bytes: measuring each header of each is for the few that may be over.
  if (record.bytes !== undefined && record.bytes * 5 <= maxRecordBytes) return null
  let most = (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const name in record.headers) most += headerBytes(name, record.headers[name], atMost)
  if (most <= maxRecordBytes + added) return null
  const bytes = recordBytes(record)
  return bytes <= maxRecordBytes + added
    ? null
    : { reason: 'too_large', detail: `a record may have ${maxRecordBytes} bytes with its key and headers, this one has ${bytes}` }
}

/** What is wrong with the variables of a send; null: nothing. */
export function variablesProblem(variables: Readonly<Record<string, string>>): Refusal | null {
  let bytes = 0
  for (const name in variables) {
    const value = variables[name]!
    const problem = textProblem(name) ?? textProblem(value)
    if (problem) return { reason: 'invalid_send', detail: `variables ${problem}` }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  return bytes > maxVariablesBytes
    ? { reason: 'variables_too_large', detail: `variables may have ${maxVariablesBytes} bytes, these have ${bytes}` }
    : null
}

const invalid = (reason: string, field: string, allowed: string): Refusal => ({ reason, detail: `${field} ${allowed}` })
const invalidTime = (field: string, ms: number): Refusal | null => {
  const problem = instantProblem(ms)
  return problem === null ? null : { reason: 'invalid_time', detail: `${field} ${problem}` }
}

/** The first of these ids that no name of ours may be, and why; null: all may. Indexes hold them, so that their length is a matter of the database too. */
export function idsProblem(ids: Readonly<Record<string, string>>): string | null {
  for (const name in ids) {
    const problem = freeIdProblem(ids[name]!)
    if (problem) return `${name} ${problem}`
  }
  return null
}

/** What is wrong with a send, whoever wrote it; null: nothing. Sizes are asked apart ({@link sizeProblem}). */
export function sendProblem(send: SendRequested): Refusal | null {
  const wrong = (field: string, allowed: string): Refusal => invalid('invalid_send', field, allowed)
  if (!workspaceIdPattern.test(send.workspaceId)) return wrong('workspaceId', `must match ${workspaceIdPattern.source}`)
  const ids = idsProblem({ sendId: send.sendId, userId: send.userId })
  if (ids !== null) return { reason: 'invalid_send', detail: ids }
  if (!templateIdPattern.test(send.templateId)) return wrong('templateId', `must match ${templateIdPattern.source}`)
  if (send.templateVersion !== null) {
    const problem = int4Problem(send.templateVersion, 1)
    if (problem) return wrong('templateVersion', problem)
  }
  if (send.campaignId !== null && freeIdProblem(send.campaignId)) return wrong('campaignId', freeIdProblem(send.campaignId)!)
  if (send.tag !== null && textProblem(send.tag)) return wrong('tag', textProblem(send.tag)!)
  return invalidTime('requestedAt', send.requestedAt) ?? variablesProblem(send.variables)
}

/** What is wrong with an engagement, whoever reported it; null: nothing. `parts`: its messageId, for whoever has taken that apart already. */
export function engagementProblem(report: EngagementReported, parts = parseMessageId(report.messageId)): Refusal | null {
  const wrong = (field: string, allowed: string): Refusal => invalid('invalid_engagement', field, allowed)
  if (parts === null) return { reason: 'invalid_message_id', detail: 'messageId must be <sequenceId>.<step>.<channelType>' }
  if (!workspaceIdPattern.test(report.workspaceId)) return wrong('workspaceId', `must match ${workspaceIdPattern.source}`)
  for (const field of ['source', 'reason', 'providerMessageId'] as const) {
    const text = report[field]
    const problem = text === null ? null : textProblem(text)
    if (problem) return wrong(field, problem)
  }
  for (const name in report.detail) {
    const problem = textProblem(name) ?? textProblem(report.detail[name]!)
    if (problem) return wrong('detail', problem)
  }
  return invalidTime('occurredAt', report.occurredAt)
}

/** What is wrong with a cancel, whoever asked for it; null: nothing. */
export function cancelProblem(cancel: CancelRequested): Refusal | null {
  const wrong = (field: string, allowed: string): Refusal => invalid('invalid_cancel', field, allowed)
  const { workspaceId, cancelId, scope, id, requestedBy, requestedAt } = cancel
  if (!workspaceIdPattern.test(workspaceId)) return wrong('workspaceId', `must match ${workspaceIdPattern.source}`)
  if (freeIdProblem(cancelId)) return wrong('cancelId', freeIdProblem(cancelId)!)
  if (scope === 'sequence' ? !isSequenceId(id) : freeIdProblem(id))
    return wrong('id', scope === 'sequence' ? 'must be a sequenceId' : freeIdProblem(id)!)
  if (textProblem(requestedBy)) return wrong('requestedBy', textProblem(requestedBy)!)
  return invalidTime('requestedAt', requestedAt)
}

/** What is wrong with a command on the topic of a channel, whoever wrote it; null: nothing. */
export function commandProblem(command: DispatchStep, channel: ChannelType): Refusal | null {
  const { workspaceId, messageId, sequenceId, step, sendId, userId, templateId, templateVersion, windowMs, commandedAt, expiresAt } =
    command
  const wrong = (detail: string): Refusal => ({ reason: 'invalid_command', detail })
  const named = parseMessageId(messageId)
  if (named === null) return wrong('messageId must be <sequenceId>.<step>.<channelType>')
  if (named.channelType !== channel || command.channelType !== channel) {
    return { reason: 'wrong_channel', detail: `channelType and messageId must name ${channel}, the channel of this topic` }
  }
  if (named.sequenceId !== sequenceId || named.step !== step) return wrong('messageId must name sequenceId and step')
  const ids = idsProblem({ workspaceId, sendId, userId, templateId })
  if (ids !== null) return wrong(ids)
  const version = int4Problem(templateVersion, 1)
  if (version !== null) return wrong(`templateVersion ${version}`)
  if (windowMs !== null && instantProblem(windowMs) !== null) return wrong('windowMs must be a length of time from 0, in milliseconds')
  const text = textsProblem(command)
  return text !== null ? wrong(`a field ${text}`) : (invalidTime('commandedAt', commandedAt) ?? invalidTime('expiresAt', expiresAt))
}
