// The tables of push-dispatcher, in its own schema.
import type { MigrationInterface, QueryRunner } from 'typeorm'
import { channelTablesSql } from '@stepcast/channel'

/** The service's PostgreSQL schema. */
export const schema = 'push_dispatcher'

/** The ledger and what surrounds it. */
export class Ledger1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(channelTablesSql)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE messages, ledger, dead_addresses, outbox, replica_offsets, template_versions, archived_templates, users')
  }
}
