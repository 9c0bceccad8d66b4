// Every operation of a service's OpenAPI document, with each of its texts and numbers replaced by what some database, date or wire does not
// take: nothing of it may be answered with 5xx.

/** A request that was answered with 5xx. */
export interface Breach {
  readonly call: string
  readonly hostile: string
  readonly status: number
}

/** How a service is attacked. */
export interface AttackOptions {
  /** The address of the service. */
  readonly url: string
  /** Its OpenAPI document, where it does not serve it at `/openapi.json`. */
  readonly document?: object
  /** Headers of a caller who may call everything. */
  headers(path: string): Promise<Record<string, string>>
  /** Values by the name of their field or parameter, where a valid one cannot be guessed from its schema. */
  readonly known: Readonly<Record<string, unknown>>
  /** Whole bodies by `POST /v1/…`: where the schema alone gives none that is taken. */
  readonly bodies?: Readonly<Record<string, unknown>>
}

interface Schema {
  readonly type?: string
  readonly format?: string
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly minItems?: number
  readonly additionalProperties?: Schema | boolean
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
}
interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema?: Schema; readonly required?: boolean }[]
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }
}

const hostileTexts = ['a\u0000b', 'Ann \ud83d']
const hostileNumbers = [2 ** 31, 2 ** 53, 1e15, 1e308, -1, 0.5]
const hostileTimes = ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z']
const hostileValues = [...hostileTexts, ...hostileNumbers, ...hostileTimes, null, [], {}, '']
/** In an address everything is text, and NUL is refused before anything is read. */
const hostileWords = [
  '%00',
  '%ED%A0%BD',
  '%F0%9F',
  ...hostileValues.filter((value) => typeof value === 'string' && value.isWellFormed()).map((value) => encodeURIComponent(value as string)),
  ...hostileNumbers.map(String),
  '1e400',
  'x'.repeat(5_000),
]
const keysetValues = ['x', '2026', 'a\u0000b', '\ud83d', ...hostileNumbers, null, {}]
// What lists take, where their document does not say so.
const queryNames = ['cursor', 'limit', 'sendId', 'userId', 'templateId', 'campaignId', 'outcome']

/**
 * Attacks every operation of the service's own document.
 * @returns what was answered with 5xx, and how many requests were made.
 */
export async function attack(options: AttackOptions): Promise<{ breaches: Breach[]; asked: number; byStatus: Record<number, number> }> {
  const served = options.document ?? (await (await fetch(`${options.url}/openapi.json`)).json())
  const document = served as { paths: Record<string, Record<string, Operation>> }
  const breaches: Breach[] = []
  const byStatus: Record<number, number> = {}
  let asked = 0
  const ask = async (method: string, path: string, body: Uint8Array | undefined, call: string, hostile: string): Promise<void> => {
    const headers = { ...(await options.headers(path)), ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const given = body === undefined ? {} : { body: body as NonNullable<RequestInit['body']> }
    const response = await fetch(options.url + path, { method, headers, ...given, redirect: 'manual', signal: AbortSignal.timeout(20_000) })
    await response.body?.cancel()
    asked++
    byStatus[response.status] = (byStatus[response.status] ?? 0) + 1
    if (response.status >= 500) breaches.push({ call, hostile, status: response.status })
  }
  for (const [template, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const call = `${method.toUpperCase()} ${template}`
      // A stream has no end.
      if (template.endsWith('/stream')) continue
      await inTurns([...requestsOf(call, template, operation, options)], ({ path, body, hostile }) =>
        ask(method.toUpperCase(), path, body, call, hostile),
      )
    }
  }
  return { breaches, asked, byStatus }
}

// A few at a time: a service has ten connections to its database.
async function inTurns<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < all.length; from += 8) await Promise.all(all.slice(from, from + 8).map(work))
}

function* requestsOf(
  call: string,
  template: string,
  { parameters = [], requestBody }: Operation,
  { known, bodies = {} }: AttackOptions,
): Generator<{ path: string; body: Uint8Array | undefined; hostile: string }> {
  const given = (name: string, schema?: Schema): string =>
    encodeURIComponent(String(known[name] ?? (schema === undefined ? 'x' : valid(schema, name, known))))
  const pathWith = (name: string | null, word: string): string =>
    template.replaceAll(/\{(\w+)\}/g, (_, each: string) =>
      each === name ? word : given(each, parameters.find((parameter) => parameter.name === each)?.schema),
    )
  const schema = requestBody?.content?.['application/json']?.schema
  const base = bodies[call] ?? (schema === undefined ? undefined : valid(schema, '', known))
  const bytes = base === undefined ? undefined : Buffer.from(JSON.stringify(base))
  yield { path: pathWith(null, ''), body: bytes, hostile: 'nothing' }
  for (const [, name] of template.matchAll(/\{(\w+)\}/g)) {
    for (const word of hostileWords) yield { path: pathWith(name!, word), body: bytes, hostile: `/${name} ${word.slice(0, 60)}` }
  }
  const declared = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
  const names = new Set(declared.length === 0 && call.startsWith('GET') ? queryNames : declared)
  for (const name of names) {
    for (const word of hostileWords)
      yield { path: `${pathWith(null, '')}?${name}=${word}`, body: bytes, hostile: `?${name}=${word.slice(0, 60)}` }
  }
  if (names.has('cursor')) {
    for (const cursor of cursors())
      yield { path: `${pathWith(null, '')}?cursor=${Buffer.from(cursor).toString('base64url')}`, body: bytes, hostile: `cursor ${cursor}` }
  }
  if (base === undefined) return
  for (const { path, value, whole } of variants(base))
    yield { path: pathWith(null, ''), body: Buffer.from(JSON.stringify(whole)), hostile: `${path} ${JSON.stringify(value)?.slice(0, 60)}` }
  yield { path: pathWith(null, ''), body: Buffer.from(JSON.stringify(base).replace(/:"/, ':"\u00e9'), 'latin1'), hostile: 'latin1' }
}

/** Keysets of one and two values. */
function* cursors(): Generator<string> {
  const one = keysetValues.map((value) => JSON.stringify(value))
  for (const a of one) yield `[${a}]`
  yield '[10000000000000000000000]'
  for (const a of one) {
    for (const b of ['"x"', '1']) {
      yield `[${a},${b}]`
      yield `[${b},${a}]`
    }
  }
  yield '[10000000000000000000000,"a"]'
}

/** The body with each of its leaves, and each name of its fields, replaced in turn. */
function* variants(base: unknown): Generator<{ path: string; value: unknown; whole: unknown }> {
  for (const place of placesOf(base, [])) {
    for (const value of hostileValues) yield { path: `/${place.join('/')}`, value, whole: replaced(base, place, value) }
    const name = place.at(-1)
    if (typeof name !== 'string') continue
    for (const hostile of hostileTexts.slice(0, 1)) {
      const whole = structuredClone(base)
      const parent = place
        .slice(0, -1)
        .reduce<Record<string, unknown>>((at, step) => at[step] as Record<string, unknown>, whole as Record<string, unknown>)
      parent[hostile] = parent[name]
      yield { path: `/${place.join('/')} as`, value: hostile, whole }
    }
  }
}

function* placesOf(value: unknown, path: readonly (string | number)[]): Generator<readonly (string | number)[]> {
  if (path.length > 0) yield path
  if (typeof value !== 'object' || value === null) return
  for (const name of Object.keys(value))
    yield* placesOf((value as Record<string, unknown>)[name], [...path, Array.isArray(value) ? Number(name) : name])
}

function replaced(base: unknown, place: readonly (string | number)[], value: unknown): unknown {
  const whole = structuredClone(base)
  const parent = place
    .slice(0, -1)
    .reduce<Record<string | number, unknown>>(
      (at, step) => at[step] as Record<string | number, unknown>,
      whole as Record<string | number, unknown>,
    )
  parent[place.at(-1)!] = value
  return whole
}

/** A value that its schema takes, as far as that can be told; every field is given, so that each can be attacked. */
function valid(schema: Schema, name: string, known: Readonly<Record<string, unknown>>): unknown {
  if (name in known) return known[name]
  const branch = (schema.anyOf ?? schema.oneOf)?.[0]
  if (branch !== undefined) return valid(branch, name, known)
  if (schema.enum !== undefined) return schema.enum[0]
  switch (schema.type) {
    case 'object': {
      const fields = Object.entries(schema.properties ?? {}).map(([field, part]) => [field, valid(part, field, known)])
      const more = typeof schema.additionalProperties === 'object' ? [['field', valid(schema.additionalProperties, 'field', known)]] : []
      return Object.fromEntries([...fields, ...more])
    }
    case 'array':
      return schema.items === undefined ? [] : [valid(schema.items, name, known)]
    case 'integer':
    case 'number':
      return schema.minimum ?? 1
    case 'boolean':
      return true
    case 'string':
      return schema.format === 'date-time' ? '2026-01-31T09:00:00Z' : 'x'
    case undefined:
    default:
      return 'x'
  }
}
