// Migrations of the variables' tables: large values stand once, whatever the number of sequences that they belong to.
import type { MigrationInterface, QueryRunner } from 'typeorm'

// `sequence_variables` becomes a view: a process of the version before reads and writes it as the table it was, and finds large values put
// back in their place. Renaming waits for nobody longer than 200 ms at a time, so turns do not queue behind it, a backup or not.
const sharedValues = `
DO $$
  BEGIN
    SET LOCAL lock_timeout = '200ms';
    LOOP
      BEGIN
        LOCK TABLE sequence_variables IN ACCESS EXCLUSIVE MODE;
        EXIT;
      EXCEPTION WHEN lock_not_available THEN
        PERFORM pg_sleep(0.5);
      END;
    END LOOP;
    SET LOCAL lock_timeout = DEFAULT;
  END $$;
ALTER TABLE sequence_variables RENAME TO kept_variables;
-- Whether some of them stand in shared_values.
ALTER TABLE kept_variables ADD COLUMN shared boolean NOT NULL DEFAULT false;

-- Large values by their content, once a partition. The digest covers workspace and send too: nobody's text is another send's.
CREATE TABLE shared_values (
  partition smallint NOT NULL,
  digest uuid NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (partition, digest)
);
-- Which sequence has which of them, by what name. A value goes with its last use: looked up, never counted.
CREATE TABLE shared_uses (
  sequence_id uuid NOT NULL,
  name text NOT NULL,
  partition smallint NOT NULL,
  digest uuid NOT NULL,
  PRIMARY KEY (sequence_id, name)
);
CREATE INDEX shared_uses_of_value ON shared_uses (partition, digest);

CREATE VIEW sequence_variables AS
  SELECT sequence_id, CASE WHEN NOT shared THEN variables ELSE (
    SELECT coalesce(jsonb_object_agg(u.name, v.value), '{}') FROM shared_uses u JOIN shared_values v USING (partition, digest)
    WHERE u.sequence_id = k.sequence_id) || variables END AS variables
  FROM kept_variables k;
CREATE FUNCTION keep_variables() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
  BEGIN
    INSERT INTO kept_variables (sequence_id, variables) VALUES (NEW.sequence_id, NEW.variables)
      ON CONFLICT (sequence_id) DO UPDATE SET variables = excluded.variables;
    RETURN NEW;
  END $$;
CREATE FUNCTION forget_variables() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
  DECLARE used record;
  BEGIN
    DELETE FROM kept_variables WHERE sequence_id = OLD.sequence_id;
    FOR used IN DELETE FROM shared_uses WHERE sequence_id = OLD.sequence_id RETURNING partition, digest LOOP
      DELETE FROM shared_values v WHERE v.partition = used.partition AND v.digest = used.digest
        AND NOT EXISTS (SELECT FROM shared_uses u WHERE u.partition = v.partition AND u.digest = v.digest);
    END LOOP;
    RETURN OLD;
  END $$;
CREATE TRIGGER keep_variables INSTEAD OF INSERT ON sequence_variables FOR EACH ROW EXECUTE FUNCTION keep_variables();
CREATE TRIGGER forget_variables INSTEAD OF DELETE ON sequence_variables FOR EACH ROW EXECUTE FUNCTION forget_variables();
`

/** Large values of variables stand once, by their content. */
export class SharedValues1764000000000 implements MigrationInterface {
  readonly name = 'SharedValues1764000000000'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(sharedValues)
  }

  async down(): Promise<void> {
    throw new Error('shared values are not taken back: the version before works with them as they are')
  }
}
