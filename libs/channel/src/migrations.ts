// The migrations that every dispatcher has, each in its own schema.
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { EncryptionKeys1764400000000 } from '@stepcast/accounts'
import type { Migration } from '@stepcast/postgres'
import { accountTablesSql, channelTablesSql, messagesByAgeSql } from './tables'

/** The ledger and what surrounds it. */
class Ledger1700000000000 implements MigrationInterface {
  name = 'Ledger1700000000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(channelTablesSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE messages, ledger, dead_addresses, outbox, replica_offsets, template_versions, archived_templates, users')
  }
}

/** Provider accounts of workspaces, and what operators said of unknown attempts. */
class Accounts1764000000000 implements MigrationInterface {
  name = 'Accounts1764000000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(accountTablesSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE ledger DROP COLUMN resolved; DROP TABLE workspaces')
  }
}

/** Old messages by an index that stays exact. */
class MessagesByAge1764200000000 implements MigrationInterface {
  name = 'MessagesByAge1764200000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(messagesByAgeSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX messages_by_age; CREATE INDEX messages_age ON messages USING brin (received_at)')
  }
}

/** In their order; an app's own come after them. */
export const dispatcherMigrations: readonly Migration[] = [
  Ledger1700000000000,
  Accounts1764000000000,
  MessagesByAge1764200000000,
  EncryptionKeys1764400000000,
]
