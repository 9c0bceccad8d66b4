// The migrations of people-svc, oldest first; one that has run anywhere is never changed.
import { outboxTableSql } from '@stepcast/postgres'
import { idempotencyTableSql } from '@stepcast/service'
import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Users, devices, the outbox and the idempotency keys. */
class Users1764000000000 implements MigrationInterface {
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
class Erasures1764800000000 implements MigrationInterface {
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

/** Lists of users in the order of their ids. */
class UsersById1765000000000 implements MigrationInterface {
  readonly transaction = false

  async up(runner: QueryRunner): Promise<void> {
    await this.down(runner)
    await runner.query('CREATE INDEX CONCURRENTLY users_by_id ON users (workspace_id, user_id COLLATE "C")')
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX CONCURRENTLY IF EXISTS users_by_id')
  }
}

/** What a token of APNs is found by that was registered in another spelling, before there was one for each. */
class TokensInAnySpelling1764900000000 implements MigrationInterface {
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

/**
 * Tokens of APNs registered before there was one spelling for each: in small letters, without brackets, and once. Of several the one registered
 * last stays; Kafka is told of everybody concerned.
 */
export class OneSpelling1764900001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TEMPORARY TABLE spelt ON COMMIT DROP AS
        SELECT workspace_id, user_id, device_id, token, small, row_number() OVER (PARTITION BY workspace_id, small ORDER BY updated_at DESC, user_id, device_id) AS place
        FROM devices, LATERAL (SELECT lower(regexp_replace(token, '^<(.*)>$', '\\1')) AS small) AS s
        WHERE platform = 'apns' AND small ~ '^([0-9a-f]{2})+$';
      DELETE FROM spelt s WHERE NOT EXISTS (SELECT FROM spelt o WHERE o.workspace_id = s.workspace_id AND o.small = s.small AND (o.place > 1 OR o.token <> o.small));
      DELETE FROM devices d USING spelt s
        WHERE s.place > 1 AND d.workspace_id = s.workspace_id AND d.user_id = s.user_id AND d.device_id = s.device_id;
      UPDATE devices d SET token = s.small FROM spelt s
        WHERE s.place = 1 AND s.token <> s.small AND d.workspace_id = s.workspace_id AND d.user_id = s.user_id AND d.device_id = s.device_id;
      UPDATE users u SET updated_at = greatest(clock_timestamp(), u.updated_at) FROM spelt s WHERE u.workspace_id = s.workspace_id AND u.user_id = s.user_id;
      INSERT INTO outbox (topic, key, value)
        SELECT 'stepcast.users.v1', workspace_id || '/' || user_id, jsonb_build_object(
          'workspaceId', workspace_id, 'userId', user_id, 'phoneNumber', phone_number, 'kakaoPhoneNumber', kakao_phone_number, 'locale', locale, 'timezone', timezone,
          'devices', COALESCE((SELECT jsonb_agg(jsonb_build_object('deviceId', device_id, 'platform', platform, 'token', token,
                       'updatedAt', floor(extract(epoch FROM d.updated_at) * 1000)::bigint) ORDER BY d.updated_at, device_id)
                     FROM devices d WHERE d.workspace_id = u.workspace_id AND d.user_id = u.user_id), '[]'),
          'optOutChannels', to_jsonb(opt_out_channels), 'optOutCategories', to_jsonb(opt_out_categories),
          'quietHoursStart', quiet_hours_start, 'quietHoursEnd', quiet_hours_end, 'updatedAt', floor(extract(epoch FROM updated_at) * 1000)::bigint)
        FROM users u WHERE EXISTS (SELECT FROM spelt s WHERE s.workspace_id = u.workspace_id AND s.user_id = u.user_id)`)
  }

  /** The other spellings are gone. */
  async down(): Promise<void> {}
}

export const migrations = [
  Users1764000000000,
  Erasures1764800000000,
  TokensInAnySpelling1764900000000,
  OneSpelling1764900001000,
  UsersById1765000000000,
]
