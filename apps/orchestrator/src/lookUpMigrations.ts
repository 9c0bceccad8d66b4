// Migrations that give every look-up an index which bounds what it reads (docs/decisions/0012).
import type { MigrationInterface, QueryRunner } from 'typeorm'

/**
 * Makes an index while others go on writing. A try that was broken off leaves one that is not valid: it is dropped and made again.
 * Not in a transaction: PostgreSQL refuses that.
 */
async function makeIndex(runner: QueryRunner, name: string, definition: string): Promise<void> {
  const [broken] = (await runner.query(`SELECT FROM pg_index WHERE indexrelid = to_regclass('${name}') AND NOT indisvalid`)) as unknown[]
  if (broken !== undefined) await runner.query(`DROP INDEX CONCURRENTLY ${name}`)
  await runner.query(`CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${definition}`)
}

/** Lists and cancels walk an index in its order; retention finds a day's heads without reading the others. */
export class WalksInOrder1764200000000 implements MigrationInterface {
  readonly name = 'WalksInOrder1764200000000'
  readonly transaction = false

  async up(runner: QueryRunner): Promise<void> {
    // With the id, a page of one user's sequences, or a chunk of their cancel, reads no more than it gives: 26 bytes a sequence more.
    await makeIndex(runner, 'sequences_by_user', 'sequences (workspace_id, user_id, sequence_id)')
    await runner.query('DROP INDEX CONCURRENTLY IF EXISTS sequences_of_user')
    // Only campaigns pay for it.
    await makeIndex(runner, 'sequences_of_campaign', 'sequences (workspace_id, campaign_id, sequence_id) WHERE campaign_id IS NOT NULL')
    // Heads of a day stand together, so a summary of each stretch of pages finds them: some bytes a thousand sequences.
    await makeIndex(runner, 'sequences_by_day', 'sequences USING brin (started_on) WITH (pages_per_range = 32, autosummarize = on)')
  }

  async down(runner: QueryRunner): Promise<void> {
    await makeIndex(runner, 'sequences_of_user', 'sequences (workspace_id, user_id)')
    await runner.query('DROP INDEX CONCURRENTLY IF EXISTS sequences_by_user, sequences_of_campaign, sequences_by_day')
  }
}

/** Whose deferred messages are to be judged again, for each partition; without a user, everybody of the workspace who goes by its timezone. */
export class Reconsiderations1764900000000 implements MigrationInterface {
  readonly name = 'Reconsiderations1764900000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE reconsiderations (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        partition smallint NOT NULL,
        workspace_id text NOT NULL,
        user_id text,
        after_user text NOT NULL DEFAULT '',
        after_sequence_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
      );
      CREATE INDEX reconsiderations_of_partition ON reconsiderations (partition, id)`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE reconsiderations')
  }
}

/** Tombstones of ids that nobody knew are told apart: they go after a day. */
export class UnseenTombstones1764200001000 implements MigrationInterface {
  readonly name = 'UnseenTombstones1764200001000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE tombstones ADD COLUMN seen boolean NOT NULL DEFAULT true;
      CREATE INDEX tombstones_unseen ON tombstones (workspace_id, recorded_at) WHERE NOT seen;
      CREATE INDEX tombstones_by_age ON tombstones (recorded_at);
      CREATE INDEX cancels_by_age ON cancels (recorded_at)`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX tombstones_unseen, tombstones_by_age, cancels_by_age; ALTER TABLE tombstones DROP COLUMN seen')
  }
}
