// `npm run record-release`: plays a short load on this tree and checks in what it leaves behind: schemas, database, records.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { avroSchemas, sequenceIdOf, subjectOf, topics } from '@stepcast/contracts'
import { KafkaConnection, kafkaConfigFromEnv, registryConfigFromEnv, silentLog } from '@stepcast/kafka'
import { checkout, startSystem, type System } from '@stepcast/local'
import { sleep } from '@stepcast/stack'
import { Client as Database } from 'pg'
import { dump } from './dump'
import { Load } from './load'
import { releasedFolder } from './oldTree'
import { prepare } from './prepare'
import { recordsOf } from './records'

const help = `npm run record-release [-- --to <folder>]

Plays a short load on this tree and writes what it leaves behind, schemas, database and records, to ${releasedFolder}:
what the next version must be able to read. Done when a release is made; look at the difference and commit it.

--to <folder>     where to write
--apps <folder>   whose services to run; those of this checkout by default`

const workspaceId = 'released'
const perSecond = 10
const seconds = 8

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      apps: { type: 'string' },
      to: { type: 'string', default: join(checkout, releasedFolder) },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  const home = mkdtempSync(join(tmpdir(), 'stepcast-release-'))
  const system = await startSystem({
    home,
    minuteMs: 300,
    partitions: 3,
    onProgress: (line) => console.log(line),
    ...(values.apps !== undefined && { appsRoot: values.apps }),
  })
  const env = { KAFKA_BROKERS: system.env.KAFKA_BROKERS, SCHEMA_REGISTRY_URL: system.env.SCHEMA_REGISTRY_URL }
  const connection = new KafkaConnection({
    kafka: kafkaConfigFromEnv(env, 'record-release'),
    registry: registryConfigFromEnv(env),
    log: silentLog,
  })
  try {
    await play(system, connection)
    mkdirSync(values.to, { recursive: true })
    await write(values.to, system, connection)
    console.log(`Written to ${values.to}: look at the difference and commit it.`)
  } finally {
    await connection.close()
    await system.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

/** Some people in the middle of their sequences, some at the end, one erased, one quiet at night, a template archived. */
async function play(system: System, connection: KafkaConnection): Promise<void> {
  const client = await prepare({
    workspaceId,
    rootKey: system.rootKey,
    url: system.url,
    sandboxUrl: system.sandboxUrl,
    gateways: () => [system.url],
  })
  await client.call('PUT', '/v1/users/user-1/preferences', {
    body: { optOut: { channels: ['sms'], categories: [] }, quietHours: { start: '21:00', end: '08:00' } },
  })
  const load = new Load(client, connection, workspaceId, (sendId, userId) => sequenceIdOf(workspaceId, sendId, userId))
  load.start(perSecond)
  await sleep(seconds * 1_000)
  const failures = await load.stop()
  if (failures.length > 0) throw new Error(`the load did not go as it should: ${failures[0]}`)
  await client.call('POST', '/v1/sends', {
    idempotencyKey: 'nobody-looks',
    body: { templateId: 'feed-first', variables: { orderNo: '1' }, receivers: ['user-4', 'user-5'].map((userId) => ({ userId })) },
  })
  await client.call('DELETE', '/v1/users/user-2')
  await client.call('POST', '/v1/templates/push-first/archive')
  const producer = await connection.producer()
  // One that comes before its send is known, as a receipt may.
  await producer.send(topics.engagements, [
    {
      key: 'early',
      value: {
        workspaceId,
        messageId: `${sequenceIdOf(workspaceId, 'never', 'user-3')}.1.push`,
        kind: 'clicked',
        occurredAt: Date.now(),
        source: 'client',
        reason: null,
        providerMessageId: null,
        detail: {},
      },
    },
  ])
  await sleep(1_000)
}

async function write(folder: string, system: System, connection: KafkaConnection): Promise<void> {
  const ids: Record<number, unknown> = {}
  for (const topic of Object.values(topics))
    ids[await connection.registry.writerIdOf(topic)] = { subject: subjectOf(topic.name), schema: avroSchemas[topic.record] }
  writeFileSync(join(folder, 'schemas.json'), `${JSON.stringify(ids, null, 2)}\n`)
  writeFileSync(join(folder, 'records.jsonl'), (await recordsOf(connection)).map((record) => `${JSON.stringify(record)}\n`).join(''))
  const database = new Database({ connectionString: system.env.DATABASE_URL })
  await database.connect()
  const { rows } = await database.query<{ nspname: string }>(
    `SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)' ORDER BY 1`,
  )
  writeFileSync(
    join(folder, 'database.sql'),
    await dump(
      database,
      rows.map(({ nspname }) => nspname),
    ),
  )
  await database.end()
}

main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
