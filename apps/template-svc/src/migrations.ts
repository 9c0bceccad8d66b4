// The migrations of template-svc, oldest first; one that has run anywhere is never changed.
import { idempotencyTableSql } from '@stepcast/service'
import { outboxTableSql } from '@stepcast/postgres'
import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Templates, their versions, the outbox and the idempotency keys. */
class Templates1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // json, not jsonb: nothing searches inside, and people get fields back in the order they know.
    await runner.query(`
      CREATE TABLE templates (
        workspace_id text        NOT NULL,
        template_id  text        NOT NULL,
        definition   json        NOT NULL,
        has_draft    boolean     NOT NULL,
        version      int,
        archived_at  timestamptz,
        created_at   timestamptz NOT NULL,
        updated_at   timestamptz NOT NULL,
        PRIMARY KEY (workspace_id, template_id),
        CHECK (has_draft OR version IS NOT NULL)
      );
      CREATE INDEX templates_created_at ON templates (workspace_id, created_at DESC, template_id DESC);

      CREATE TABLE template_versions (
        workspace_id text        NOT NULL,
        template_id  text        NOT NULL,
        version      int         NOT NULL,
        definition   json        NOT NULL,
        approved_at  timestamptz NOT NULL,
        PRIMARY KEY (workspace_id, template_id, version)
      );
      CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'an approved version is immutable'; END $$;
      CREATE TRIGGER template_versions_immutable BEFORE UPDATE ON template_versions
        FOR EACH ROW EXECUTE FUNCTION refuse_update()`)
    await runner.query(outboxTableSql)
    await runner.query(idempotencyTableSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE templates, template_versions, outbox, idempotency_keys; DROP FUNCTION refuse_update')
  }
}

export const migrations = [Templates1764000000000]
