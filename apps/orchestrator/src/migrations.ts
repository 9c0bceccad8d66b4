// The orchestrator's tables: heads and changes of sequences, timers, cursors, cancels, and its replicas.
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { replicaOffsetsSql, templatesReplicaSql, usersReplicaSql, workspacesReplicaSql } from '@stepcast/replica'

const tables = `
-- One row a home partition: what was read, what was written, what was published. Its lock is the turn.
CREATE TABLE cursors (
  partition smallint PRIMARY KEY,
  cluster_id text NOT NULL,
  owner_epoch bigint NOT NULL DEFAULT 0,
  sends_offset bigint NOT NULL DEFAULT 0,
  engagements_offset bigint NOT NULL DEFAULT 0,
  log_position bigint NOT NULL DEFAULT 0,
  published_position bigint NOT NULL DEFAULT 0
);

-- The head of a sequence: who, what, how it ended. Inserting it is what makes a send idempotent.
CREATE TABLE sequences (
  sequence_id uuid PRIMARY KEY,
  started_on date NOT NULL,
  partition smallint NOT NULL,
  outcome smallint, -- null: running; else the index in SequenceOutcome
  template_version int NOT NULL,
  workspace_id text NOT NULL,
  send_id text NOT NULL,
  user_id text NOT NULL,
  template_id text NOT NULL,
  campaign_id text
) WITH (fillfactor = 90);
CREATE INDEX sequences_of_send ON sequences (workspace_id, send_id, sequence_id);
CREATE INDEX sequences_of_user ON sequences (workspace_id, user_id, sequence_id);

-- The history and the outbox: one row for everything one turn did to one sequence.
CREATE TABLE changes (
  started_on date NOT NULL,
  sequence_id uuid NOT NULL,
  version int NOT NULL,
  partition smallint NOT NULL,
  position bigint NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (started_on, sequence_id, version)
) PARTITION BY RANGE (started_on);
CREATE INDEX changes_by_position ON changes (partition, position);

-- The one live timer of each running sequence; firing deletes it.
CREATE TABLE timers (
  partition smallint NOT NULL,
  due_at bigint NOT NULL,
  sequence_id uuid NOT NULL,
  step smallint NOT NULL,
  PRIMARY KEY (partition, due_at, sequence_id, step)
);

-- Personal data, so outside the events; deleted once the ending change is published.
CREATE TABLE sequence_variables (
  sequence_id uuid PRIMARY KEY,
  variables jsonb NOT NULL
);

-- Engagements of sequences not known yet, kept 24 h (rule 13), with what a dead letter needs.
CREATE TABLE early_engagements (
  sequence_id uuid NOT NULL,
  message_id text NOT NULL,
  kind text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  report jsonb NOT NULL,
  record_key bytea,
  record_value bytea,
  origin jsonb NOT NULL,
  PRIMARY KEY (sequence_id, message_id, kind)
);
CREATE INDEX early_engagements_by_age ON early_engagements (received_at);

-- What a cancel forbids, from the moment it is committed.
CREATE TABLE cancels (
  cancel_id text NOT NULL,
  workspace_id text NOT NULL,
  scope text NOT NULL,
  id text NOT NULL,
  requested_by text NOT NULL,
  requested_at bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, cancel_id)
);
CREATE TABLE tombstones (
  workspace_id text NOT NULL,
  scope text NOT NULL,
  id text NOT NULL,
  requested_at bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, scope, id)
);
CREATE TABLE cancel_jobs (
  partition smallint NOT NULL,
  workspace_id text NOT NULL,
  cancel_id text NOT NULL,
  scope text NOT NULL,
  id text NOT NULL,
  requested_at bigint NOT NULL,
  after_sequence_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  PRIMARY KEY (partition, workspace_id, cancel_id)
);
`

/** Everything the first version needs. */
export class Orchestrator1763800000000 implements MigrationInterface {
  readonly name = 'Orchestrator1763800000000'

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [tables, replicaOffsetsSql, templatesReplicaSql, usersReplicaSql, workspacesReplicaSql]) await runner.query(sql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE cursors, sequences, changes, timers, sequence_variables, early_engagements, cancels, tombstones, cancel_jobs,
      replica_offsets, template_versions, archived_templates, users, workspaces`)
  }
}

/** All migrations, in order. */
export const migrations = [Orchestrator1763800000000]
