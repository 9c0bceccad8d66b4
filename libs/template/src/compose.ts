// One channel's content for one person: rendered, and refused where it would be nothing, too much, or lead where no template leads.
import type { ChannelType } from '@stepcast/contracts'
import { isBlank } from './blank'
import { variablesIn } from './placeholders'
import { rendered, type Fault } from './render'
import type { ContentOf, Variable } from './template'
import { own, type Variables } from './variables'

/**
 * Why content is not sent; the reason of the message's `failed`. `empty`: there is nothing to read, or a part that the provider needs is left
 * without anything. `too_large`: more than its provider takes ({@link limits}). `unsafe_address`: a value would lead an address to another server, or is none.
 */
export type ContentProblem = 'empty' | 'too_large' | 'unsafe_address'

/** Content to be sent, or why it is not. */
export type Composed<C extends ChannelType> = { readonly content: ContentOf[C] } | { readonly problem: ContentProblem }

// Any limit many times over. Beyond it a text, which may repeat a long value hundreds of times, is not even written out.
const maxCharacters = 200_000

/**
 * Renders the content of a channel for one person. Its size is asked apart ({@link oversize}), once links are replaced; here only what no channel
 * carries is `too_large`.
 */
export function compose<C extends ChannelType>(
  channelType: C,
  content: ContentOf[C],
  variables: Variables,
  schema: readonly Variable[],
): Composed<C> {
  if (isEndless(content, variables)) return { problem: 'too_large' }
  const { content: made, faults } = rendered(content, variables, { schema })
  const problem = contentProblem(channelType, made, faults)
  return problem === null ? { content: made } : { problem }
}

/** What keeps rendered content from being sent; null: nothing, as far as sizes do not. */
export function contentProblem<C extends ChannelType>(channelType: C, made: ContentOf[C], faults: readonly Fault[]): ContentProblem | null {
  if (faults.some(({ reason }) => reason === 'unsafe_address')) return 'unsafe_address'
  if (isBlank(made.body)) return 'empty'
  if (channelType !== 'kakao') return null
  // An Alimtalk has the buttons that Kakao has approved: none without its label or link. Feeds and pushes do without.
  const { buttons } = made as ContentOf['kakao']
  return faults.length > 0 || buttons.some(({ label }) => isBlank(label)) ? 'empty' : null
}

function isEndless(content: unknown, variables: Variables): boolean {
  let longest = 0
  for (const name in variables) longest = Math.max(longest, variables[name]!.length)
  // Texts of a template have some ten thousand characters together, and a place takes five of them.
  if (longest < 50) return false
  return charactersOf(content, variables) > maxCharacters
}

function charactersOf(value: unknown, variables: Variables): number {
  if (typeof value === 'string') return variablesIn(value).reduce((sum, name) => sum + (own(variables, name)?.length ?? 0), value.length)
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce((sum: number, inner) => sum + charactersOf(inner, variables), 0)
}
