// The tables of metrics: how far the topic is folded, a row per sequence, counters per template version and hour.
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { replicaOffsetsSql, templatesReplicaSql } from '@stepcast/replica'

/** The service's PostgreSQL schema. */
export const schema = 'metrics_svc'

/** The tables that a rebuild makes anew, all together. */
export const foldedTables = ['positions', 'sequences', 'counts', 'counts_by_partition'] as const

/**
 * What the fold writes. Rows of `sequences` serve sends, campaigns, the odd parts of hours at the ends of a from/to range, and the fold
 * itself; they are kept 97 days (see purge.ts). `counts` is kept for good: at most 60 rows an hour for a version of three steps.
 */
const firstTablesSql = `
CREATE TABLE positions (
  partition int PRIMARY KEY,
  log_position bigint NOT NULL,       -- the highest folded; changes at or below it are repetitions
  next_offset bigint NOT NULL,        -- where to read on in Kafka
  recorded_at timestamptz NOT NULL    -- of the newest change folded
);
CREATE TABLE sequences (
  sequence_id uuid PRIMARY KEY,
  workspace_id text NOT NULL,
  template_id text NOT NULL,
  template_version int NOT NULL,
  send_id text NOT NULL,
  campaign_id text,
  source text NOT NULL,
  requested_at timestamptz NOT NULL,
  started_at timestamptz NOT NULL,
  state text NOT NULL                 -- see state.ts; the only column that changes, so updates stay on their page
) WITH (fillfactor = 85);
CREATE INDEX sequences_by_start ON sequences (workspace_id, template_id, started_at);
CREATE INDEX sequences_by_send ON sequences (workspace_id, send_id);
CREATE INDEX sequences_by_campaign ON sequences (workspace_id, campaign_id) WHERE campaign_id IS NOT NULL;
CREATE INDEX sequences_by_age ON sequences USING brin (started_at);
CREATE TABLE counts (
  workspace_id text NOT NULL,
  template_id text NOT NULL,
  template_version int NOT NULL,
  hour timestamptz NOT NULL,          -- in which the sequences started
  step int NOT NULL,                  -- 0: the sequence itself
  channel_type text NOT NULL,         -- '': the step itself
  name text NOT NULL,
  n bigint NOT NULL,
  PRIMARY KEY (workspace_id, template_id, template_version, hour, step, channel_type, name)
) WITH (fillfactor = 50);             -- the present hour's rows are rewritten by every batch
CREATE INDEX counts_of_sequences ON counts (workspace_id, hour) WHERE step = 0;
`

// What every batch adds to counters, apart for each partition: in one row for all of them, the partitions of a large campaign would wait for
// each other's commits. Of past hours they are put together into `counts` (gather.ts), so both tables are read as one.
const byPartitionSql = `
CREATE TABLE counts_by_partition (
  partition int NOT NULL,
  workspace_id text NOT NULL,
  template_id text NOT NULL,
  template_version int NOT NULL,
  hour timestamptz NOT NULL,
  step int NOT NULL,
  channel_type text NOT NULL,
  name text NOT NULL,
  n bigint NOT NULL,
  PRIMARY KEY (workspace_id, template_id, partition, template_version, hour, step, channel_type, name)
) WITH (fillfactor = 50);
-- Room on its own page for the next state of every row: the sequences of a campaign change together, and a row that had to move would write
-- to all indexes again.
ALTER TABLE sequences SET (fillfactor = 50);
-- Of a rebuild that took old numbers over: up to which position they were counted.
ALTER TABLE positions ADD COLUMN taken_over_up_to bigint NOT NULL DEFAULT 0;
`

/** Everything the fold writes, for a rebuild. */
export const foldedTablesSql = firstTablesSql + byPartitionSql

/** The first migration. */
class Metrics1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(firstTablesSql)
    await runner.query(replicaOffsetsSql)
    await runner.query(templatesReplicaSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE positions, sequences, counts, replica_offsets, template_versions, archived_templates')
  }
}

/** Counters by partition. The version before goes on beside it, in the table it knows. */
class CountsByPartition1764300000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(byPartitionSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE counts_by_partition; ALTER TABLE positions DROP COLUMN taken_over_up_to')
  }
}

/** All migrations, in order. */
export const migrations = [Metrics1700000000000, CountsByPartition1764300000000]
