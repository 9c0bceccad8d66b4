// Looks for words everywhere something may be kept: every column of a database, every record of a cluster, every file of a directory.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { topics } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
// eslint-disable-next-line no-restricted-imports -- only its numbers of resource types: what a spec alters no service may
import { ConfigResourceTypes } from 'kafkajs'
import { Client } from 'pg'
import { eventually } from './eventually'

interface TableColumns {
  readonly schema: string
  readonly table: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
}

const tablesSql = `
SELECT n.nspname AS schema, c.relname AS table,
  json_agg(json_build_object('name', a.attname, 'type', a.atttypid::regtype::text) ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
GROUP BY 1, 2 ORDER BY 1, 2`

/** The columns of a database, as `schema.table.column`, that hold one of the words: what a dump would show. */
export async function searchDatabase(databaseUrl: string, words: readonly string[]): Promise<string[]> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows: tables } = await client.query<TableColumns>(tablesSql)
    if (tables.length === 0) throw new Error('the database has no tables: nothing was searched')
    const found: string[] = []
    for (const { schema, table, columns } of tables) {
      const holds = columns.map(({ name, type }) => {
        const column = `t.${client.escapeIdentifier(name)}`
        // Bytes as text would be hexadecimal: they are searched as bytes.
        const place = type === 'bytea' ? `position(convert_to(word, 'UTF8') IN ${column})` : `strpos(${column}::text, word)`
        return `bool_or(${place} > 0)`
      })
      const from = `${client.escapeIdentifier(schema)}.${client.escapeIdentifier(table)} t CROSS JOIN unnest($1::text[]) AS word`
      const text = `SELECT ${holds.join(', ')} FROM ${from}`
      const { rows } = await client.query<(boolean | null)[]>({ text, values: [words], rowMode: 'array' })
      columns.forEach(({ name }, i) => rows[0]![i] === true && found.push(`${schema}.${table}.${name}`))
    }
    return found
  } finally {
    await client.end()
  }
}

/** The topics of a cluster that hold a record with one of the words in its key, value or headers; all records are read. */
export async function searchTopics(connection: KafkaConnection, words: readonly string[]): Promise<string[]> {
  const admin = await connection.admin()
  const names = await topicsOf(connection)
  const unread = new Map<string, number>()
  for (const name of names) {
    for (const { partition, low, high } of await admin.fetchTopicOffsets(name)) {
      if (Number(high) > Number(low)) unread.set(`${name}/${partition}`, Number(high))
    }
  }
  const wanted = words.map((word) => Buffer.from(word))
  const found = new Set<string>()
  const consumer = connection.consumer({ groupId: `search-${process.hrtime.bigint()}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: names, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { key, value, headers } of batch.messages) {
        const parts = [key, value, ...Object.values(headers ?? {}).flat()].map((part) => Buffer.from(part ?? ''))
        if (parts.some((part) => wanted.some((word) => part.includes(word)))) found.add(batch.topic)
      }
      const place = `${batch.topic}/${batch.partition}`
      if (Number(batch.lastOffset()) + 1 >= (unread.get(place) ?? Infinity)) unread.delete(place)
    },
  })
  try {
    await eventually(() => unread.size === 0 || Promise.reject(new Error(`not read to the end: ${[...unread.keys()].join(', ')}`)))
  } finally {
    await connection.release(consumer)
  }
  return [...found].sort()
}

async function topicsOf(connection: KafkaConnection): Promise<string[]> {
  const names = await (await connection.admin()).listTopics()
  const ours = names.filter((name) => name.startsWith(connection.topicPrefix) && !name.startsWith('__'))
  if (ours.length === 0) throw new Error('the cluster has no topics of ours: nothing was searched')
  return ours
}

/** The files below a directory that hold one of the words. */
export function searchFiles(directory: string, words: readonly string[]): string[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  if (files.length === 0) throw new Error(`${directory} has no files: nothing was searched`)
  return files
    .map((file) => join(file.parentPath, file.name))
    .filter((path) => {
      const text = readFileSync(path)
      return words.some((word) => text.includes(word))
    })
}

/**
 * Shortens the retention of every topic to a second, so that what takes the cluster days happens while a spec waits. Compaction passes by
 * what is being written: write to a partition again afterwards. The broker looks every `log.retention.check.interval.ms` and
 * `log.cleaner.backoff.ms`.
 */
export async function shortenRetention(connection: KafkaConnection): Promise<void> {
  const isCompacted = (name: string): boolean =>
    Object.values(topics).some((topic) => topic.cleanup === 'compact' && connection.physical(topic.name) === name)
  // All of them anew: what an alteration leaves out falls back to the broker's default.
  const entriesOf = (name: string): Record<string, string> =>
    isCompacted(name)
      ? { 'cleanup.policy': 'compact', 'max.compaction.lag.ms': '1000', 'delete.retention.ms': '1000', 'segment.ms': '1000' }
      : { 'cleanup.policy': 'delete', 'retention.ms': '1000', 'segment.ms': '1000' }
  const resources = (await topicsOf(connection)).map((name) => ({
    type: ConfigResourceTypes.TOPIC,
    name,
    configEntries: Object.entries(entriesOf(name)).map(([entry, value]) => ({ name: entry, value })),
  }))
  await (await connection.admin()).alterConfigs({ validateOnly: false, resources })
}
