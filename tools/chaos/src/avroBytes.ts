// Writes Avro as no library would: any bytes where a text should be, numbers of any size, branches and symbols that do not exist.

/** A schema as its JSON is. */
export type Schema = string | readonly Schema[] | SchemaObject

interface SchemaObject {
  readonly type: Schema
  readonly name?: string
  readonly symbols?: readonly string[]
  readonly items?: Schema
  readonly values?: Schema
  readonly fields?: readonly { readonly name: string; readonly type: Schema }[]
}

/** A branch of a union, a symbol of an enum, by its place, whether there is one or not. */
export class Place {
  constructor(
    readonly index: number,
    readonly value: unknown = undefined,
  ) {}
}

/** A map by its entries: any bytes as names, one name twice. */
export class Entries {
  constructor(readonly all: readonly (readonly [string | Buffer, unknown])[]) {}
}

const zigzag = (value: bigint): bigint => (value >= 0n ? value << 1n : (-value << 1n) - 1n)

/** A whole number as Avro and Kafka write it. */
export function varint(value: bigint | number): Buffer {
  let rest = zigzag(BigInt(value))
  const bytes: number[] = []
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

const textBytes = (text: string | Buffer): Buffer => {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  return Buffer.concat([varint(bytes.length), bytes])
}

const isObject = (schema: Schema): schema is SchemaObject => typeof schema === 'object' && !Array.isArray(schema)

/** Named types by their names. */
export type Named = ReadonlyMap<string, SchemaObject>

const known = new WeakMap<object, Named>()

/** Every named type within a schema. */
export function namedIn(schema: Schema): Named {
  if (typeof schema !== 'object') return new Map()
  let named = known.get(schema)
  if (named === undefined) {
    const found = new Map<string, SchemaObject>()
    collect(schema, found)
    known.set(schema, (named = found))
  }
  return named
}

function collect(schema: Schema, found: Map<string, SchemaObject>): void {
  if (typeof schema === 'string') return
  if (!isObject(schema)) return schema.forEach((branch: Schema) => collect(branch, found))
  if (schema.name !== undefined) found.set(schema.name, schema)
  for (const part of [schema.type, schema.items, schema.values, ...(schema.fields ?? []).map(({ type }) => type)])
    if (part !== undefined) collect(part, found)
}

/** The simple type of a schema: names of named types are looked up. */
export function resolved(schema: Schema, named: Named): Schema {
  if (typeof schema === 'string') return named.get(schema) ?? schema
  if (!isObject(schema)) return schema
  // `{ "type": "long", "logicalType": … }` and `{ "type": { "type": "array", … } }` are what they hold.
  return isObject(schema.type) || (typeof schema.type === 'string' && !complex.has(schema.type)) ? resolved(schema.type, named) : schema
}
const complex: ReadonlySet<string> = new Set(['record', 'enum', 'array', 'map'])

/** Encodes a value; what does not fit its schema is written as well as it can be. */
export function avroBytes(schema: Schema, value: unknown, named = namedIn(schema)): Buffer {
  const type = resolved(schema, named)
  if (Array.isArray(type)) return unionBytes(type as readonly Schema[], value, named)
  if (typeof type === 'string') return simpleBytes(type, value)
  const { type: kind, symbols = [], items, values, fields = [] } = type as SchemaObject
  switch (kind) {
    case 'record':
      return Buffer.concat(fields.map((field) => avroBytes(field.type, (value as Record<string, unknown>)[field.name], named)))
    case 'enum':
      return varint(value instanceof Place ? value.index : symbols.indexOf(String(value)))
    case 'array':
      return blocks((value as readonly unknown[]).map((one) => avroBytes(items!, one, named)))
    case 'map': {
      const entries = value instanceof Entries ? value.all : Object.entries(value as Record<string, unknown>)
      return blocks(entries.map(([name, one]) => Buffer.concat([textBytes(name), avroBytes(values!, one, named)])))
    }
  }
  throw new Error(`no way to write ${JSON.stringify(kind)}`)
}

const blocks = (parts: readonly Buffer[]): Buffer =>
  parts.length === 0 ? Buffer.from([0]) : Buffer.concat([varint(parts.length), ...parts, Buffer.from([0])])

function simpleBytes(type: string, value: unknown): Buffer {
  switch (type) {
    case 'null':
      return Buffer.alloc(0)
    case 'int':
    case 'long':
      return varint(typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value))))
    case 'string':
      return textBytes(Buffer.isBuffer(value) ? value : String(value))
  }
  throw new Error(`no way to write ${type}`)
}

const branchName = (branch: Schema): string =>
  typeof branch === 'string' ? branch : isObject(branch) ? (branch.name ?? String(branch.type)) : ''

function unionBytes(branches: readonly Schema[], value: unknown, named: Named): Buffer {
  if (value instanceof Place) {
    const branch = branches[value.index]
    return Buffer.concat([varint(value.index), branch === undefined ? Buffer.alloc(0) : avroBytes(branch, value.value, named)])
  }
  const tag = (value as { type?: string } | null | undefined)?.type
  const index =
    value === null || value === undefined
      ? branches.indexOf('null')
      : tag !== undefined
        ? branches.findIndex((branch) => branchName(branch) === tag)
        : branches.findIndex((branch) => branch !== 'null')
  return Buffer.concat([varint(index), avroBytes(branches[index]!, value, named)])
}
