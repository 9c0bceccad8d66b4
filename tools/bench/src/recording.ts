// What a Stepcast run wrote, phase by phase, so that `limit` can write the same again without deciding anything.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { topics } from '@stepcast/contracts'
import type { Servers } from './servers'
import type { Stepcast } from './workload'

const inputs = [topics.sends.name, topics.engagements.name]
const outputs = [topics.sequences.name, topics.inAppCommands.name, topics.pushCommands.name]

type Ends = Readonly<Record<string, Readonly<Record<number, number>>>>

/** Copies of the orchestrator's tables and the ends of its topics, taken before the first phase and after each. */
export class Recording {
  private readonly marks: Ends[] = []

  constructor(
    private readonly servers: Servers,
    private readonly stepcast: Stepcast,
  ) {}

  /** Takes the next copy, off the clock. With each row the transaction that wrote it: Stepcast's turns are counted by that. */
  readonly take = async (): Promise<void> => {
    await this.servers.sql(`DO $$
      DECLARE name text;
      BEGIN
        CREATE SCHEMA bench_${this.marks.length};
        FOR name IN SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
                    WHERE s.nspname = 'orchestrator' AND c.relkind IN ('r', 'p') AND NOT c.relispartition LOOP
          EXECUTE format(
            'CREATE TABLE bench_${this.marks.length}.%1$I AS SELECT xmin::text AS bench_turn, t.* FROM orchestrator.%1$I t', name);
        END LOOP;
      END $$`)
    this.marks.push(await this.stepcast.ends([...inputs, ...outputs]))
  }

  /**
   * Makes a database that stands where Stepcast's stood before the first phase, the copies beside it. Nobody may be connected
   * to Stepcast's database meanwhile.
   * @returns its address and the file that names topics and offsets
   */
  async prepare(database: string): Promise<{ databaseUrl: string; file: string }> {
    const databaseUrl = await this.servers.createDatabase(database, new URL(this.servers.stack.databaseUrl).pathname.slice(1))
    await this.servers.sql(
      `DO $$
      DECLARE name text; columns text;
      BEGIN
        FOR name, columns IN
          SELECT c.relname, string_agg(quote_ident(a.attname), ', ') FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          WHERE s.nspname = 'orchestrator' AND c.relkind IN ('r', 'p') AND NOT c.relispartition GROUP BY 1
        LOOP
          EXECUTE format('TRUNCATE orchestrator.%I CASCADE', name);
          EXECUTE format('INSERT INTO orchestrator.%1$I (%2$s) SELECT %2$s FROM bench_0.%1$I', name, columns);
        END LOOP;
      END $$`,
      [],
      databaseUrl,
    )
    // The copies are compared with each other: without statistics PostgreSQL compares each row with each.
    await this.servers.sql('ANALYZE', [], databaseUrl)
    const file = join(this.servers.home, 'recording.json')
    writeFileSync(file, JSON.stringify({ inputs, outputs, marks: this.marks }))
    return { databaseUrl, file }
  }

  /** Deletes the copies from Stepcast's database. */
  async drop(): Promise<void> {
    for (const number of this.marks.keys()) await this.servers.sql(`DROP SCHEMA bench_${number} CASCADE`)
  }
}
