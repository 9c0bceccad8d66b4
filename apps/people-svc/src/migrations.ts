// The migrations of people-svc, oldest first; one that has run anywhere is never changed.
import { outboxTableSql } from '@stepcast/postgres'
import { idempotencyTableSql } from '@stepcast/service'
import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Users, devices, the outbox and the idempotency keys. */
export class Users1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users (
        workspace_id       text        NOT NULL,
        user_id            text        NOT NULL,
        phone_number       text,
        kakao_phone_number text,
        locale             text,
        timezone           text,
        opt_out_channels   text[]      NOT NULL DEFAULT '{}',
        opt_out_categories text[]      NOT NULL DEFAULT '{}',
        quiet_hours_start  text,
        quiet_hours_end    text,
        created_at         timestamptz NOT NULL DEFAULT now(),
        updated_at         timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (workspace_id, user_id),
        CHECK ((quiet_hours_start IS NULL) = (quiet_hours_end IS NULL))
      );
      CREATE TABLE devices (
        workspace_id text        NOT NULL,
        user_id      text        NOT NULL,
        device_id    text        NOT NULL,
        platform     text        NOT NULL,
        token        text        NOT NULL,
        updated_at   timestamptz NOT NULL,
        PRIMARY KEY (workspace_id, user_id, device_id),
        FOREIGN KEY (workspace_id, user_id) REFERENCES users ON DELETE CASCADE
      );
      CREATE UNIQUE INDEX devices_token ON devices (workspace_id, platform, token)`)
    await runner.query(outboxTableSql)
    await runner.query(idempotencyTableSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE devices, users, outbox, idempotency_keys')
  }
}

/** Erasures whose cancel is not in force yet: see {@link Erasures}. */
export class Erasures1764800000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE erasures (
        cancel_id    uuid        NOT NULL PRIMARY KEY,
        workspace_id text        NOT NULL,
        user_id      text        NOT NULL,
        requested_by text        NOT NULL,
        due_at       timestamptz NOT NULL
      );
      CREATE INDEX erasures_of_user ON erasures (workspace_id, user_id);
      CREATE INDEX erasures_due ON erasures (due_at)`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE erasures')
  }
}

/** What a token of APNs is found by that was registered in another spelling, before there was one for each. */
export class TokensInAnySpelling1764900000000 implements MigrationInterface {
  readonly transaction = false

  async up(runner: QueryRunner): Promise<void> {
    // A try that was broken off leaves one that is not valid.
    await runner.query('DROP INDEX CONCURRENTLY IF EXISTS devices_apns_token')
    await runner.query(`CREATE INDEX CONCURRENTLY devices_apns_token ON devices (workspace_id, lower(token)) WHERE platform = 'apns'`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX CONCURRENTLY IF EXISTS devices_apns_token')
  }
}

export const migrations = [Users1764000000000, Erasures1764800000000, TokensInAnySpelling1764900000000]
