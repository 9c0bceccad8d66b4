// Avro in Confluent's wire format: one zero byte, the schema id as four bytes, the record.
import * as avro from 'avsc'
import { avroSchemas, type AvroRecords } from './generated/avro'

/** The value cannot be read or written: a dead letter, never a reason to stop. */
export class CodecError extends Error {
  readonly retriable = false
  constructor(
    /** not_avro, unknown_schema, undecodable or unencodable. */
    readonly reason: 'not_avro' | 'unknown_schema' | 'undecodable' | 'unencodable',
    message: string,
  ) {
    super(message)
  }
}

interface Tagged {
  type: string
}

/** The branch of a union as avsc keeps it. */
interface Branch {
  readonly name: string
  _read(tap: Tap): Tagged
  _write(tap: Tap, value: object): void
}

interface Tap {
  readLong(): number
  writeLong(value: number): void
}

/**
 * A union of records as `{ type: 'StepEnded', … }` in TypeScript, `{ 'stepcast.v1.StepEnded': … }` to avsc. Reads and writes the branch
 * itself: by way of the wrapped form every event cost a new object with a computed name, 5 % of the orchestrator's time.
 */
class TaggedUnion extends avro.types.LogicalType {
  private branches: readonly Branch[] | null = null
  private readonly places = new Map<string, number>()

  private known(): readonly Branch[] {
    if (this.branches === null) {
      this.branches = (this.underlyingType as unknown as { types: readonly Branch[] }).types
      this.branches.forEach(({ name }, place) => this.places.set(tagOf(name), place))
    }
    return this.branches
  }

  // avsc calls these two for every value …
  protected _read(tap: Tap): Tagged {
    const branch = this.known()[tap.readLong()]
    if (branch === undefined) throw new CodecError('undecodable', 'a union value without a branch')
    const value = branch._read(tap)
    value.type = tagOf(branch.name)
    return value
  }

  protected _write(tap: Tap, value: Tagged): void {
    const branches = this.known()
    const place = this.places.get(value.type)
    if (place === undefined) throw new CodecError('unencodable', `no record of the union is called ${value.type}`)
    tap.writeLong(place)
    branches[place]!._write(tap, value)
  }

  // … and these two where it checks, copies or resolves one.
  protected override _fromValue(wrapped: Record<string, object>): Tagged {
    for (const name in wrapped) {
      const value = wrapped[name] as Tagged
      value.type = tagOf(name)
      return value
    }
    throw new CodecError('undecodable', 'an empty union value')
  }

  protected override _toValue(value: Tagged): Record<string, object> {
    return { [`stepcast.v1.${value.type}`]: value }
  }

  // avsc resolves a logical type by converting whole values of the writer; nested evolution needs the underlying resolver.
  protected _update(resolver: { _read: (tap: unknown) => unknown }, writer: avro.Type): void {
    const inner = this.underlyingType.createResolver(writer) as unknown as { _read: (tap: unknown) => Record<string, object> }
    resolver._read = (tap) => this._fromValue(inner._read(tap))
  }
}

interface MapTap extends Tap {
  pos: number
  readString(): string
}

/** A map whose names are whatever they are: avsc assigns each, so that `__proto__` would be lost. */
class MapOfAnyName extends avro.types.MapType {
  // avsc calls it for every map, and for one of another writer with that one's way of reading values.
  protected _read(this: { valuesType: { _read(tap: MapTap): unknown } }, tap: MapTap): object {
    const values: Record<string, unknown> = {}
    for (let left = blockSize(tap); left > 0; left = blockSize(tap)) {
      for (; left > 0; left--) {
        const name = tap.readString()
        const value = this.valuesType._read(tap)
        if (name === '__proto__') Object.defineProperty(values, name, { value, enumerable: true, configurable: true, writable: true })
        else values[name] = value
      }
    }
    return values
  }
}

/** Entries of the next block; 0: that was the last. A negative count is followed by the block's bytes. */
function blockSize(tap: MapTap): number {
  const count = tap.readLong()
  if (count >= 0) return count
  tap.readLong()
  return -count
}

const isMap = (schema: unknown): boolean => typeof schema === 'object' && schema !== null && (schema as { type?: unknown }).type === 'map'

const tags = new Map<string, string>()
/** `StepEnded` of `stepcast.v1.StepEnded`; the same string each time. */
function tagOf(name: string): string {
  let tag = tags.get(name)
  if (tag === undefined) tags.set(name, (tag = name.slice(name.lastIndexOf('.') + 1)))
  return tag
}

const isTaggedUnion = (schema: unknown): boolean =>
  Array.isArray(schema) && schema.filter((branch: { type?: string }) => branch.type === 'record').length > 1

/** Parses an Avro schema into a type of ours: tagged unions of records, timestamps as numbers. */
export function avroTypeFor(schema: unknown): avro.Type {
  const inside = new WeakSet<object>()
  return avro.Type.forSchema(
    schema as avro.Schema,
    {
      wrapUnions: 'auto',
      typeHook(part: avro.Schema, options: avro.ForSchemaOptions) {
        if (isMap(part)) return new MapOfAnyName(part as never, options as never) as unknown as avro.Type
        if (!isTaggedUnion(part) || inside.has(part as object)) return undefined
        inside.add(part as object)
        return new TaggedUnion(part as never, options as never) as unknown as avro.Type
      },
    } as avro.ForSchemaOptions,
  )
}

/** Our own (reader) type of each record. */
export const avroTypes = Object.fromEntries(Object.entries(avroSchemas).map(([name, schema]) => [name, avroTypeFor(schema)])) as Readonly<
  Record<keyof AvroRecords, avro.Type>
>

export const wireHeaderBytes = 5

/** The five bytes before each record. */
export function wireHeader(schemaId: number): Buffer {
  const header = Buffer.alloc(wireHeaderBytes)
  header.writeInt32BE(schemaId, 1)
  return header
}

/** Encodes a record; throws {@link CodecError} `unencodable` naming the field when the value does not fit the schema. */
export function encodeRecord<R extends keyof AvroRecords>(record: R, schemaId: number, value: AvroRecords[R]): Buffer {
  const type = avroTypes[record]
  try {
    return Buffer.concat([wireHeader(schemaId), type.toBuffer(value)])
  } catch (cause) {
    const paths: string[] = []
    type.isValid(value, { errorHook: (path) => paths.push(path.join('.')) })
    throw new CodecError(
      'unencodable',
      `${record}: ${paths.length ? `field ${paths.join(', ')} does not fit the schema` : (cause as Error).message}`,
    )
  }
}

/** Writes values of one type after another into a buffer of its own, which grows: no allocation per value. */
export class ScratchEncoder {
  buffer = Buffer.allocUnsafe(64 * 1024)

  /** Begins with the five bytes before each record; answers where they end. */
  begin(schemaId: number): number {
    this.buffer[0] = 0
    return this.buffer.writeInt32BE(schemaId, 1)
  }

  /**
   * Writes a value at `at`; answers where it ends.
   * @throws when the value does not fit the type.
   */
  write(type: avro.Type, value: unknown, at: number): number {
    const end = type.encode(value, this.buffer, at)
    if (end >= 0) return end
    this.reserve(at - end + this.buffer.length)
    return this.write(type, value, at)
  }

  /** Writes the part `from` … `to` of some bytes at `at`; answers where it ends. */
  copy(bytes: Buffer, at: number, from: number, to: number): number {
    this.reserve(at + to - from)
    return at + bytes.copy(this.buffer, at, from, to)
  }

  /** Writes one byte at `at`; answers where it ends. */
  byte(value: number, at: number): number {
    this.reserve(at + 1)
    this.buffer[at] = value
    return at + 1
  }

  private reserve(bytes: number): void {
    if (bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(bytes, this.buffer.length * 2))
    this.buffer.copy(larger)
    this.buffer = larger
  }
}
