// Changes: the history of every sequence, and the outbox of the partition.
import type { Queryable } from '@stepcast/postgres'

/** A change to be stored. */
export interface NewChange {
  readonly startedOn: string
  readonly sequenceId: string
  readonly version: number
  readonly position: number
  /** Where its data stand in the turn's buffer. */
  readonly from: number
  readonly to: number
}

/** The sequences and positions of changes after `position`, in order; at most `limit`. */
export async function changesAfter(tx: Queryable, partition: number, position: number, limit: number): Promise<{ sequenceId: string; position: number }[]> {
  const { rows } = await tx.query<{ sequenceId: string; position: number }>({
    name: 'changes-after',
    text: `SELECT sequence_id AS "sequenceId", position FROM changes WHERE partition = $1 AND position > $2 ORDER BY position LIMIT $3`,
    values: [partition, position, limit],
  })
  return rows
}

// Made this many days ahead, so that a midnight without housekeeping does not matter.
const daysAhead = 3

/** Makes the partitions of the coming days; safe to repeat and to run in several processes. */
export async function ensureChangePartitions(tx: Queryable): Promise<void> {
  await tx.query(`DO $$
    DECLARE day date;
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtext('stepcast change partitions'));
      FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(-1, ${daysAhead}) AS n LOOP
        IF to_regclass('changes_' || to_char(day, 'YYYYMMDD')) IS NULL THEN
          EXECUTE format('CREATE TABLE %I PARTITION OF changes FOR VALUES FROM (%L) TO (%L)', 'changes_' || to_char(day, 'YYYYMMDD'), day, day + 1);
        END IF;
      END LOOP;
    END $$`)
}
