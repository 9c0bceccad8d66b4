// What a command is answered with: into the feed, skipped, or failed. Pure.
import type { DispatchStep } from '@stepcast/contracts'
import { compose, oversize, resolveVariables, type ContentOf, type ContentProblem, type TemplateVersion } from '@stepcast/template'

/** The channel of this dispatcher. */
export const channelType = 'in_app'

/** What a person sees. */
export type Content = Omit<ContentOf[typeof channelType], 'expiresInMinutes'>

/** What a user does not want; absent for users nobody told us about, who want everything. */
export interface OptOut {
  readonly channels: readonly string[]
  readonly categories: readonly string[]
}

/** What is known when a command is judged. */
export interface Known {
  /** By the database's clock, milliseconds since the epoch. */
  readonly now: number
  /** The length of a minute, milliseconds. */
  readonly minuteMs: number
  readonly template: Omit<TemplateVersion, 'archived'> | null
  readonly optOut: OptOut | null
  /** When the user was erased last; null: never. */
  readonly erasedAt: number | null
}

/** An answer. Once given it stays: a repeated command hears it again. */
export type Answer =
  /** `expiresAt`: when the item leaves the feed, milliseconds since the epoch; null: it is kept 90 days. */
  | { readonly answer: 'requested'; readonly category: string; readonly content: Content; readonly expiresAt: number | null }
  | { readonly answer: 'skipped'; readonly reason: 'withdrawn' | 'opted_out' | 'erased' }
  | { readonly answer: 'failed'; readonly reason: 'expired' | 'template_unknown' | 'no_content' | 'missing_variables' | ContentProblem }

const skipped = (reason: Extract<Answer, { answer: 'skipped' }>['reason']): Answer => ({ answer: 'skipped', reason })
const failed = (reason: Extract<Answer, { answer: 'failed' }>['reason']): Answer => ({ answer: 'failed', reason })

/** Answers a command that was never answered before. */
export function answerTo(command: DispatchStep, { now, minuteMs, template, optOut, erasedAt }: Known): Answer {
  // Not begun, and now it never will be: a send that comes later hears the same.
  if (command.action === 'withdraw') return skipped('withdrawn')
  if (now >= command.expiresAt) return failed('expired')
  if (erasedAt !== null && command.commandedAt <= erasedAt) return skipped('erased')
  if (template === null) return failed('template_unknown')
  const channel = template.channels.find((candidate) => candidate.channelType === channelType)
  if (channel === undefined) return failed('no_content')
  if (optOut?.channels.includes(channelType) || optOut?.categories.includes(template.category)) return skipped('opted_out')
  const { variables, missing } = resolveVariables(template.variableSchema, command.variables, {})
  if (missing.length > 0) return failed('missing_variables')
  const { expiresInMinutes, ...content } = channel.content as ContentOf[typeof channelType]
  const composed = compose(channelType, content, variables, template.variableSchema)
  if ('problem' in composed) return failed(composed.problem)
  if (oversize(channelType, composed.content, command, 'feed') !== null) return failed('too_large')
  const expiresAt = expiresInMinutes ? now + expiresInMinutes * minuteMs : null
  return { answer: 'requested', category: template.category, content: composed.content, expiresAt }
}
