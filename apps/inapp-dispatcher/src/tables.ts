// The tables of the feed: one row per message with its answer and, when it is in the feed, its content and receipts.
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { replicaOffsetsSql, templatesReplicaSql, usersReplicaSql } from '@stepcast/replica'

/** The service's PostgreSQL schema. */
export const schema = 'inapp_dispatcher'

const tablesSql = `
CREATE TABLE messages (
  message_id text PRIMARY KEY,
  workspace_id text NOT NULL,
  user_id text,                       -- of requested; null once the user was erased
  template_id text NOT NULL,
  answer text NOT NULL CHECK (answer IN ('requested', 'skipped', 'failed')),
  reason text,                        -- of skipped and failed
  commanded_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,    -- when it was answered; requested: stored in the feed
  category text,                      -- from here on: only of requested
  content jsonb,                      -- rendered; null once the user was erased
  delivered_at timestamptz,           -- receipts: set once Kafka has them
  viewed_at timestamptz,
  clicked_at timestamptz,
  hidden_at timestamptz,
  updated_at timestamptz NOT NULL
);
CREATE INDEX messages_feed ON messages (workspace_id, user_id, created_at DESC, message_id DESC)
  WHERE answer = 'requested' AND hidden_at IS NULL;
CREATE INDEX messages_by_age ON messages (created_at);
CREATE TABLE erased_users (
  user_hash bytea PRIMARY KEY,        -- never the name itself
  erased_at timestamptz NOT NULL
);
`

const expirySql = `
ALTER TABLE messages ADD expires_at timestamptz;  -- when the item leaves the feed; null: it is kept 90 days
-- One index for all that is asked of one user: pages of the feed, what changed since an event, erasure. Hidden and expired rows are in it
-- too, since a stream that resumes tells of them.
CREATE INDEX messages_of_user ON messages (workspace_id, user_id, created_at DESC, message_id DESC) WHERE user_id IS NOT NULL;
DROP INDEX messages_feed;
`

/** The first migration. */
class Feed1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [tablesSql, replicaOffsetsSql, templatesReplicaSql, usersReplicaSql]) await runner.query(sql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE messages, erased_users, replica_offsets, template_versions, archived_templates, users')
  }
}

/** Items that expire; a user's rows by one index. */
class Expiry1764100000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(expirySql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX messages_feed ON messages (workspace_id, user_id, created_at DESC, message_id DESC)
        WHERE answer = 'requested' AND hidden_at IS NULL;
      DROP INDEX messages_of_user;
      ALTER TABLE messages DROP expires_at`)
  }
}

/** Every migration, oldest first. */
export const migrations = [Feed1700000000000, Expiry1764100000000]
