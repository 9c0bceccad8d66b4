// A record of ours says its schema by content, in the header that CloudEvents calls dataschema: a registry that lost its schemas gives their ids anew.
import { avroTypes } from './codec'
import type { RecordName } from './topics'

/** The header's name on Kafka. */
export const dataSchemaHeader = 'ce_dataschema'

const names = new Map<RecordName, string>()

/** The name of this build's schema of a record: `urn:stepcast:<record>:<16 hexadecimal digits of its canonical form's SHA-256>`. */
export function dataSchemaOf(record: RecordName): string {
  let name = names.get(record)
  if (name === undefined) {
    name = `urn:stepcast:${record}:${avroTypes[record].fingerprint('sha256').subarray(0, 8).toString('hex')}`
    names.set(record, name)
  }
  return name
}
