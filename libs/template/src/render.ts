// Puts values into content: `{{name}}` and nothing else. No logic, no code; a value inside an address is percent-encoded, everywhere else it
// stays as it is (each channel's client shows plain text).
import {
  besideAuthority,
  component,
  endsInAddress,
  isHttpUrl,
  isPlainHttpUrl,
  isSameOrigin,
  planOf,
  type Guard,
  type Kind,
  type Plan,
} from './addresses'
import { replaceVariables } from './placeholders'
import type { Variable } from './template'
import { own, type Variables } from './variables'

export { isHttpUrl, isPlainHttpUrl } from './addresses'
export { nearMisses, strangePlaceholder, variableNamePattern, variablesIn, withoutVariables, type NearMiss } from './placeholders'

/** Fields of content that hold an http(s) address. */
const urlFields: ReadonlySet<string> = new Set(['url', 'imageUrl'])

/** An address that these values spoil. */
export interface Fault {
  /** Keys from the content's root. */
  readonly path: readonly (string | number)[]
  /** `unsafe_address`: it would lead to another server, or is none; `no_address`: nothing is left of it, and the field is null. */
  readonly reason: 'unsafe_address' | 'no_address'
}

/** Content with its values. */
export interface Rendered<C> {
  readonly content: C
  readonly faults: readonly Fault[]
}

/** How content is rendered. */
export interface RenderOptions {
  /** The template's variables: those of type action and image hold whole addresses. */
  readonly schema?: readonly Variable[]
  /** Names that stay visible as `{{name}}`. For people, never for sending. */
  readonly missing?: readonly string[]
}

/**
 * Renders every string of the content, however deep, and says which addresses the values spoil. A variable without a value renders as
 * nothing. What is a fault is null in the content where the field is an address, so that no value can smuggle one in.
 */
export function rendered<C>(content: C, variables: Variables, { schema = noSchema, missing = [] }: RenderOptions = {}): Rendered<C> {
  const plans = plansOf(schema)
  const faults: Fault[] = []
  const filled = deep(content, [], (text, path, isUrl) => {
    // Most texts hold neither a value nor an address.
    if (!text.includes('{{')) return isUrl && !isHttpUrl(text) ? null : text
    if (!isUrl && !text.includes(':') && plans.addressNames.size === 0) {
      return replaceVariables(text, (written, name) => own(variables, name) ?? (missing.includes(name) ? written : ''))
    }
    const one = fill(plans.of(text, isUrl ? 'url' : 'text'), isUrl ? 'url' : 'text', variables, missing)
    if (one.fault !== null) faults.push({ path, reason: one.fault })
    return one.text
  })
  return { content: filled as C, faults }
}

/** The content of {@link rendered}. */
export const render = <C>(content: C, variables: Variables, schema?: readonly Variable[]): C =>
  rendered(content, variables, schema && { schema }).content

/** Renders as {@link render}, but leaves the named missing variables visible as `{{name}}`. For people, never for sending. */
export const renderPreview = <C>(content: C, variables: Variables, missing: readonly string[], schema?: readonly Variable[]): C =>
  rendered(content, variables, schema === undefined ? { missing } : { schema, missing }).content

interface Filled {
  readonly text: string | null
  readonly fault: Fault['reason'] | null
}

function fill(plan: Plan, kind: Kind, variables: Variables, missing: readonly string[]): Filled {
  let isOpen = false
  const values = plan.places.map(({ name, written, role }) => {
    const value = own(variables, name)
    if (value === null && missing.includes(name)) {
      isOpen = true
      return written
    }
    return value === null ? '' : role === 'component' ? component(value) : role === 'authority' ? besideAuthority(value) : value
  })
  let text = plan.literals[0]!
  values.forEach((value, i) => (text += value + plan.literals[i + 1]!))
  // What a value would make of it is not known.
  if (isOpen) return { text, fault: null }
  const isUnsafe = plan.guards.some((guard) => !holds(guard, plan, values, text))
  if (kind === 'text') return { text, fault: isUnsafe ? 'unsafe_address' : null }
  const led = plan.leader === null ? null : values[0]!
  if (text === '' || led === '') return { text: null, fault: 'no_address' }
  const isSafe = !isUnsafe && isHttpUrl(text) && (led === null || (isPlainHttpUrl(led) && isSameOrigin(led, text)))
  return isSafe ? { text, fault: null } : { text: null, fault: 'unsafe_address' }
}

function holds({ from, to, kind, authority, isPreceded }: Guard, { at }: Plan, values: readonly string[], text: string): boolean {
  const offset = (masked: number): number => at.reduce((sum, place, i) => (place < masked ? sum + values[i]!.length - 1 : sum), masked)
  const address = text.slice(offset(from), offset(to))
  if (kind === 'led') {
    const value = values[at.indexOf(from)]!
    return !isHttpUrl(value) || isSameOrigin(value, /^[^\s"<>]*/.exec(address)![0])
  }
  if (isPreceded && endsInAddress(text.slice(0, offset(from)))) return false
  const found = /^https?:\/\/([^/?#\\\s"<>]*)/i.exec(address)
  if (found === null) return !/^https?:[/\\]{2}/i.test(address)
  return authority !== '' && found[1] === authority
}

const noSchema: readonly Variable[] = []

interface Plans {
  readonly addressNames: ReadonlySet<string>
  of(text: string, kind: Kind): Plan
}

// A version of a template is in memory once, and so is what was found in its texts.
const known = new WeakMap<readonly Variable[], Plans>()

function plansOf(schema: readonly Variable[]): Plans {
  let plans = known.get(schema)
  if (plans === undefined) known.set(schema, (plans = makePlans(schema)))
  return plans
}

// A template has at most some forty texts; more are drafts of one and the same schema.
const maxPlans = 200

function makePlans(schema: readonly Variable[]): Plans {
  const addressNames = new Set(schema.filter(({ type }) => type !== 'string').map(({ name }) => name))
  const plans = new Map<string, Plan>()
  return {
    addressNames,
    of(text, kind) {
      const key = `${kind}${text}`
      let plan = plans.get(key)
      if (plan === undefined) {
        if (plans.size >= maxPlans) plans.clear()
        plans.set(key, (plan = planOf(text, kind, (name) => addressNames.has(name))))
      }
      return plan
    },
  }
}

/** What of a text's own addresses is refused when a template is saved, each a sentence without its subject. */
export const addressProblems = (text: string, kind: Kind, schema: readonly Variable[]): readonly string[] =>
  plansOf(schema).of(text, kind).problems

type Replace = (text: string, path: readonly (string | number)[], isUrl: boolean) => string | null

function deep(value: unknown, path: readonly (string | number)[], replace: Replace, isData = false): unknown {
  if (typeof value === 'string') return replace(value, path, !isData && urlFields.has(String(path.at(-1))))
  if (Array.isArray(value)) return value.map((item, i) => deep(item, [...path, i], replace))
  if (value === null || typeof value !== 'object') return value
  // What an app gets as data is its own: an entry called url is a text like any other.
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, deep(inner, [...path, name], replace, path.at(-1) === 'data')]),
  )
}
