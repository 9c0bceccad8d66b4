// Input meets its zod schema: a typed value, or a 422 problem that says which field, which value and what is allowed.
import type { ArgumentMetadata, PipeTransform } from '@nestjs/common'
import type { z, ZodType } from 'zod'
import { type FieldError, refused, unreadable } from './problem'
import { pointerStep, unstorable } from './storable'

type Issue = z.core.$ZodIssue
type RawIssue = z.core.$ZodRawIssue

// More would not help whoever reads them; a body of 10,000 wrong receivers would answer megabytes.
const maxErrors = 100

/**
 * Checks input against a schema and answers its typed value. Whatever the schema, no text of it holds NUL or half a surrogate pair.
 * @param at JSON pointer of the input within the request; empty for the whole body.
 * @throws Problem 422 with one entry per wrong field (100 at most).
 */
export function parse<S extends ZodType>(schema: S, input: unknown, at = ''): z.output<S> {
  const result = schema.safeParse(input, { error: whatIsAllowed })
  if (result.success) {
    refuseUnstorable(input, at)
    return result.data
  }
  throw refused(result.error.issues.flatMap((issue) => fieldErrors(issue, at)).slice(0, maxErrors))
}

function refuseUnstorable(input: unknown, at: string): void {
  const errors = unstorable(input, at, maxErrors)
  if (errors.length > 0) throw refused(errors)
}

function fieldErrors(issue: Issue, at: string): FieldError[] {
  const path = at + issue.path.map(pointerStep).join('')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: path + pointerStep(key), message: 'is not a known field here' }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) return unionErrors(issue.errors, path)
  return [{ path, message: issue.message }]
}

/** `string | null` says both; of unions of objects the branch that came closest speaks. */
function unionErrors(branches: readonly (readonly Issue[])[], path: string): FieldError[] {
  if (branches.every((branch) => branch.length === 1 && branch[0]!.path.length === 0)) {
    const messages = [...new Set(branches.map((branch) => branch[0]!.message))]
    // All speak of the same value: once is enough.
    return [
      { path, message: messages.map((message, i) => (i < messages.length - 1 ? message.replace(/, not .*$/s, '') : message)).join(' or ') },
    ]
  }
  const deep = (branch: readonly Issue[]): number => (branch.some((issue) => issue.path.length === 0) ? 1_000 : 0) + branch.length
  const closest = branches.reduce((best, branch) => (deep(branch) < deep(best) ? branch : best))
  return closest.flatMap((issue) => fieldErrors(issue, path))
}

/** Our words for zod's issues; a schema's own message goes first, zod's words last. */
function whatIsAllowed(issue: RawIssue): string | undefined {
  const rule = ruleOf(issue)
  if (rule === undefined) return undefined
  if (issue.input === undefined) return `is missing: ${rule}`
  const value = shown(
    issue.discriminator === undefined ? issue.input : (issue.input as Record<string, unknown>)[String(issue.discriminator)],
  )
  return value === null ? rule : `${rule}, not ${value}`
}

function ruleOf(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${withArticle(String(issue.expected))}`
    case 'invalid_value': {
      const values = issue.values as readonly unknown[]
      return values.length === 1
        ? `must be ${JSON.stringify(values[0])}`
        : `must be one of ${values.map((value) => JSON.stringify(value)).join(', ')}`
    }
    case 'too_small':
      return `must ${sized(issue, issue.inclusive === false ? 'more than' : 'at least', issue.minimum)}`
    case 'too_big':
      return `must ${sized(issue, issue.inclusive === false ? 'less than' : 'at most', issue.maximum)}`
    case 'not_multiple_of':
      return `must be a multiple of ${String(issue.divisor)}`
    case 'invalid_format':
      return formatRule(String(issue.format), issue.pattern as string | undefined)
    case 'invalid_union':
      return Array.isArray(issue.options)
        ? `must be one of ${issue.options.map((option) => JSON.stringify(option)).join(', ')}`
        : 'has none of the allowed shapes'
    case 'unrecognized_keys':
    case 'invalid_key':
    case 'invalid_element':
    case 'custom':
      return undefined
  }
}

function formatRule(format: string, pattern: string | undefined): string {
  switch (format) {
    case 'regex':
      return `must match ${pattern ?? 'its pattern'}`
    case 'datetime':
      return 'must be an RFC 3339 time such as 2026-01-31T09:00:00Z'
    case 'date':
      return 'must be a date such as 2026-01-31'
    case 'url':
      return 'must be a URL such as https://shop.example/orders'
    default:
      return `must be a valid ${format}`
  }
}

const withArticle = (type: string): string => {
  if (type === 'int') return 'a whole number'
  if (type === 'null' || type === 'undefined') return type
  if (type === 'record') return 'an object'
  return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`
}

function sized(issue: RawIssue, inexact: string, limit: unknown): string {
  const bound = issue.exact ? 'exactly' : inexact
  const size = Number(limit)
  const many = size === 1 ? '' : 's'
  switch (issue.origin) {
    case 'string':
      return `have ${bound} ${size} character${many}`
    case 'array':
    case 'set':
      return `have ${bound} ${size} item${many}`
    case 'object':
    case 'map':
      return `have ${bound} ${size} field${many}`
    default:
      return `be ${bound} ${size}`
  }
}

/** A short plain value as JSON, a kind for the rest; null where it would say nothing. */
function shown(value: unknown): string | null {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) return null
  return text.length <= 60 ? text : `a ${typeof value} of ${String(value).length} characters`
}

/** Applies the schema of `@Body({ schema })`, `@Query({ schema })` and `@Param('name', { schema })`; the rule for texts without one as well. */
export class SchemaPipe implements PipeTransform {
  transform(value: unknown, { schema, type, data }: ArgumentMetadata): unknown {
    if (type === 'custom') return value
    const at = data === undefined ? '' : pointerStep(data as string)
    if (schema === undefined) {
      refuseUnstorable(value, at)
      return value
    }
    const isMissing = type === 'body' && data === undefined && value === undefined
    if (isMissing && !(schema as ZodType).safeParse(undefined).success) {
      throw unreadable([{ path: '', message: 'is missing: send JSON with Content-Type: application/json' }])
    }
    return parse(schema as ZodType, value, at)
  }
}
