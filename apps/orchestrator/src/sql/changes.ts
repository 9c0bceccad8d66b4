// Changes: the history of every sequence, and the outbox of the partition.
import type { PoolClient } from 'pg'
import { ints, uuids, type Queryable } from './arrays'

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

/**
 * Stores changes. The data travel as one binary value and are cut by the server: an array of bytea would be written and
 * read as hexadecimal text.
 */
export async function insertChanges(tx: PoolClient, partition: number, changes: readonly NewChange[], data: Buffer): Promise<void> {
  if (changes.length === 0) return
  await tx.query({
    name: 'insert-changes',
    text: `INSERT INTO changes (started_on, sequence_id, version, partition, position, data)
           SELECT started_on, id, version, $1, position, substring($2::bytea FROM start FOR length)
           FROM unnest($3::date[], $4::uuid[], $5::int[], $6::bigint[], $7::int[], $8::int[]) AS c (started_on, id, version, position, start, length)`,
    values: [
      partition, data, uuids(changes.map(({ startedOn }) => startedOn)), uuids(changes.map(({ sequenceId }) => sequenceId)),
      ints(changes.map(({ version }) => version)), ints(changes.map(({ position }) => position)),
      ints(changes.map(({ from }) => from + 1)), ints(changes.map(({ from, to }) => to - from)),
    ],
  })
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
