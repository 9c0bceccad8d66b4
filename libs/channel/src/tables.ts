// The tables of a dispatcher: messages (one row each), the ledger (one row per message and target), addresses found dead, accounts.
import { outboxTableSql } from '@stepcast/postgres'
import { replicaOffsetsSql, templatesReplicaSql, usersReplicaSql, workspacesReplicaSql } from '@stepcast/replica'

/**
 * The tables a dispatcher begins with, in its own schema: its first migration. As released: what came later is in
 * {@link accountTablesSql} and {@link messagesByAgeSql}.
 * `due_at`: when a target may be claimed (a claim moves it to the end of its lease); null when there is nothing to attempt.
 * `deadline_at`: `expires_at` while waiting (also for an operator's word), the end of the lease while attempting; null when it is over.
 */
export const channelTablesSql = `
CREATE TABLE messages (
  message_id text PRIMARY KEY,
  workspace_id text NOT NULL,
  user_id text NOT NULL,              -- '' once the user was erased, and where nothing was to be attempted
  template_id text NOT NULL,
  template_version int NOT NULL,
  variables jsonb NOT NULL,
  window_ms bigint,
  expires_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  withdrawn boolean NOT NULL DEFAULT false,
  traceparent text,
  answer jsonb
);
-- Erasure finds a person's messages by it.
CREATE INDEX messages_of_user ON messages (workspace_id, user_id);
CREATE INDEX messages_age ON messages USING brin (received_at);

CREATE TABLE ledger (
  message_id text NOT NULL,
  target text NOT NULL,
  provider text NOT NULL,
  workspace_id text NOT NULL,
  state text NOT NULL CHECK (state IN (
    'pending', 'attempting', 'retry_at', 'unknown', 'accepted', 'rejected', 'skipped', 'withdrawn', 'expired')),
  attempts int NOT NULL DEFAULT 0,
  fence int NOT NULL DEFAULT 0,
  uncertain boolean NOT NULL DEFAULT false,
  due_at timestamptz,
  deadline_at timestamptz,
  reason text,
  provider_message_id text,
  PRIMARY KEY (message_id, target)
);
CREATE INDEX ledger_due ON ledger (provider, workspace_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ledger_deadline ON ledger (deadline_at) WHERE deadline_at IS NOT NULL;
-- The operator's list of what was possibly sent.
CREATE INDEX ledger_uncertain ON ledger (workspace_id, message_id) WHERE uncertain;

CREATE TABLE dead_addresses (
  workspace_id text NOT NULL,
  user_id text NOT NULL,
  target text NOT NULL,
  address text NOT NULL,
  dead_since timestamptz NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, user_id, target)
);
CREATE INDEX dead_addresses_due ON dead_addresses (due_at);
${outboxTableSql};
${replicaOffsetsSql};
${templatesReplicaSql};
${usersReplicaSql};
`

/** Accounts of workspaces, sealed as they come, and what operators said of unknown attempts: the second migration of every dispatcher. */
export const accountTablesSql = `
ALTER TABLE ledger ADD COLUMN resolved text CHECK (resolved IN ('sent', 'not_sent', 'resend'));
-- Room for the one update each message gets, its answer: else every index gets a second entry.
ALTER TABLE messages SET (fillfactor = 70);
${workspacesReplicaSql};
`

/** What messages over 30 days old are found by: the third migration of every dispatcher. */
export const messagesByAgeSql = `
-- It summed up ranges of pages, and none forgets its oldest message: once their room was used again, all of them seemed to hold old ones.
-- Dropped first: whoever holds less of a lock while it makes the other index may find itself in a circle with a message being settled.
DROP INDEX messages_age;
CREATE INDEX messages_by_age ON messages (received_at);
`
