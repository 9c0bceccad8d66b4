// The headers of every record: CloudEvents in binary mode.
import { dataSchemaHeader, dataSchemaOf } from './dataSchema'
import type { RecordName } from './topics'

/** What records of one kind have in common that `source` sends together, from the clock as of now; `ce_id` and `traceparent` are each record's own. */
export const commonHeaders = (record: RecordName, source: string): Readonly<Record<string, string>> => ({
  ce_specversion: '1.0',
  ce_type: `stepcast.v1.${record}`,
  ce_source: `/${source}`,
  ce_time: new Date().toISOString(),
  'content-type': 'application/avro',
  [dataSchemaHeader]: dataSchemaOf(record),
})
