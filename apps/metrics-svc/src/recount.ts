// Counts the whole log anew beside the live tables, then puts the new tables in their place: from the topic, and what that has forgotten
// from the event store.
import { setTimeout as pause } from 'node:timers/promises'
import { Client, type Pool } from 'pg'
import { errorClass, isOutage, topics, type SequenceChanged } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { createPool, inTransaction } from '@stepcast/postgres'
import { changeProblem } from './asItStands'
import { foldBatch, foldSettings } from './fold'
import { foldedBy, untilReached, type Patience } from './progress'
import { startProjector } from './projector'
import { changesBetween, type EventStore } from './store'
import { foldedTables, foldedTablesSql, schema } from './tables'

/** What a recount needs. */
export interface RecountOptions {
  readonly connection: KafkaConnection
  readonly databaseUrl: string
  /** Null: there is none to ask. */
  readonly store: EventStore | null
  /** Count only what topic and store hold: the numbers of what both have forgotten are given up. */
  readonly acceptTrimmed: boolean
  readonly say: (line: string) => void
  /** Given up when nothing has moved for so long; five minutes unless told. */
  readonly stillMs?: number
}

/** The topic no longer holds everything that the live numbers count, and the store cannot be asked. */
export class TopicTrimmed extends Error {
  readonly retriable = false
}

const rebuildSchema = `${schema}_rebuild`
// The live projector stands still while the last changes are folded: a few seconds at most, or the swap is given up.
const swapAtMostMs = 30_000
const stopAtMostMs = 10_000

/**
 * Recounts while the service goes on, then swaps. What topic and store have both forgotten keeps its live numbers. Two at a time are refused.
 * @throws TopicTrimmed when changes are missing from the topic, the store does not answer, and that is not accepted.
 */
export async function recount(options: RecountOptions): Promise<void> {
  const { connection, databaseUrl, say, stillMs = 300_000 } = options
  const lock = new Client({ connectionString: databaseUrl, application_name: 'metrics-svc rebuild' })
  await lock.connect()
  const pool = createPool({ databaseUrl, schema: rebuildSchema, applicationName: 'metrics-svc rebuild', max: 5, settings: foldSettings })
  try {
    const { rows } = await lock.query<{ locked: boolean }>(
      `SELECT pg_try_advisory_lock(hashtextextended('metrics-svc rebuild', 0)) AS locked`,
    )
    if (!rows[0]!.locked) throw new Error('another rebuild is running')
    const { ends, store, keepBefore, lost } = await sourcesOf(options, lock)
    await lock.query(`
      DROP SCHEMA IF EXISTS ${rebuildSchema} CASCADE;
      CREATE SCHEMA ${rebuildSchema};
      SET search_path = ${rebuildSchema};
      ${foldedTablesSql}`)
    if (keepBefore !== null) await takeOver(lock, keepBefore)
    const fill = store === null ? null : (partition: number, before: number) => fillFrom(store, pool, partition, before, keepBefore, say)
    const projector = await startProjector({
      connection,
      pool,
      groupId: `metrics-svc-rebuild-${Date.now()}`,
      ...(keepBefore === null ? {} : { takenOverBefore: keepBefore }),
      ...(fill === null ? {} : { onMissing: fill }),
    })
    try {
      await untilReached(pool, 'nextOffset', ends, { stillMs, say })
      say(`read to the end of ${topics.sequences.name}; swapping`)
      if (fill !== null) {
        for (const [partition, position] of await livePositions(lock)) {
          await fill(partition, position + 1)
          // Everything up to here was looked at; what the store lacks too is nowhere.
          await foldBatch(pool, partition, [], 0)
          await pool.query('UPDATE positions SET log_position = greatest(log_position, $2) WHERE partition = $1', [partition, position])
        }
      }
      await swap(pool, lost, projector.stop, { stillMs: swapAtMostMs, atMostMs: swapAtMostMs, say })
    } finally {
      // A batch that hangs is why it may have been given up.
      await Promise.race([projector.stop(), pause(stopAtMostMs, undefined, { ref: false })])
    }
    await lock.query(`DROP SCHEMA ${rebuildSchema} CASCADE`)
  } finally {
    await pool.end()
    await lock.end()
  }
}

interface Sources {
  /** Where to read to, by partition. */
  readonly ends: ReadonlyMap<number, number>
  /** Where what is missing from the topic comes from; null: nothing is, or it is given up. */
  readonly store: EventStore | null
  /** Numbers of sequences that started before this moment (ms) are taken over as they stand; null: all are counted anew. */
  readonly keepBefore: number | null
  /** Partitions whose newest changes were folded, but are nowhere any more: the rebuild cannot come to where the live numbers stand. */
  readonly lost: ReadonlySet<number>
}

const nothingLost: ReadonlySet<number> = new Set()

async function sourcesOf({ connection, store, acceptTrimmed, say }: RecountOptions, db: Client): Promise<Sources> {
  const offsets = [...(await connection.offsets(topics.sequences.name))].sort(([a], [b]) => a - b)
  const ends = new Map(offsets.filter(([, { low, end }]) => end > low).map(([partition, { end }]) => [partition, end]))
  const { rows } = await db.query<{ partition: number; next_offset: number }>(`SELECT partition, next_offset FROM ${schema}.positions`)
  const folded = new Map(rows.map((row) => [row.partition, Number(row.next_offset)]))
  const short = offsets.filter(([partition, { low, end }]) => low > 0 || (folded.get(partition) ?? 0) > end)
  if (short.length === 0) return { ends, store: null, keepBefore: null, lost: nothingLost }
  const what = `${topics.sequences.name} no longer holds everything: partitions ${short.map(([partition, { low, end }]) => `${partition} (${low} to ${end})`).join(', ')}`
  const reachable = await reach(store)
  if (reachable === null || store === null) {
    if (!acceptTrimmed) {
      throw new TopicTrimmed(
        `${what}, and the orchestrator, which may know the rest, does not answer. Start it and give ORCHESTRATOR_URL; or count ` +
          'only what the topic holds and lose the numbers of everything before: --accept-trimmed',
      )
    }
    say(`${what}. What came before is given up`)
    const lost = new Set(
      short.filter(([partition, { low, end }]) => low >= end || (folded.get(partition) ?? 0) > end).map(([partition]) => partition),
    )
    return { ends, store: null, keepBefore: null, lost }
  }
  const { wholeSince } = reachable
  if (wholeSince === null) say(`${what}. The orchestrator holds all of the rest`)
  else if (acceptTrimmed)
    say(
      `${what}, and the orchestrator nothing whole of before ${wholeSince}. Numbers of sequences that started before that day are counted from what there is`,
    )
  else {
    say(
      `${what}, and the orchestrator nothing whole of before ${wholeSince}. Numbers of sequences that started before that day stay as they are; ` +
        'later ones are counted anew',
    )
  }
  return { ends, store, keepBefore: wholeSince === null || acceptTrimmed ? null : Date.parse(`${wholeSince}T00:00:00Z`), lost: nothingLost }
}

const reach = async (store: EventStore | null): Promise<{ wholeSince: string | null } | null> =>
  store === null ? null : store.changes(0, 0, 1).catch(() => null)

/** Copies what stays as it is, all of one moment: the fold adds to it what comes after the positions of that moment. */
async function takeOver(db: Client, before: number): Promise<void> {
  const values = [new Date(before)]
  await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await db.query(`INSERT INTO positions (partition, log_position, next_offset, recorded_at, taken_over_up_to)
    SELECT partition, 0, 0, 'epoch', log_position FROM ${schema}.positions`)
  await db.query(`INSERT INTO sequences SELECT * FROM ${schema}.sequences WHERE started_at < $1`, values)
  const columns = 'workspace_id, template_id, template_version, hour, step, channel_type, name'
  await db.query(
    `INSERT INTO counts (${columns}, n) SELECT ${columns}, sum(n) FROM (
    SELECT ${columns}, n FROM ${schema}.counts WHERE hour < $1 UNION ALL SELECT ${columns}, n FROM ${schema}.counts_by_partition WHERE hour < $1
  ) AS counted GROUP BY ${columns}`,
    values,
  )
  await db.query('COMMIT')
}

/** Folds from the store what lies between the position reached and one. */
async function fillFrom(
  store: EventStore,
  pool: Pool,
  partition: number,
  before: number,
  keepBefore: number | null,
  say: (line: string) => void,
): Promise<void> {
  const reached = (await foldedBy(pool)).get(partition)?.logPosition ?? 0
  for await (const changes of changesBetween(store, partition, reached, before)) {
    await foldSome(
      pool,
      partition,
      changes.filter((change) => changeProblem(change) === null),
      keepBefore,
      say,
    )
  }
}

// One that cannot be folded is left out, and its neighbours count: the same as on the topic.
async function foldSome(
  pool: Pool,
  partition: number,
  changes: readonly SequenceChanged[],
  keepBefore: number | null,
  say: (line: string) => void,
): Promise<void> {
  try {
    await foldBatch(pool, partition, changes, 0, keepBefore)
  } catch (error) {
    if (isOutage(error)) throw error
    if (changes.length === 1)
      return say(`partition ${partition}, position ${changes[0]!.logPosition} cannot be counted: ${errorClass(error)}`)
    const half = changes.length >> 1
    await foldSome(pool, partition, changes.slice(0, half), keepBefore, say)
    await foldSome(pool, partition, changes.slice(half), keepBefore, say)
  }
}

async function livePositions(db: Pick<Client, 'query'>): Promise<ReadonlyMap<number, number>> {
  const { rows } = await db.query<{ partition: number; log_position: number }>(`SELECT partition, log_position FROM ${schema}.positions`)
  return new Map(rows.map((row) => [row.partition, Number(row.log_position)]))
}

// The live projector's transactions begin by locking their position, so with that table held none is under way.
async function swap(pool: Pool, lost: ReadonlySet<number>, stopProjector: () => Promise<void>, patience: Patience): Promise<void> {
  await inTransaction(pool, async (tx) => {
    await tx.query(`LOCK TABLE ${schema}.positions IN ACCESS EXCLUSIVE MODE`)
    const marks = [...(await livePositions(tx))].filter(([partition]) => !lost.has(partition))
    await untilReached(pool, 'logPosition', new Map(marks), patience)
    await stopProjector()
    // In the order in which readers take them, so that no ring of waiting forms.
    await tx.query(`LOCK TABLE ${schema}.counts, ${schema}.counts_by_partition, ${schema}.sequences IN ACCESS EXCLUSIVE MODE`)
    for (const table of foldedTables) {
      await tx.query(`DROP TABLE ${schema}.${table}`)
      await tx.query(`ALTER TABLE ${rebuildSchema}.${table} SET SCHEMA ${schema}`)
    }
  })
}
