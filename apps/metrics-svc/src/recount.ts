// Counts the whole topic anew beside the live tables, then puts the new tables in their place.
import { setTimeout as pause } from 'node:timers/promises'
import { Client, type Pool } from 'pg'
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { createPool, inTransaction } from '@stepcast/postgres'
import { startProjector } from './projector'
import { foldedTables, foldedTablesSql, schema } from './tables'

/** What a recount needs. */
export interface RecountOptions {
  readonly connection: KafkaConnection
  readonly databaseUrl: string
  /** Go on although the topic no longer begins at its beginning: what was trimmed then counts no more. */
  readonly acceptTrimmed: boolean
  readonly say: (line: string) => void
}

/** The topic no longer holds everything that the live numbers count. */
export class TopicTrimmed extends Error {
  readonly retriable = false
}

const rebuildSchema = `${schema}_rebuild`
const pollMs = 200
// The live projector stands still while the last changes are folded: a few seconds at most, or the swap is given up.
const swapAtMostMs = 30_000

/**
 * Recounts from offset zero while the service goes on, then swaps. Two at a time are refused.
 * @throws TopicTrimmed when records are missing from the beginning and that is not accepted.
 */
export async function recount({ connection, databaseUrl, acceptTrimmed, say }: RecountOptions): Promise<void> {
  const lock = new Client({ connectionString: databaseUrl, application_name: 'metrics-svc rebuild' })
  await lock.connect()
  const pool = createPool({ databaseUrl, schema: rebuildSchema, applicationName: 'metrics-svc rebuild' })
  try {
    const { rows } = await lock.query<{ locked: boolean }>(
      `SELECT pg_try_advisory_lock(hashtextextended('metrics-svc rebuild', 0)) AS locked`)
    if (!rows[0]!.locked) throw new Error('another rebuild is running')
    const ends = await endsOf(connection, acceptTrimmed, say)
    await lock.query(`
      DROP SCHEMA IF EXISTS ${rebuildSchema} CASCADE;
      CREATE SCHEMA ${rebuildSchema};
      SET search_path = ${rebuildSchema};
      ${foldedTablesSql}`)
    const projector = await startProjector({ connection, pool, groupId: `metrics-svc-rebuild-${Date.now()}` })
    try {
      await until(() => reached(pool, 'next_offset', ends))
      say(`read to the end of ${topics.sequences.name}; swapping`)
      await swap(pool, projector.stop)
    } finally {
      await projector.stop()
    }
    await lock.query(`DROP SCHEMA ${rebuildSchema} CASCADE`)
  } finally {
    await pool.end()
    await lock.end()
  }
}

async function endsOf(connection: KafkaConnection, acceptTrimmed: boolean, say: (line: string) => void): Promise<Map<number, number>> {
  const offsets = [...(await connection.offsets(topics.sequences.name))]
  const trimmed = offsets.filter(([, { low }]) => low > 0).map(([partition, { low }]) => `${partition} (begins at ${low})`)
  if (trimmed.length > 0) {
    const what = `${topics.sequences.name} has been trimmed: partitions ${trimmed.join(', ')}. `
      + 'Sequences that started before are in the live counts only'
    if (!acceptTrimmed) throw new TopicTrimmed(`${what}; a rebuild would lose them. To accept that: --accept-trimmed`)
    say(`${what}, and will be lost`)
  }
  return new Map(offsets.filter(([, { low, end }]) => end > low).map(([partition, { end }]) => [partition, end]))
}

// The live projector's transactions begin by locking their position, so with that table held none is under way.
async function swap(pool: Pool, stopProjector: () => Promise<void>): Promise<void> {
  await inTransaction(pool, async (tx) => {
    await tx.query(`LOCK TABLE ${schema}.positions IN ACCESS EXCLUSIVE MODE`)
    const { rows } = await tx.query<{ partition: number; log_position: number }>(`SELECT partition, log_position FROM ${schema}.positions`)
    const live = new Map(rows.map((row) => [row.partition, row.log_position]))
    await until(() => reached(pool, 'log_position', live), swapAtMostMs)
    await stopProjector()
    // In the order in which readers take them, so that no ring of waiting forms.
    await tx.query(`LOCK TABLE ${schema}.counts, ${schema}.sequences IN ACCESS EXCLUSIVE MODE`)
    for (const table of foldedTables) {
      await tx.query(`DROP TABLE ${schema}.${table}`)
      await tx.query(`ALTER TABLE ${rebuildSchema}.${table} SET SCHEMA ${schema}`)
    }
  })
}

async function reached(pool: Pool, column: 'next_offset' | 'log_position', wanted: ReadonlyMap<number, number>): Promise<boolean> {
  const { rows } = await pool.query<{ partition: number; at: number }>(`SELECT partition, ${column} AS at FROM positions`)
  const at = new Map(rows.map((row) => [row.partition, row.at]))
  return [...wanted].every(([partition, needed]) => (at.get(partition) ?? 0) >= needed)
}

async function until(done: () => Promise<boolean>, withinMs = Infinity): Promise<void> {
  const startedAt = performance.now()
  while (!(await done())) {
    if (performance.now() - startedAt > withinMs) {
      throw new Error(`the rebuild did not catch up with the live tables within ${withinMs} ms; nothing was changed, run it again`)
    }
    await pause(pollMs)
  }
}
