// Decoding: by the schema a record names itself where it is ours, else by what the registry says of its id.
import * as avro from 'avsc'
import { avroTypes, CodecError, wireHeaderBytes } from './codec'
import { dataSchemaOf } from './dataSchema'
import type { AvroRecords } from './generated/avro'
import type { RecordName } from './topics'

/**
 * Where writer schemas come from. Answers null for an id that is nobody's; throws a retriable error when the registry is out of reach or has
 * lost its schemas, which it knows by our own schema of `record`.
 */
export type SchemaById = (schemaId: number, record: RecordName) => Promise<unknown>

/** An answer of the registry is believed this long; then it is asked again: ids are given out later, and move where its store was lost. */
export const lookAgainMs = 30_000

interface Known {
  readonly resolver: avro.Resolver | CodecError
  /** The schema as it was told. */
  readonly told: string
  readonly at: number
  used: boolean
}

/** Decodes records of one kind, whatever schema they were written with; resolvers are cached by schema id. */
export class RecordDecoder<R extends keyof AvroRecords> {
  // Bounded: beyond 1,000 distinct writer schemas of one subject something is registering in a loop.
  private static readonly maxSchemas = 1_000
  private readonly known = new Map<number, Known>()
  private readonly ours: Buffer
  private lookedAt = Date.now()

  constructor(
    private readonly record: R,
    private readonly schemaById: SchemaById,
  ) {
    this.ours = Buffer.from(dataSchemaOf(record))
  }

  /**
   * Decodes a value. `dataSchema` is the record's own header of that name ({@link dataSchemaHeader}): where it names the schema of this build
   * it decides, and the registry need not be there. A promise only while a schema id is new, so that a batch costs no microtask per record.
   * Throws (or rejects with) {@link CodecError} when the bytes cannot be read, or the registry's own retriable error.
   */
  decode(value: Buffer, dataSchema?: unknown): AvroRecords[R] | Promise<AvroRecords[R]> {
    if (value.length < wireHeaderBytes || value[0] !== 0)
      throw new CodecError('not_avro', 'the value does not start with a zero byte and a schema id')
    if (dataSchema !== undefined && this.isOurs(dataSchema)) return this.read(value, undefined)
    const schemaId = value.readInt32BE(1)
    const known = this.known.get(schemaId)
    if (known === undefined) return this.learn(schemaId).then((learned) => this.readKnown(value, learned))
    if (known.resolver instanceof CodecError && Date.now() - known.at >= lookAgainMs) {
      this.known.delete(schemaId)
      return this.decode(value, dataSchema)
    }
    return this.readKnown(value, known)
  }

  /**
   * To be called before a batch: looks up again what was in use and is older than {@link lookAgainMs}. Null: nothing is that old. Never
   * rejects: while the registry is away what is known goes on to be used.
   */
  lookAgain(): Promise<unknown> | null {
    const now = Date.now()
    if (now - this.lookedAt < lookAgainMs) return null
    this.lookedAt = now
    const inUse = [...this.known].filter(([, { used, resolver }]) => used && !(resolver instanceof CodecError))
    return inUse.length === 0 ? null : Promise.all(inUse.map(([schemaId, known]) => this.confirm(schemaId, known)))
  }

  private async confirm(schemaId: number, known: Known): Promise<void> {
    known.used = false
    // An id that is nobody's now was deleted, and ids are not given out twice: what it meant is still what its records hold.
    const schema = await this.schemaById(schemaId, this.record).catch(() => null)
    if (schema !== null && JSON.stringify(schema) !== known.told) this.known.set(schemaId, this.knownAs(schemaId, schema))
  }

  private isOurs(dataSchema: unknown): boolean {
    return dataSchema instanceof Uint8Array
      ? this.ours.equals(dataSchema)
      : typeof dataSchema === 'string' && dataSchema === dataSchemaOf(this.record)
  }

  private readKnown(value: Buffer, known: Known): AvroRecords[R] {
    if (known.resolver instanceof CodecError) throw known.resolver
    known.used = true
    return this.read(value, known.resolver)
  }

  private read(value: Buffer, resolver: avro.Resolver | undefined): AvroRecords[R] {
    try {
      return avroTypes[this.record].fromBuffer(value.subarray(wireHeaderBytes), resolver) as AvroRecords[R]
    } catch (cause) {
      const schema = resolver === undefined ? dataSchemaOf(this.record) : `schema ${value.readInt32BE(1)}`
      throw new CodecError('undecodable', `not a ${this.record} of ${schema}: ${(cause as Error).message}`)
    }
  }

  private async learn(schemaId: number): Promise<Known> {
    const known = this.knownAs(schemaId, await this.schemaById(schemaId, this.record))
    if (this.known.size >= RecordDecoder.maxSchemas) this.known.clear()
    this.known.set(schemaId, known)
    return known
  }

  private knownAs(schemaId: number, schema: unknown): Known {
    return { resolver: this.resolverFor(schemaId, schema), told: JSON.stringify(schema), at: Date.now(), used: false }
  }

  private resolverFor(schemaId: number, schema: unknown): avro.Resolver | CodecError {
    if (schema === null) return new CodecError('unknown_schema', `the schema registry knows no schema ${schemaId}`)
    try {
      // The writer's schema is parsed without our unions: the resolver reads its plain wrapped form.
      return avroTypes[this.record].createResolver(avro.Type.forSchema(schema as avro.Schema, { wrapUnions: 'auto' }))
    } catch (cause) {
      return new CodecError('undecodable', `schema ${schemaId} cannot be read as ${this.record}: ${(cause as Error).message}`)
    }
  }
}
