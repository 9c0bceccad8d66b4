// What a send request may say, and what it comes to: one receiver a user, every variable accounted for. Pure.
import { maxVariablesBytes } from '@stepcast/contracts'
import { freeId, int4, namedTexts, templateIdField, type FieldError } from '@stepcast/service'
import { isPlainHttpUrl, own, resolveVariables, type Variable, type Variables } from '@stepcast/template'
import { z } from 'zod'

// Names of the template's own are no longer.
const variables = namedTexts((name) => (name.length > 64 ? 'has a name of over 64 characters' : null))

/** Body of `POST /v1/sends`. */
export const sendBody = z.strictObject({
  templateId: templateIdField,
  templateVersion: int4(1).nullish().describe('The latest approved when absent'),
  receivers: z
    .array(
      z.strictObject({
        userId: freeId,
        variables: variables.nullish().describe('Win over the variables of the send'),
      }),
    )
    .min(1)
    .max(10_000),
  variables: variables.nullish().describe('Win over the defaults of the template'),
  tag: z.string().min(1).max(128).nullish().describe('A label of yours, kept with every sequence'),
})
/** A readable request. */
export type SendRequest = z.output<typeof sendBody>

/** One user to be sent to, with the values only this user has. */
export interface Receiver {
  readonly userId: string
  readonly variables: Variables
}

/** The receivers of a request; `errors` refuse the whole of it. */
export interface Receivers {
  readonly receivers: readonly Receiver[]
  /** How many entries repeated a user: the first wins (rule 17). */
  readonly duplicates: number
  readonly errors: readonly FieldError[]
}

// More of the same would help nobody.
const maxErrors = 20

/** Takes repeated users out and checks that each receiver has every variable the template needs. */
export function receiversOf(schema: readonly Variable[], request: SendRequest): Receivers {
  const sendVariables = request.variables ?? {}
  const errors = urlErrors(schema, sendVariables, '/variables')
  const receivers = new Map<string, Receiver>()
  request.receivers.forEach(({ userId, variables: given }, i) => {
    if (receivers.has(userId)) return
    const receiver = { userId, variables: given ?? {} }
    receivers.set(userId, receiver)
    if (errors.length < maxErrors) errors.push(...receiverErrors(schema, sendVariables, receiver.variables, `/receivers/${i}`))
  })
  return { receivers: [...receivers.values()], duplicates: request.receivers.length - receivers.size, errors: errors.slice(0, maxErrors) }
}

function receiverErrors(schema: readonly Variable[], sendVariables: Variables, userVariables: Variables, path: string): FieldError[] {
  const { variables: resolved, missing } = resolveVariables(schema, sendVariables, userVariables)
  const errors = urlErrors(schema, userVariables, `${path}/variables`)
  if (missing.length > 0) {
    errors.push({
      path: `${path}/variables`,
      message: `lacks ${missing.join(', ')}: required, without a default, and given neither here nor in /variables`,
    })
  }
  const bytes = bytesOf(resolved)
  if (bytes > maxVariablesBytes)
    errors.push({
      path: `${path}/variables`,
      message: `come to ${bytes} bytes with those of the send and the defaults; at most ${maxVariablesBytes}`,
    })
  return errors
}

/** An image or action variable becomes an address in somebody's hand: only http(s). */
const urlErrors = (schema: readonly Variable[], given: Variables, path: string): FieldError[] =>
  schema.flatMap(({ name, type }) => {
    const value = own(given, name)
    return type === 'string' || value === null || isPlainHttpUrl(value)
      ? []
      : [{ path: `${path}/${name}`, message: `must be an http:// or https:// URL without a user name, since the type is ${type}` }]
  })

function bytesOf(resolved: Variables): number {
  let characters = 0
  for (const name in resolved) characters += name.length + resolved[name]!.length
  // A UTF-16 unit is at most three bytes of UTF-8: counting bytes is for the few that may be over.
  if (characters * 3 <= maxVariablesBytes) return characters
  return Object.entries(resolved).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)
}
