// The gateway's tables: workspaces, their keys, and the outbox that tells of them.
import { EncryptionKeys1764400000000 } from '@stepcast/accounts'
import { outboxTableSql } from '@stepcast/postgres'
import { idempotencyTableSql } from '@stepcast/service'
import type { MigrationInterface, QueryRunner } from 'typeorm'

class Workspaces1700000000000 implements MigrationInterface {
  name = 'Workspaces1700000000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE workspaces (
        workspace_id text        PRIMARY KEY,
        settings     jsonb       NOT NULL,
        created_at   timestamptz NOT NULL DEFAULT now(),
        updated_at   timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE api_keys (
        key_id       text        PRIMARY KEY,
        workspace_id text        NOT NULL REFERENCES workspaces,
        name         text        NOT NULL,
        scopes       text[]      NOT NULL,
        prefix       text        NOT NULL,            -- the first characters, to recognise a key by
        key_hash     bytea       NOT NULL UNIQUE,     -- sha-256; the key has 256 random bits, so it needs no salt
        created_at   timestamptz NOT NULL DEFAULT now(),
        revoked_at   timestamptz
      );
      CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, created_at, key_id);
      CREATE TABLE signing_keys (
        workspace_id text        NOT NULL REFERENCES workspaces,
        n            integer     NOT NULL,            -- kid = workspace_id.n
        sealed       bytea       NOT NULL,            -- AES-256-GCM, bound to its kid
        created_at   timestamptz NOT NULL DEFAULT now(),
        revoked_at   timestamptz,
        PRIMARY KEY (workspace_id, n)
      );
      ${outboxTableSql};
      ${idempotencyTableSql}`)
  }

  async down(): Promise<void> {
    throw new Error('keys cannot be brought back: restore a backup instead')
  }
}

export const migrations = [Workspaces1700000000000, EncryptionKeys1764400000000]
