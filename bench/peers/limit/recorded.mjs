// Reads what the Stepcast run wrote, phase by phase: rows out of the snapshots of its tables, records out of its topics.

/** One phase's work on one table of one partition, in the order of arrival. */
export class TableWork {
  inserted = []
  updated = []
  deleted = []

  constructor(table) {
    this.table = table
  }
}

/** The tables that have a column `partition`, with their columns, types and primary keys, out of the catalogue. */
export async function tablesOf(pool) {
  const { rows } = await pool.query(`
    SELECT c.relname AS name, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
           coalesce(a.attnum = ANY (i.indkey), false) AS key
    FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE s.nspname = 'orchestrator' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.relname, a.attnum`)
  const tables = new Map()
  for (const { name, column, type, key } of rows) {
    if (!tables.has(name)) tables.set(name, { name, columns: [] })
    tables.get(name).columns.push({ name: column, type, key })
  }
  return [...tables.values()].filter(({ columns }) => columns.some(({ name }) => name === 'partition') && columns.some(({ key }) => key))
}

const quoted = (name) => `"${name}"`
// bytea stays a buffer; everything else travels as text, as it does in an array parameter.
const selected = ({ name, type }) => (type === 'bytea' ? `a.${quoted(name)}` : `a.${quoted(name)}::text`)

/** What a phase did to a table, per partition: the difference between the snapshots before and after it. */
export async function workOf(pool, table, phase) {
  const before = `bench_${phase}.${quoted(table.name)}`
  const after = `bench_${phase + 1}.${quoted(table.name)}`
  const keys = table.columns.filter(({ key }) => key)
  const rest = table.columns.filter(({ key }) => !key)
  const sameKey = keys.map(({ name }) => `b.${quoted(name)} = a.${quoted(name)}`).join(' AND ')
  const partition = `a.partition::int`
  const read = async (columns, from) =>
    (
      await pool.query({
        text: `SELECT ${[partition, ...columns.map(selected)].join(', ')} FROM ${from} ORDER BY a.ctid`,
        rowMode: 'array',
      })
    ).rows
  const inserted = await read(table.columns, `${after} a WHERE NOT EXISTS (SELECT FROM ${before} b WHERE ${sameKey})`)
  const deleted = await read(keys, `${before} a WHERE NOT EXISTS (SELECT FROM ${after} b WHERE ${sameKey})`)
  const differs = rest.map(({ name }) => `b.${quoted(name)} IS DISTINCT FROM a.${quoted(name)}`)
  // One pass over all: a query that may stop at the first difference makes PostgreSQL compare each row with each.
  const differences = differs.map((test) => `bool_or(${test})`).join(', ')
  const [found] =
    rest.length === 0
      ? [[]]
      : (await pool.query({ text: `SELECT ${differences} FROM ${after} a JOIN ${before} b ON ${sameKey}`, rowMode: 'array' })).rows
  const changed = rest.filter((_, index) => found[index] === true)
  const updated =
    changed.length === 0 ? [] : await read([...keys, ...changed], `${after} a JOIN ${before} b ON ${sameKey} WHERE ${differs.join(' OR ')}`)
  const byPartition = new Map()
  const of = (number) => {
    if (!byPartition.has(number)) byPartition.set(number, new TableWork({ ...table, keys, changed }))
    return byPartition.get(number)
  }
  for (const [number, ...row] of inserted) of(number).inserted.push(row)
  for (const [number, ...row] of updated) of(number).updated.push(row)
  for (const [number, ...row] of deleted) of(number).deleted.push(row)
  return byPartition
}

/** How many transactions Stepcast made of a phase, per partition: the rows it wrote tell theirs. */
export async function turnsOf(pool, tables, phase) {
  const turns = new Map()
  for (const { name, columns } of tables) {
    const sameKey = columns
      .filter(({ key }) => key)
      .map(({ name: column }) => `b.${quoted(column)} = a.${quoted(column)}`)
      .join(' AND ')
    const { rows } = await pool.query(`
      SELECT a.partition::int AS partition, count(DISTINCT a.bench_turn)::int AS turns FROM bench_${phase + 1}.${quoted(name)} a
      WHERE NOT EXISTS (SELECT FROM bench_${phase}.${quoted(name)} b WHERE ${sameKey}) GROUP BY 1`)
    for (const row of rows) turns.set(row.partition, Math.max(turns.get(row.partition) ?? 1, row.turns))
  }
  return turns
}

/** Reads topics from one set of offsets to another; records per topic and partition, in order. */
export async function readTopics(kafka, groupId, topics, end) {
  const found = new Map(topics.map((topic) => [topic, new Map()]))
  let missing = 0
  for (const topic of topics) {
    for (const [partition, offset] of Object.entries(end[topic])) {
      found.get(topic).set(Number(partition), [])
      missing += offset
    }
  }
  const consumer = kafka.consumer({ groupId, maxBytesPerPartition: 4 * 1024 * 1024 })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await new Promise((resolve, reject) => {
    if (missing === 0) resolve()
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        const records = found.get(batch.topic).get(batch.partition)
        for (const { offset, key, value, headers } of batch.messages) {
          if (Number(offset) >= end[batch.topic][batch.partition]) break
          records[Number(offset)] = { partition: batch.partition, key, value, headers }
          missing--
        }
        if (missing === 0) resolve()
      },
    })
  })
  await consumer.disconnect()
  return found
}
