// Growth: fills the store with waiting timers and histories, as after months of work, in about a minute inside PostgreSQL.
import { Client } from 'pg'
import type { Progress } from './progress'
import type { Servers } from './servers'

/** How full. */
export interface Fill {
  /** Sequences that wait for a timer, due in 12 to 24 hours. */
  readonly timers: number
  /** Stored events, theirs included. */
  readonly events: number
}

/** What was put there. */
export interface Filled {
  readonly sequences: number
  readonly changes: number
  readonly timers: number
  readonly events: number
  readonly gigabytes: number
  readonly seconds: number
}

// Of workload W: started and commanded, `requested`; a sequence that is viewed then records that, ends its step and itself.
const eventsWaiting = 3
const changesWaiting = 2
const eventsEnded = 6
const changesEnded = 3

/** Sequences that one turn starts under load. */
const perTurn = 2_000

const tables = ['sequences', 'changes', 'timers'] as const

/** How many sequences of each kind give so many timers and events. */
export function sequencesFor({ timers, events }: Fill): { waiting: number; ended: number } {
  return { waiting: timers, ended: Math.max(0, Math.ceil((events - timers * eventsWaiting) / eventsEnded)) }
}

/**
 * Copies one real, ended sequence of the store under new ids: its first changes with a timer far ahead, or all of them. Everything lies
 * in the current day's partition, among the rows of the run: the hard case, for older days are tables of their own.
 * No orchestrator may run meanwhile.
 */
export async function fillStore(servers: Servers, fill: Fill, progress: Progress): Promise<Filled> {
  const begin = performance.now()
  const { waiting, ended } = sequencesFor(fill)
  const client = new Client({
    connectionString: servers.stack.databaseUrl,
    options: '-c search_path=orchestrator -c maintenance_work_mem=512MB -c work_mem=256MB',
  })
  await client.connect()
  const sql = async <T extends object>(statement: string, values: unknown[] = []): Promise<T[]> =>
    (await client.query<T>(statement, values)).rows
  const step = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const at = performance.now()
    await work()
    progress.done(`${name} (${((performance.now() - at) / 1_000).toFixed(1)} s)`)
  }
  try {
    const [model] = await sql<{ id: string }>(
      `SELECT sequence_id AS id FROM changes GROUP BY sequence_id, started_on HAVING count(*) = ${changesEnded}
       AND (SELECT outcome FROM sequences s WHERE s.sequence_id = changes.sequence_id) = 0 LIMIT 1`,
    )
    if (!model) throw new Error('there is no stopped sequence to copy: the workload before has to end well')
    const columnsOf = async (
      table: string,
      own: Readonly<Record<string, string>>,
      hasModel = true,
    ): Promise<{ names: string; values: string }> => {
      const columns = await sql<{ name: string }>(
        `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`,
        [table],
      )
      const unknown = columns.filter(({ name }) => !hasModel && own[name] === undefined)
      if (unknown.length > 0)
        throw new Error(`${table} has columns that filling does not know: ${unknown.map(({ name }) => name).join(', ')}`)
      return {
        names: columns.map(({ name }) => `"${name}"`).join(', '),
        values: columns.map(({ name }) => own[name] ?? `m."${name}"`).join(', '),
      }
    }
    // Numbers of the copies: 0 … waiting − 1 wait, the others have ended.
    const id = `md5('filled-' || i)::uuid`
    const partitions = (await sql('SELECT FROM cursors')).length
    // As turns leave them: the rows of a partition stand together, so many at a time.
    const turn = `(i / ${perTurn})`
    const partition = `(${turn} % ${partitions})::smallint`
    const place = `(${turn} / ${partitions} * ${perTurn} + i % ${perTurn})`
    const indexes = await dropIndexes(sql)

    await step(`${(waiting + ended).toLocaleString('en')} heads`, async () => {
      const { names, values } = await columnsOf('sequences', {
        sequence_id: id,
        partition,
        user_id: `'filled-' || i`,
        send_id: `'filled'`,
        outcome: `CASE WHEN i < ${waiting} THEN NULL ELSE m.outcome END`,
      })
      await sql(
        `INSERT INTO sequences (${names}) SELECT ${values}
         FROM generate_series(0, ${waiting + ended - 1}) AS i, sequences m WHERE m.sequence_id = $1`,
        [model.id],
      )
    })
    await step(`${(waiting * changesWaiting + ended * changesEnded).toLocaleString('en')} changes`, async () => {
      const { names, values } = await columnsOf('changes', {
        sequence_id: id,
        partition,
        position: `c.log_position + ${place} * ${changesEnded} + m.version`,
      })
      await sql(
        `INSERT INTO changes (${names}) SELECT ${values}
         FROM generate_series(0, ${waiting + ended - 1}) AS i JOIN cursors c ON c.partition = ${partition}, changes m
         WHERE m.sequence_id = $1 AND (i >= ${waiting} OR m.version <= ${changesWaiting})`,
        [model.id],
      )
    })
    await step(`${waiting.toLocaleString('en')} timers`, async () => {
      // The model has ended and has no timer, so each column has to be known here.
      const { names, values } = await columnsOf(
        'timers',
        {
          partition,
          due_at: '((extract(epoch FROM now()) + 12 * 3600 + random() * 12 * 3600) * 1000)::bigint',
          sequence_id: id,
          step: '1',
        },
        false,
      )
      await sql(`INSERT INTO timers (${names}) SELECT ${values} FROM generate_series(0, ${waiting - 1}) AS i`)
    })
    // The log of each partition goes on behind the copies, which count as published.
    await sql(`UPDATE cursors SET log_position = log_position + $1, published_position = log_position + $1`, [
      (Math.ceil((waiting + ended) / partitions / perTurn) + 1) * perTurn * changesEnded,
    ])
    await step('indexes', async () => {
      for (const statement of indexes) await sql(statement)
    })
    await step('vacuum, analyze, checkpoint', async () => {
      for (const table of tables) await sql(`VACUUM (ANALYZE) ${table}`)
      await sql('CHECKPOINT')
    })
    const [size] = await sql<{ bytes: string }>('SELECT pg_database_size(current_database()) AS bytes')
    return {
      sequences: waiting + ended,
      changes: waiting * changesWaiting + ended * changesEnded,
      timers: waiting,
      events: waiting * eventsWaiting + ended * eventsEnded,
      gigabytes: Number((Number(size!.bytes) / 2 ** 30).toFixed(1)),
      seconds: Math.round((performance.now() - begin) / 1_000),
    }
  } finally {
    await client.end()
  }
}

/** Drops the indexes of the three tables, for filling is several times faster without; answers the statements that make them again. */
async function dropIndexes(sql: <T extends object>(statement: string) => Promise<T[]>): Promise<string[]> {
  const constraints = await sql<{ table: string; name: string; definition: string }>(
    `SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
     WHERE contype IN ('p', 'u') AND conrelid IN (${tables.map((table) => `'${table}'::regclass`).join(', ')})`,
  )
  const plain = await sql<{ name: string; definition: string }>(
    `SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
     WHERE i.indrelid IN (${tables.map((table) => `'${table}'::regclass`).join(', ')})
       AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)`,
  )
  for (const { table, name } of constraints) await sql(`ALTER TABLE ${table} DROP CONSTRAINT "${name}"`)
  for (const { name } of plain) await sql(`DROP INDEX ${name}`)
  return [
    ...constraints.map(({ table, name, definition }) => `ALTER TABLE ${table} ADD CONSTRAINT "${name}" ${definition}`),
    // A partitioned table's definition says ONLY, which would leave out its partitions.
    ...plain.map(({ definition }) => definition.replace(' ON ONLY ', ' ON ')),
  ]
}
