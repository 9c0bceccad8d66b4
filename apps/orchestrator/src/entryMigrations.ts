// What the tables learned about what enters: where the sends ended at a cancel, and whose an early engagement is.
import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Where each partition of the sends ended when a cancel was recorded; null: a version wrote it that did not ask, or its scope needs none. */
export class SendsEnds1764100000000 implements MigrationInterface {
  readonly name = 'SendsEnds1764100000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE tombstones ADD COLUMN sends_ends bigint[]')
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE tombstones DROP COLUMN sends_ends')
  }
}

// The workspace is generated, so that a process of the version before goes on inserting; its ON CONFLICT names no key. Headers may hold what
// no jsonb can, so they are bytes: a process of the version before reads `origin`, which says for it that there are none.
const earlyOfWorkspaces = `
ALTER TABLE early_engagements
  ADD COLUMN workspace_id text NOT NULL GENERATED ALWAYS AS (coalesce(report->>'workspaceId', '')) STORED,
  ADD COLUMN record_headers bytea,
  DROP CONSTRAINT early_engagements_pkey,
  ADD PRIMARY KEY (sequence_id, workspace_id, message_id, kind)`

/** Two workspaces may report the same fact of the same message before it is known whose it is. */
export class EarlyOfWorkspaces1764100001000 implements MigrationInterface {
  readonly name = 'EarlyOfWorkspaces1764100001000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(earlyOfWorkspaces)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DELETE FROM early_engagements;
      ALTER TABLE early_engagements DROP COLUMN workspace_id, DROP COLUMN record_headers, ADD PRIMARY KEY (sequence_id, message_id, kind)`)
  }
}
