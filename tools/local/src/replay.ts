// Replaying dead letters: the original bytes back to the topic they came from, once, and remembered.
import { Pool } from 'pg'
import { topics, type Topic } from '@stepcast/contracts'
import { headersOfRecord, neverWritten, notKeptHeader, type KafkaConnection, type RawRecord } from '@stepcast/kafka'
import { createPool, migrate } from '@stepcast/postgres'
import type { DeadLetterEntry, Place } from './deadLetters'

const schema = 'operations'

class Operations1763900000000 {
  readonly name = 'Operations1763900000000'

  async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
    await runner.query(`CREATE TABLE replayed_letters (
      cluster_id text NOT NULL,
      topic text NOT NULL,
      partition int NOT NULL,
      "offset" bigint NOT NULL,
      replayed_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (cluster_id, topic, partition, "offset")
    )`)
  }

  async down(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
    await runner.query('DROP TABLE replayed_letters')
  }
}

/** Remembers in the database which letters were replayed, for as long as their topic keeps them and longer. */
export class ReplayedLetters {
  private constructor(
    private readonly pool: Pool,
    private readonly clusterId: string,
    private readonly topic: string,
  ) {}

  /** `topic`: the physical name of the dead-letter topic. */
  static async open(databaseUrl: string, clusterId: string, topic: string): Promise<ReplayedLetters> {
    const settings = { databaseUrl, schema, applicationName: 'replay-dead-letters' }
    await migrate({ ...settings, migrations: [Operations1763900000000] })
    const pool = createPool({ ...settings, max: 2 })
    // The topic keeps letters 14 days.
    await pool.query(`DELETE FROM replayed_letters WHERE replayed_at < now() - interval '60 days'`)
    return new ReplayedLetters(pool, clusterId, topic)
  }

  /** Those of these places that were replayed, as {@link placeKey}. */
  async among(places: readonly Place[]): Promise<ReadonlySet<string>> {
    const { rows } = await this.pool.query<{ partition: number; offset: number }>(
      `SELECT partition, "offset" FROM replayed_letters
       JOIN unnest($3::int[], $4::bigint[]) AS asked (p, o) ON partition = p AND "offset" = o
       WHERE cluster_id = $1 AND topic = $2`,
      [this.clusterId, this.topic, places.map(({ partition }) => partition), places.map(({ offset }) => offset)],
    )
    return new Set(rows.map(placeKey))
  }

  async add(places: readonly Place[]): Promise<void> {
    await this.pool.query(
      `INSERT INTO replayed_letters (cluster_id, topic, partition, "offset") SELECT $1, $2, * FROM unnest($3::int[], $4::bigint[])
       ON CONFLICT (cluster_id, topic, partition, "offset") DO UPDATE SET replayed_at = now()`,
      [this.clusterId, this.topic, places.map(({ partition }) => partition), places.map(({ offset }) => offset)],
    )
  }

  close(): Promise<void> {
    return this.pool.end()
  }
}

/** Names a letter in a set. */
const placeKey = ({ partition, offset }: Place): string => `${partition}-${offset}`

const replayable: ReadonlySet<string> = new Set(
  Object.values<Topic>(topics)
    .filter(({ cleanup, name }) => cleanup === 'delete' && name !== topics.sequences.name)
    .map(({ name }) => name),
)

/**
 * What is to be done with an entry: `ready`, `replayed` (its last letter was), `refused`: a replay would do harm, or `gone`: the letter
 * does not hold the record's bytes.
 */
export type Verdict = 'ready' | 'replayed' | 'refused' | 'gone'

/**
 * Judges entries. Compacted topics are refused, since an old record would overwrite newer ones; so are changes, whose place in the
 * log is theirs, and what a service could never write: that has no bytes to give back, its value is JSON for people to read.
 */
export async function judge(
  entries: readonly DeadLetterEntry[],
  replayed: ReplayedLetters,
  { again }: { again: boolean },
): Promise<ReadonlyMap<DeadLetterEntry, Verdict>> {
  const done = await replayed.among(entries.map(({ places }) => places.at(-1)!))
  return new Map(
    entries.map((entry) => [
      entry,
      !replayable.has(entry.topic) || entry.partition === neverWritten
        ? 'refused'
        : notKeptHeader in entry.record.headers
          ? 'gone'
          : !again && done.has(placeKey(entry.places.at(-1)!))
            ? 'replayed'
            : 'ready',
    ]),
  )
}

// A crash in between repeats at most these; readers know records by their content.
const atOnce = 200

/** The record as it is produced again: what travelled with it, and where it came from first, so that another failure names that too. */
function recordAgain({ topic, partition, offset, record, places }: DeadLetterEntry): RawRecord {
  return {
    key: record.key,
    value: record.value,
    headers: {
      ...headersOfRecord(record.headers),
      'origin-topic': topic,
      'origin-partition': String(partition),
      'origin-offset': offset,
      'replayed-from': placeKey(places.at(-1)!),
    },
  }
}

/** Produces the entries to their topics again and remembers it; answers how many. */
export async function replay(connection: KafkaConnection, entries: readonly DeadLetterEntry[], replayed: ReplayedLetters): Promise<number> {
  const producer = await connection.producer()
  for (let from = 0; from < entries.length; from += atOnce) {
    const part = entries.slice(from, from + atOnce)
    for (const topic of new Set(part.map((entry) => entry.topic))) {
      await producer.sendRaw(topic, part.filter((entry) => entry.topic === topic).map(recordAgain))
    }
    await replayed.add(part.flatMap(({ places }) => places))
  }
  return entries.length
}
