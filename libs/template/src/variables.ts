// Which value a variable has for one receiver: per-user before send before the schema's default.
import type { Variable } from './template'

/** Values by variable name. */
export type Variables = Readonly<Record<string, string>>

/** What {@link resolveVariables} found. */
export interface ResolvedVariables {
  /** Only names of the schema; an optional variable without any value is absent and renders as nothing. */
  readonly variables: Variables
  /** Required variables without a value, in the schema's order: the send is refused with these names. */
  readonly missing: readonly string[]
}

/** Resolves the variables of one receiver. Values of names the schema does not know are dropped: no content can use them. */
export function resolveVariables(schema: readonly Variable[], sendVariables: Variables, userVariables: Variables): ResolvedVariables {
  const found: [string, string][] = []
  const missing: string[] = []
  for (const variable of schema) {
    const value = own(userVariables, variable.name) ?? own(sendVariables, variable.name) ?? variable.default
    if (value !== null) found.push([variable.name, value])
    else if (variable.required) missing.push(variable.name)
  }
  // fromEntries defines own properties: a variable named __proto__ stays a variable.
  return { variables: Object.fromEntries(found), missing }
}

/** A value of the record itself, never one inherited (`toString` is a fine variable name). */
export const own = (variables: Variables, name: string): string | null => (Object.hasOwn(variables, name) ? variables[name]! : null)
