// `{{name}}` and what looks like it: which variables a text uses, and which of its braces are no variables.

// Spaces around the name are allowed, since people type them.
const placeholder = /\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}/g

/** What a variable may be called. */
export const variableNamePattern = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** The names used in a text, in order, repeated as used. */
export const variablesIn = (text: string): string[] => [...text.matchAll(placeholder)].map((match) => match[1]!)

/** Replaces every placeholder of a text. */
export const replaceVariables = (text: string, replace: (written: string, name: string) => string): string =>
  text.replace(placeholder, replace)

/** Every placeholder of a text replaced by the same word: what remains is the text's own. */
export const withoutVariables = (text: string, word: string): string => text.replace(placeholder, () => word)

/** The first `{{…` or `…}}` of a text that is no `{{name}}`; null when there is none. */
export function strangePlaceholder(text: string): string | null {
  const found = /\{\{.{0,40}|.{0,40}\}\}/s.exec(withoutVariables(text, ' '))
  return found === null ? null : found[0]
}

/** A part of a text that was probably meant to be a variable. */
export interface NearMiss {
  /** As it is written, and as it will be sent. */
  readonly written: string
  readonly name: string
}

const name = String.raw`\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*`
// Other templates' variables: KakaoTalk's, JavaScript's and the shell's, Ruby's, Mailchimp's, Handlebars' in full-width characters.
const foreign = new RegExp(
  [
    `[#$@%!]?\\{${name}\\}`,
    `%${name}%`,
    `<%[=-]?${name}%>`,
    `｛{1,2}${name}｝{1,2}`,
    `\\{?｛${name}｝\\}?`,
    `\\[\\[${name}\\]\\]`,
    `\\*\\|${name}\\|\\*`,
    `<<${name}>>`,
    `&#123;${name}&#125;`,
    `\\{%${name}%\\}`,
  ].join('|'),
  'gi',
)

/**
 * What a text sends as it stands and probably should not: `{{{x}}}`, which keeps its outer braces, and variables in other systems' spelling
 * whose name is one of `names`, in whatever case.
 */
export function nearMisses(text: string, names: readonly string[]): NearMiss[] {
  const misses: NearMiss[] = [...text.matchAll(/\{\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}\}/g)].map(([written, found]) => ({
    written,
    name: found!,
  }))
  const byLowerCase = new Map(names.map((one) => [one.toLowerCase(), one]))
  // What is a variable is none of these: `{{x}}` holds a `{x}`.
  for (const [written, ...found] of withoutVariables(text, '\n').matchAll(foreign)) {
    const meant = byLowerCase.get(found.find((one) => one !== undefined)!.toLowerCase())
    if (meant !== undefined) misses.push({ written, name: meant })
  }
  return misses
}
