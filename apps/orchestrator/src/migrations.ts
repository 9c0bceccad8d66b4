// The orchestrator's tables: heads and changes of sequences, timers, cursors, cancels, and its replicas.
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { replicaOffsetsSql, templatesReplicaSql, usersReplicaSql, workspacesReplicaSql } from '@stepcast/replica'
import { EarlyOfWorkspaces1764100001000, SendsEnds1764100000000 } from './entryMigrations'
import { SharedValues1764000000000 } from './migrationsOfVariables'
import { Reconsiderations1764900000000, UnseenTombstones1764200001000, WalksInOrder1764200000000 } from './lookUpMigrations'

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
class Orchestrator1763800000000 implements MigrationInterface {
  readonly name = 'Orchestrator1763800000000'

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [tables, replicaOffsetsSql, templatesReplicaSql, usersReplicaSql, workspacesReplicaSql]) await runner.query(sql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE cursors, sequences, changes, timers, sequence_variables, early_engagements, cancels, tombstones, cancel_jobs,
      replica_offsets, template_versions, archived_templates, users, workspaces`)
  }
}

// The layout that the benchmark asked for: columns in the order that needs no padding, fewer and smaller indexes. Per sequence, history
// included, 1,440 bytes became 1,270, and PostgreSQL's time for it fell by a third.
const narrower = `
CREATE TABLE changes_before AS SELECT * FROM changes;
DROP TABLE changes;
CREATE TABLE changes (
  sequence_id uuid NOT NULL,
  position bigint NOT NULL,
  started_on date NOT NULL,
  version int NOT NULL,
  partition smallint NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (started_on, sequence_id, version)
) PARTITION BY RANGE (started_on);
-- Rows of a partition stand together and in order, so a summary of each stretch of pages finds those after a position: a B-tree of
-- all positions was 7 % of the bytes, for a question asked only when a partition is taken over.
CREATE INDEX changes_by_position ON changes USING brin (partition, position) WITH (pages_per_range = 16, autosummarize = on);
DO $$
  DECLARE day date;
  BEGIN
    FOR day IN SELECT DISTINCT started_on FROM changes_before LOOP
      EXECUTE format('CREATE TABLE %I PARTITION OF changes FOR VALUES FROM (%L) TO (%L)', 'changes_' || to_char(day, 'YYYYMMDD'), day, day + 1);
    END LOOP;
  END $$;
INSERT INTO changes (sequence_id, position, started_on, version, partition, data)
  SELECT sequence_id, position, started_on, version, partition, data FROM changes_before ORDER BY partition, position;
DROP TABLE changes_before;

-- A running sequence has one timer: which step it is for follows from the sequence.
CREATE TABLE timers_before AS SELECT * FROM timers;
DROP TABLE timers;
CREATE TABLE timers (
  due_at bigint NOT NULL,
  sequence_id uuid NOT NULL,
  partition smallint NOT NULL
);
INSERT INTO timers (due_at, sequence_id, partition) SELECT due_at, sequence_id, partition FROM timers_before;
DROP TABLE timers_before;
-- Not unique: a timer set twice fires twice and the second finds nothing to do, while checking for it was a fifth of PostgreSQL's time.
CREATE INDEX timers_due ON timers (partition, due_at, sequence_id);

DROP INDEX sequences_of_user;
CREATE INDEX sequences_of_user ON sequences (workspace_id, user_id);
-- Every head is updated once, when its sequence ends: room for that on its own page spares all its index entries a second copy.
ALTER TABLE sequences SET (fillfactor = 65);

-- First come, first served.
ALTER TABLE cancel_jobs ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT now();

-- Days whose changes retention has dropped; their heads stay another 30 days, then go.
CREATE TABLE retired_days (
  started_on date PRIMARY KEY,
  dropped_at timestamptz NOT NULL DEFAULT now(),
  heads_purged_at timestamptz
);
`

/** Narrower rows, fewer index entries, and what retention has to remember. */
class Narrower1763900000000 implements MigrationInterface {
  readonly name = 'Narrower1763900000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(narrower)
  }

  async down(): Promise<void> {
    throw new Error('the narrower layout is not taken back: restore a backup made before it')
  }
}

/** All migrations, in order. */
export const migrations = [
  Orchestrator1763800000000,
  Narrower1763900000000,
  SharedValues1764000000000,
  SendsEnds1764100000000,
  EarlyOfWorkspaces1764100001000,
  WalksInOrder1764200000000,
  UnseenTombstones1764200001000,
  Reconsiderations1764900000000,
]
