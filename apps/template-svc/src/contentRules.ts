// The rules of a template's texts: addresses that no value can lead elsewhere, none of our own tracked links, and nothing that is too large for its
// provider whatever the variables are.
import { isTrackable, replaceLinks, trackedLinkLength } from '@stepcast/channel'
import {
  addressProblems,
  holdsTrackedLink,
  isBlank,
  isHttpUrl,
  rendered,
  sizesOf,
  strangePlaceholder,
  variablesIn,
  withoutVariables,
  type Size,
  type TemplateChannel,
  type TemplateDefinition,
  type Variable,
  type Variables,
} from '@stepcast/template'

/** A broken rule; `path` are the keys from the body's root. */
export interface RuleProblem {
  readonly path: (string | number)[]
  readonly message: string
}

/** A text of a template with the way to it. */
export interface TemplateText {
  readonly path: (string | number)[]
  readonly text: string
}

/** Every text of the channels, names of fields apart. */
export const textsOf = (channels: readonly TemplateChannel[]): TemplateText[] =>
  channels.flatMap(({ content }, i) => textsIn(content, ['channels', i, 'content']))

function textsIn(value: unknown, path: (string | number)[]): TemplateText[] {
  if (typeof value === 'string') return [{ path, text: value }]
  if (Array.isArray(value)) return value.flatMap((item, i) => textsIn(item, [...path, i]))
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([name, inner]) => textsIn(inner, [...path, name]))
}

/** Whether the field of a path is an address. What an app gets as data is its own: an entry called url is a text like any other. */
export const isUrlField = (path: readonly (string | number)[]): boolean =>
  path.at(-1) === 'imageUrl' || (path.at(-1) === 'url' && path.at(-2) !== 'data')

/** Every text with variables: only known ones, nothing else in double braces, addresses that only lead where they say, and something to read. */
export function contentProblems({ channels, variableSchema }: TemplateDefinition): RuleProblem[] {
  const known = new Map(variableSchema.map((variable) => [variable.name, variable]))
  const problems: RuleProblem[] = []
  for (const { path, text } of textsOf(channels)) {
    const strange = strangePlaceholder(text)
    if (strange !== null)
      problems.push({ path, message: `"${strange}" is no variable; only {{name}} with letters, digits and _ is possible` })
    for (const name of new Set(variablesIn(text))) {
      if (!known.has(name))
        problems.push({
          path,
          message: `{{${name}}} is not in variableSchema${known.size > 0 ? ` (${[...known.keys()].join(', ')})` : ''}`,
        })
    }
    if (isUrlField(path)) problems.push(...urlProblems(path, text, known, variableSchema))
    else for (const message of addressProblems(text, 'text', variableSchema)) problems.push({ path, message })
  }
  channels.forEach(({ channelType, content }, i) => {
    if (isBlank(content.body)) problems.push({ path: ['channels', i, 'content', 'body'], message: 'must have something to read' })
    if (channelType !== 'kakao') return
    content.buttons.forEach(({ label }, b) => {
      if (isBlank(label)) problems.push({ path: ['channels', i, 'content', 'buttons', b, 'label'], message: 'must have something to read' })
    })
  })
  return problems
}

function urlProblems(
  path: RuleProblem['path'],
  text: string,
  known: ReadonlyMap<string, Variable>,
  schema: readonly Variable[],
): RuleProblem[] {
  const refused = (message: string): RuleProblem[] => [{ path, message }]
  if (!text.startsWith('{{')) {
    if (!isHttpUrl(withoutVariables(text, 'x'))) return refused(`must be an http:// or https:// URL, not "${text.slice(0, 60)}"`)
    // Those who read addresses leave them out, and so does not everybody who looks at one.
    if (/\p{Cc}/u.test(text)) return refused('must have no line break, tab or other control character')
  } else {
    const variable = known.get(variablesIn(text)[0] ?? '')
    if (variable !== undefined && variable.type === 'string') {
      return refused(`must begin with http:// or https://, or with a variable of type action or image; {{${variable.name}}} is a string`)
    }
  }
  return addressProblems(text, 'url', schema).map((message) => ({ path, message }))
}

// The shortest names that a push can carry.
const shortest = { messageId: '00000000-0000-0000-0000-000000000000.1.push', workspaceId: 'a', userId: 'a' }

/** What is over its limit though every variable be empty. What depends on links that are replaced: {@link installationProblems}. */
export function limitProblems(definition: TemplateDefinition): RuleProblem[] {
  return oversizes(
    definition,
    (content) => content,
    (channelType, { path }) => channelType === 'sms' || path.endsWith('/url'),
  )
}

/**
 * What depends on this installation's public address: our own tracked links, each of which is one person's, and what is over its limit once
 * links are replaced by tracked ones.
 */
export function installationProblems(definition: TemplateDefinition, publicUrl: string): RuleProblem[] {
  const links = textsOf(definition.channels).filter(({ text }) => holdsTrackedLink(text, publicUrl))
  return [
    ...links.map(({ path }) => ({
      path,
      message: `must not hold a tracked link (${publicUrl}/l/…): it belongs to the message of one person, who would have clicked whoever follows it; write the address that it leads to`,
    })),
    ...oversizes(
      definition,
      (content) => tracked(content, publicUrl),
      (channelType, { path }) => channelType !== 'sms' && !path.endsWith('/url'),
    ),
  ]
}

function oversizes(
  { channels, variableSchema }: TemplateDefinition,
  made: (channel: TemplateChannel) => TemplateChannel,
  isLeftOut: (channelType: TemplateChannel['channelType'], size: Size) => boolean,
): RuleProblem[] {
  return channels.flatMap((channel, i) => {
    const empty = made(withValues(channel, nothing, variableSchema))
    const over = sizesOf(empty.channelType, empty.content as never, shortest).filter(
      (one) => one.size > one.limit && !isLeftOut(channel.channelType, one),
    )
    const places = new Set<string>()
    return over.flatMap((size) => {
      const path = ['channels', i, 'content', ...placeOf(empty, size)]
      if (places.has(path.join())) return []
      places.add(path.join())
      return [{ path, message: `${inWords(size)}, whatever the variables are; at most ${size.limit}` }]
    })
  })
}

const nothing: Variables = {}

/** A channel's content with values; what they make of addresses is judged elsewhere. */
export const withValues = (channel: TemplateChannel, values: Variables, schema: readonly Variable[]): TemplateChannel =>
  ({ ...channel, content: rendered(channel.content, values, { schema }).content }) as TemplateChannel

/** Content with its links as long as they are when it is sent. */
export function tracked(channel: TemplateChannel, publicUrl: string): TemplateChannel {
  const link = (url: string): string =>
    isTrackable(url) && !holdsTrackedLink(url, publicUrl) ? `${publicUrl}/l/`.padEnd(trackedLinkLength(publicUrl), 'x') : url
  switch (channel.channelType) {
    case 'sms':
      return channel.content.trackLinks
        ? { ...channel, content: { ...channel.content, body: replaceLinks(channel.content.body, link) } }
        : channel
    case 'kakao':
      return {
        ...channel,
        content: {
          ...channel.content,
          buttons: channel.content.buttons.map((button) => ({ ...button, url: button.url && link(button.url) })),
        },
      }
    case 'in_app':
    case 'push':
      return channel
  }
}

/** The field of a size: its own, or the largest of those that are measured together. */
export function placeOf({ content }: TemplateChannel, { path }: Size): (string | number)[] {
  if (path !== '')
    return path
      .slice(1)
      .split('/')
      .map((step) => (/^\d+$/.test(step) ? Number(step) : step))
  const lengths = Object.entries(content).map(([field, value]) => ({ field, length: (JSON.stringify(value) ?? '').length }))
  return [lengths.reduce((longest, one) => (one.length > longest.length ? one : longest)).field]
}

const counters = {
  fcm: 'FCM counts a push (title, body, url, data and ours)',
  apns: 'APNs counts a push (title, body, url, data and ours)',
} as const

/** A size as a sentence says it. */
export const inWords = ({ size, unit, provider, path }: Size): string =>
  `comes to ${size} ${unit}${provider !== undefined ? ` as ${counters[provider]}` : path === '' ? ' with all of its content' : ''}`
