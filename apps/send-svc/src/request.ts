// What a send request may say, and what it comes to: one receiver a user, every variable accounted for.
import { setImmediate as turn } from 'node:timers/promises'
import { maxVariablesBytes } from '@stepcast/contracts'
import { freeId, int4, namedTexts, templateIdField, type FieldError } from '@stepcast/service'
import { isPlainHttpUrl, own, resolveVariables, type Variable, type Variables } from '@stepcast/template'
import { z } from 'zod'

// Names of the template's own are no longer.
const variables = namedTexts((name) => (name.length > 64 ? 'has a name of over 64 characters' : null))

/** Receivers of one send, at most. */
export const maxReceivers = 10_000

/** One receiver in the body of `POST /v1/sends`. */
export const receiverBody = z.strictObject({
  userId: freeId,
  variables: variables.nullish().describe('Win over the variables of the send'),
})

const fields = {
  templateId: templateIdField,
  templateVersion: int4(1).nullish().describe('The latest approved when absent'),
  variables: variables.nullish().describe('Win over the defaults of the template'),
  tag: z.string().min(1).max(128).nullish().describe('A label of yours, kept with every sequence'),
}

/** Body of `POST /v1/sends`. */
export const sendBody = z.strictObject({ ...fields, receivers: z.array(receiverBody).min(1).max(maxReceivers) })

/** The same where receivers have been taken out one by one. */
export const withoutReceivers = z.strictObject({ ...fields, receivers: z.array(z.unknown()).min(1).max(maxReceivers) })

/** A receiver as asked for. */
export interface AskedReceiver {
  readonly userId: string
  /** JSON of the values that only this user has, UTF-8; null: none. Kept as it is written: as values it would be several times as large. */
  readonly variables: Buffer | null
}

/** A readable request. */
export interface SendRequest {
  readonly templateId: string
  readonly templateVersion: number | null
  readonly variables: Variables
  readonly tag: string | null
  readonly receivers: readonly AskedReceiver[]
}

/** The receivers of a request, each user once; `errors` refuse the whole of it. */
export interface Receivers {
  readonly receivers: readonly AskedReceiver[]
  /** How many entries repeated a user: the first wins (rule 17). */
  readonly duplicates: number
  readonly errors: readonly FieldError[]
}

// More of the same would help nobody.
const maxErrors = 20

// Some milliseconds of work at most; others have their turn between.
const checkedAtOnceBytes = 512 * 1024

/** Takes repeated users out and checks that each receiver has every variable the template needs. */
export async function receiversOf(schema: readonly Variable[], request: SendRequest): Promise<Receivers> {
  const errors = urlErrors(schema, request.variables, '/variables')
  const receivers = new Map<string, AskedReceiver>()
  let checkedBytes = 0
  for (const [i, receiver] of request.receivers.entries()) {
    if (receivers.has(receiver.userId)) continue
    receivers.set(receiver.userId, receiver)
    if (errors.length >= maxErrors) continue
    errors.push(...receiverErrors(schema, request.variables, variablesOf(receiver), `/receivers/${i}`))
    checkedBytes += 500 + (receiver.variables?.length ?? 0)
    if (checkedBytes > checkedAtOnceBytes) {
      checkedBytes = 0
      await turn()
    }
  }
  return { receivers: [...receivers.values()], duplicates: request.receivers.length - receivers.size, errors: errors.slice(0, maxErrors) }
}

const variablesOf = ({ variables }: AskedReceiver): Variables => (variables === null ? {} : (JSON.parse(variables.toString()) as Variables))

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
