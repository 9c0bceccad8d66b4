// A sequence's variables in memory and as stored: what is small stands in its row, what is large once for all that have it.
import { createHash } from 'node:crypto'

/** Values by variable name. */
export type Variables = Readonly<Record<string, string>>

/** Variables as a process holds them: null: there are none; `stored`: in the database if anywhere, too large or too old to be in memory. */
export type KnownVariables = Variables | null | 'stored'

/** Up to so many characters of names and values variables are remembered, and stand in one row: a sequence with ten short ones has some 200. */
export const smallVariables = 2_048

/** Characters of names and values; 0: there are none. */
export function sizeOfVariables(variables: Variables): number {
  let size = 0
  for (const name in variables) size += name.length + variables[name]!.length
  return size
}

/** Variables as they are stored. */
export interface SplitVariables {
  readonly inline: Variables
  readonly large: readonly { readonly name: string; readonly value: string }[]
}

/** Takes the largest values out until the rest is small. */
export function split(variables: Variables): SplitVariables {
  let size = sizeOfVariables(variables)
  if (size <= smallVariables) return { inline: variables, large: [] }
  const large: { name: string; value: string }[] = []
  const bySize = Object.keys(variables).sort((a, b) => variables[b]!.length - variables[a]!.length)
  for (const name of bySize) {
    if (size <= smallVariables) break
    const value = variables[name]!
    large.push({ name, value })
    size -= value.length
  }
  const taken = new Set(large.map(({ name }) => name))
  // fromEntries defines own properties: a variable named __proto__ stays a variable.
  return { inline: Object.fromEntries(Object.entries(variables).filter(([name]) => !taken.has(name))), large }
}

/** The name of a value's content, a UUID: 128 bits of SHA-256. Of two sends it differs, so neither can tell what the other holds. */
export function digestOf(workspaceId: string, sendId: string, value: string): string {
  const hex = createHash('sha256').update(`${workspaceId}\n${sendId}\n`).update(value).digest('hex')
  return hex.slice(0, 32)
}
