// limit: what no engine on this broker and this database can beat by much. It consumes the bytes that Stepcast consumed, inserts,
// updates and deletes the same rows in transactions as large as Stepcast's turns, and produces the same records, but decodes
// nothing and decides nothing: rows lie in memory, and Kafka's batches are encoded, before a phase begins. One Node process. Batches
// and headers go through the same lean path as Stepcast's (libs/kafka): with the client's own encoder this loop is slower than Stepcast.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { readTopics, tablesOf, turnsOf, workOf } from './recorded.mjs'
import { insert, remove, update } from './statements.mjs'

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const lean = createRequire(new URL('../../../libs/kafka/dist/index.js', import.meta.url))
const { Kafka, logLevel, Partitioners } = lean('kafkajs')
const { RecordBatch } = lean('./recordBatch.js')
const { standInFor } = lean('./encodedBatches.js')
lean('./decodedHeaders.js')
const { n: nText } = parseArgs({ options: { n: { type: 'string' } } }).values
const n = Number(nText)
// { inputs: [topic…], outputs: [topic…], marks: [{ topic: { partition: end offset } } × 5] }: the Stepcast run, between its phases.
const run = JSON.parse(readFileSync(process.env.BENCH_RECORDING, 'utf8'))
const prefix = process.env.TOPIC_PREFIX
const phases = ['start', 'requested', 'engaged', 'timers']
// As Stepcast's: more transactions at a time only queue on two cores of PostgreSQL.
const transactionsAtOnce = 3
const maxUnpublished = 2
const maxChunkBytes = 512 * 1024

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

const kafka = new Kafka({ clientId: 'limit', brokers: process.env.KAFKA_BROKERS.split(','), logLevel: logLevel.ERROR })
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: transactionsAtOnce })
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false })
const admin = kafka.admin()
await Promise.all([producer.connect(), admin.connect()])

// ── Before the clock ───────────────────────────────────────────────────────────────────────────────────────────────────────

const topics = [...run.inputs, ...run.outputs]
const partitions = Object.keys(run.marks[0][topics[0]]).length
await admin.createTopics({
  topics: topics.map((topic) => ({
    topic: prefix + topic,
    numPartitions: partitions,
    replicationFactor: 1,
    configEntries: [
      { name: 'cleanup.policy', value: 'delete' },
      { name: 'max.message.bytes', value: String(4 * 1024 * 1024) },
    ],
  })),
})
const records = await readTopics(kafka, `${prefix}read`, topics, run.marks[phases.length])
const tables = await tablesOf(pool)

/** A phase's records of a topic and partition. */
const between = (topic, partition, phase) =>
  records
    .get(topic)
    .get(partition)
    .slice(run.marks[phase][topic][partition], run.marks[phase + 1][topic][partition])

/** Share number `index` of `count` even shares. */
const share = (rows, index, count) => rows.slice(Math.floor((index * rows.length) / count), Math.floor(((index + 1) * rows.length) / count))

/** The produce requests of a batch, encoded: at most 512 kB of each topic in one. */
function requestsOf(partition, outputs) {
  const rest = outputs.map(({ topic, messages }) => ({ topic, messages, from: 0 }))
  const requests = []
  for (;;) {
    const topicMessages = []
    for (const part of rest) {
      const batch = RecordBatch.begin(64 * 1024)
      for (; part.from < part.messages.length && batch.size < maxChunkBytes; part.from++) {
        const { key, value, headers } = part.messages[part.from]
        batch.add(key, value, 0, value?.length ?? 0, headers)
      }
      if (batch.count > 0) topicMessages.push({ topic: part.topic, messages: [standInFor(partition, batch)] })
    }
    if (topicMessages.length === 0) return requests
    requests.push(topicMessages)
  }
}

/** The batches of every partition: as many as Stepcast's turns were, of even size. */
async function batchesOf(phase) {
  const work = await Promise.all(tables.map((table) => workOf(pool, table, phase)))
  const turns = await turnsOf(pool, tables, phase)
  return Array.from({ length: partitions }, (_, partition) => {
    const count = turns.get(partition) ?? 0
    const input = run.inputs.reduce((sum, topic) => sum + between(topic, partition, phase).length, 0)
    const ofTables = work.flatMap((byPartition) => byPartition.get(partition) ?? [])
    return Array.from({ length: count }, (_, index) => ({
      consumed: Math.floor(((index + 1) * input) / count),
      tables: ofTables.map(({ table, inserted, updated, deleted }) => ({
        table,
        inserted: share(inserted, index, count),
        deleted: share(deleted, index, count),
        // A table with one row a partition (the cursor) is written in every transaction.
        updated: updated.length === 1 ? updated : share(updated, index, count),
      })),
      requests: requestsOf(partition, run.outputs.map((topic) => ({ topic: prefix + topic, messages: share(between(topic, partition, phase), index, count) }))),
    }))
  })
}

const consumed = new Array(partitions).fill(0)
const waiting = new Array(partitions).fill(null)
// Short, because a client whose partitions are all paused sleeps as long before it looks again.
const consumer = kafka.consumer({ groupId: `${prefix}limit`, maxWaitTimeInMs: 50, maxBytesPerPartition: 1024 * 1024 })
const inputs = run.inputs.map((topic) => prefix + topic)
await consumer.connect()
await consumer.subscribe({ topics: inputs, fromBeginning: true })
const joined = new Promise((resolve) =>
  consumer.on(consumer.events.GROUP_JOIN, () => {
    consumer.pause(inputs.map((topic) => ({ topic })))
    resolve()
  }),
)
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: partitions * inputs.length,
  eachBatch: async ({ batch }) => {
    consumed[batch.partition] += batch.messages.length
    waiting[batch.partition]?.()
  },
})
await joined

/** Puts a phase's input on this run's own topics. */
async function load(phase) {
  for (const topic of run.inputs) {
    for (let partition = 0; partition < partitions; partition++) {
      const messages = between(topic, partition, phase)
      for (let from = 0; from < messages.length; from += 1_000)
        await producer.send({ topic: prefix + topic, acks: -1, messages: messages.slice(from, from + 1_000) })
    }
  }
}

// ── On the clock ───────────────────────────────────────────────────────────────────────────────────────────────────────────

async function transaction(batch) {
  const tx = await pool.connect()
  try {
    await tx.query('BEGIN')
    for (const { table, inserted, updated, deleted } of batch.tables) {
      if (updated.length > 0) await tx.query(update(table, updated))
      if (deleted.length > 0) await tx.query(remove(table, deleted))
      if (inserted.length > 0) await tx.query(insert(table, inserted))
    }
    await tx.query('COMMIT')
  } finally {
    tx.release()
  }
}

async function publish(batch) {
  for (const topicMessages of batch.requests) await producer.sendBatch({ acks: -1, topicMessages })
}

async function runPartition(partition, batches, before, onBatch) {
  const publishing = []
  for (const batch of batches) {
    while (consumed[partition] - before < batch.consumed) await new Promise((resolve) => (waiting[partition] = resolve))
    if (publishing.length >= maxUnpublished) await publishing.shift()
    await transaction(batch)
    const previous = publishing.at(-1) ?? Promise.resolve()
    publishing.push(previous.then(() => publish(batch)).then(() => onBatch(batch)))
  }
  await Promise.all(publishing)
}

const seconds = {}
for (const [phase, name] of phases.entries()) {
  const batches = await batchesOf(phase)
  await load(phase)
  const before = [...consumed]
  const of = batches.flat().length
  let done = 0
  let toldAt = 0
  say({ phase: name, event: 'begin' })
  const begin = performance.now()
  consumer.resume(inputs.map((topic) => ({ topic })))
  await Promise.all(
    batches.map((ofPartition, partition) =>
      runPartition(partition, ofPartition, before[partition], () => {
        done++
        if (performance.now() - toldAt < 200) return
        toldAt = performance.now()
        say({ progress: { phase: name, done, of } })
      }),
    ),
  )
  seconds[name] = (performance.now() - begin) / 1_000
  say({ phase: name, event: 'end' })
  consumer.pause(inputs.map((topic) => ({ topic })))
}

// ── What came out ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const problems = []
for (const { name, columns } of tables) {
  const list = columns.map((column) => `"${column.name}"`).join(', ')
  const here = `SELECT ${list} FROM orchestrator."${name}"`
  const there = `SELECT ${list} FROM bench_${phases.length}."${name}"`
  const {
    rows: [{ different }],
  } = await pool.query(`SELECT count(*)::int AS different FROM ((${here} EXCEPT ${there}) UNION ALL (${there} EXCEPT ${here})) AS d`)
  if (different > 0) problems.push(`${different} rows of ${name} differ from Stepcast's`)
}
for (const topic of run.outputs) {
  const written = (await admin.fetchTopicOffsets(prefix + topic)).reduce((sum, { high }) => sum + Number(high), 0)
  const expected =
    Object.values(run.marks[phases.length][topic]).reduce((sum, end) => sum + end, 0) -
    Object.values(run.marks[0][topic]).reduce((sum, end) => sum + end, 0)
  if (written !== expected) problems.push(`${written} records on ${topic}, not ${expected}`)
}
const half = Math.floor(n / 2)
const items = { start: n, requested: n, engaged: half, timers: n - half }
say({
  result: {
    name: 'limit',
    n,
    version: 'kafkajs 2.2.4, pg 8.23.1',
    phases: Object.fromEntries(phases.map((name) => [name, Math.round(items[name] / seconds[name])])),
    seconds,
    sequencesPerSecond: Math.round(n / phases.reduce((sum, name) => sum + seconds[name], 0)),
    latenessMs: null,
    valid: problems.length === 0,
    problems,
    notes: 'the same bytes in, the same rows, the same bytes out; nothing decoded, nothing decided',
  },
})
await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect(), pool.end()])
