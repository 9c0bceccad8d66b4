// Puts values into content: `{{name}}` and nothing else. No logic, no code, nothing escaped (each channel's client shows plain text).
import { own, type Variables } from './variables'

// Spaces around the name are allowed, since people type them.
const placeholder = /\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}/g

/** What a variable may be called. */
export const variableNamePattern = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** Fields of content that hold an http(s) address. */
const urlFields: ReadonlySet<string> = new Set(['url', 'imageUrl'])

/**
 * Renders every string of the content, however deep. A variable without a value renders as nothing; an address that is no http(s) URL
 * once rendered becomes null, so that no value can smuggle in another scheme.
 */
export const render = <C>(content: C, variables: Variables): C => renderPreview(content, variables, [])

/** Renders as {@link render}, but leaves the named missing variables visible as `{{name}}`. For people, never for sending. */
export const renderPreview = <C>(content: C, variables: Variables, missing: readonly string[]): C => deep(content, (text, field) => {
  let open = false
  const rendered = text.replace(placeholder, (whole, name: string) => {
    const value = own(variables, name)
    if (value !== null || !missing.includes(name)) return value ?? ''
    open = true
    return whole
  })
  return urlFields.has(field) && !open && !isHttpUrl(rendered) ? null : rendered
}) as C

/** The names used in a text, in order, repeated as used. */
export const variablesIn = (text: string): string[] => [...text.matchAll(placeholder)].map((match) => match[1]!)

/** Every placeholder of a text replaced by the same word: what remains is the text's own. */
export const withoutVariables = (text: string, word: string): string => text.replace(placeholder, word)

/** The first `{{…` or `…}}` of a text that is no `{{name}}`; null when there is none. */
export function strangePlaceholder(text: string): string | null {
  const found = /\{\{.{0,40}|.{0,40}\}\}/s.exec(withoutVariables(text, ' '))
  return found === null ? null : found[0]
}

/** Whether the text is an absolute http or https URL. */
export const isHttpUrl = (text: string): boolean => /^https?:\/\/[^\s/]/i.test(text) && URL.canParse(text)

function deep(value: unknown, replace: (text: string, field: string) => string | null, field = ''): unknown {
  if (typeof value === 'string') return replace(value, field)
  if (Array.isArray(value)) return value.map((item) => deep(item, replace))
  if (value === null || typeof value !== 'object') return value
  // What an app gets as data is its own: an entry called url is a text like any other.
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, deep(inner, replace, field === 'data' ? '' : name)]))
}
