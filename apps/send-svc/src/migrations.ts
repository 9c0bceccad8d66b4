// The migrations of send-svc, oldest first; one that has run anywhere is never changed.
import { replicaOffsetsSql, templatesReplicaSql } from '@stepcast/replica'
import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Sends, the receivers still to be fanned out, and the replica of templates. */
class Sends1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // The sendId is made from the Idempotency-Key, so a row of sends is also the record of its key.
    // variables are text: jsonb refuses characters that producers may send, and nothing searches inside.
    await runner.query(`
      CREATE TABLE sends (
        number           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        workspace_id     text        NOT NULL,
        send_id          text        NOT NULL,
        fingerprint      text,
        template_id      text        NOT NULL,
        template_version int         NOT NULL,
        variable_schema  json        NOT NULL,
        variables        text        NOT NULL,
        tag              text,
        source           text        NOT NULL,
        requested_at     timestamptz NOT NULL,
        traceparent      text,
        recipients       int         NOT NULL,
        answer           json        NOT NULL,
        -- receivers below this position have been published
        position         int         NOT NULL DEFAULT 0,
        served_at        timestamptz NOT NULL,
        UNIQUE (workspace_id, send_id)
      );
      CREATE INDEX sends_unfinished ON sends (served_at, number) WHERE position < recipients;
      CREATE INDEX sends_requested_at ON sends (requested_at);

      CREATE TABLE receivers (
        send_number bigint NOT NULL REFERENCES sends ON DELETE CASCADE,
        position    int    NOT NULL,
        user_id     text   NOT NULL,
        variables   text   NOT NULL,
        PRIMARY KEY (send_number, position)
      )`)
    await runner.query(replicaOffsetsSql)
    await runner.query(templatesReplicaSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE receivers, sends, replica_offsets, template_versions, archived_templates')
  }
}

/** Lists of sends, newest first: of a workspace, and of one of its templates. */
class SendLists1765000000000 implements MigrationInterface {
  readonly transaction = false

  async up(runner: QueryRunner): Promise<void> {
    // A try that was broken off leaves one that is not valid.
    await this.down(runner)
    await runner.query('CREATE INDEX CONCURRENTLY sends_of_workspace ON sends (workspace_id, requested_at, send_id)')
    await runner.query('CREATE INDEX CONCURRENTLY sends_of_template ON sends (workspace_id, template_id, requested_at, send_id)')
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const index of ['sends_of_workspace', 'sends_of_template']) await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${index}`)
  }
}

export const migrations = [Sends1764000000000, SendLists1765000000000]
