// The tables of channels that cost money, beside those every dispatcher has: tracked links, and what providers said in callbacks.
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { linksTableSql } from './links'

/** One final status per message, the better of those told: what it was reported by. Goes with its message after 30 days. */
const statusesTableSql = `
CREATE TABLE statuses (
  message_id text PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
  status text NOT NULL CHECK (status IN ('delivered', 'failed'))
);
`

/** Whom a message was accepted for may have told the sender to stop: it is skipped then, and has not failed. */
export class SkippedStatuses1764900000000 implements MigrationInterface {
  name = 'SkippedStatuses1764900000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE statuses DROP CONSTRAINT statuses_status_check,
      ADD CONSTRAINT statuses_status_check CHECK (status IN ('delivered', 'failed', 'skipped')) NOT VALID`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`UPDATE statuses SET status = 'failed' WHERE status = 'skipped';
      ALTER TABLE statuses DROP CONSTRAINT statuses_status_check, ADD CONSTRAINT statuses_status_check CHECK (status IN ('delivered', 'failed'))`)
  }
}

/** Comes after the migrations of every dispatcher. */
export class LinksAndStatuses1764000000001 implements MigrationInterface {
  name = 'LinksAndStatuses1764000000001'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(linksTableSql + statusesTableSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE links, statuses')
  }
}
