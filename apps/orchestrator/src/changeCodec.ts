// A change as it is stored and as it is published. The stored bytes are the tail of the published record, so publishing,
// now or again after a crash, only puts the head and the position before them.
import { avroSchemas, avroTypeFor, type ScratchEncoder, type SequenceChanged } from '@stepcast/contracts'
import type { SequenceEvent } from '@stepcast/sequence'
import { upcast } from '@stepcast/sequence'
import type { Head } from './sql/sequences'

const { fields } = avroSchemas.SequenceChanged
const tailFields = ['recordedAt', 'events']

const recordOf = (name: string, keep: (field: string) => boolean): unknown => ({
  type: 'record',
  name: `stepcast.v1.${name}`,
  fields: fields.filter((field) => keep(field.name)),
})

// Avro writes a record as its fields in order, so head and tail together are a SequenceChanged.
if (
  fields
    .slice(-2)
    .map(({ name }) => name)
    .join() !== tailFields.join()
)
  throw new Error('SequenceChanged must end with recordedAt and events')
const headType = avroTypeFor(recordOf('SequenceChangedHead', (name) => !tailFields.includes(name)))
const tailType = avroTypeFor(recordOf('SequenceChangedTail', (name) => tailFields.includes(name)))

/** The first byte of stored data: which schema the rest was written with. A changed schema gets the next number, and its reader stays. */
const format = 1

/** What a change recorded. */
export interface RecordedChange {
  readonly recordedAt: number
  readonly events: readonly SequenceEvent[]
}

/** Writes a change for the store at `at`; answers where it ends. */
export function writeChange(scratch: ScratchEncoder, at: number, change: RecordedChange): number {
  return scratch.write(tailType, change, scratch.byte(format, at))
}

/** Decodes stored data; old shapes come back as today's. */
export function decodeChange(data: Buffer): RecordedChange {
  if (data[0] !== format) throw new Error(`a stored change has format ${data[0]}, which this version does not know`)
  const { recordedAt, events } = tailType.fromBuffer(data.subarray(1)) as RecordedChange
  return { recordedAt, events: events.map(upcast) }
}

/** Where a change stands in the log. */
export interface Place {
  readonly version: number
  readonly logPartition: number
  readonly logPosition: number
}

/** Stored data within a larger buffer. */
export interface StoredBytes {
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
}

/** Writes the `SequenceChanged` record of stored data, in wire format, at the beginning of `scratch`; answers where it ends. */
export function writePublished(
  scratch: ScratchEncoder,
  schemaId: number,
  head: Head,
  place: Place,
  { bytes, from, to }: StoredBytes,
): number {
  const { workspaceId, sequenceId, sendId, userId, templateId, templateVersion, campaignId } = head
  const { version, logPartition, logPosition } = place
  const front: Omit<SequenceChanged, 'recordedAt' | 'events'> = {
    workspaceId,
    sequenceId,
    version,
    logPartition,
    logPosition,
    sendId,
    userId,
    templateId,
    templateVersion,
    campaignId,
  }
  return scratch.copy(bytes, scratch.write(headType, front, scratch.begin(schemaId)), from + 1, to)
}
