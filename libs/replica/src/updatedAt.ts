// The older of two records never wins: a request to Kafka that timed out may be carried out after its repetition and what came behind.
import type { IncomingRecord } from '@stepcast/kafka'

/** Where a row's JSON keeps its record's `updatedAt`: rows of an earlier version have none and give way. */
export const updatedAtField = '$updatedAt'

/** Whether a record counts where `than` stood before it on the topic. A tombstone always does: it has no time of its own. */
export const isNewer = (
  record: IncomingRecord<'UserChanged' | 'WorkspaceChanged'>,
  than: IncomingRecord<'UserChanged' | 'WorkspaceChanged'>,
): boolean => record.value === null || than.value === null || record.value.updatedAt >= than.value.updatedAt
