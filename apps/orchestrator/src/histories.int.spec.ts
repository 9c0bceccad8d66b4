// The store tells a partition's log as the topic has it: whole, in order, in pieces of bounded size, and to services of ours only.
import { Pool } from 'pg'
import { ScratchEncoder, topics, type SequenceChanged } from '@stepcast/contracts'
import type { KafkaConnection } from '@stepcast/kafka'
import { contextHeader, contextKey, signContext, startService, type RunningService } from '@stepcast/service'
import type { SequenceEvent } from '@stepcast/sequence'
import {
  approveTwoSteps,
  eventually,
  produceSends,
  readValues,
  sendRequested,
  specPartitions,
  specStack,
  type SpecStack,
} from '@stepcast/testing'
import { AppModule } from './app.module'
import { writeChange } from './changeCodec'
import type { StoredChanges } from './histories.controller'

let stack: SpecStack
let connection: KafkaConnection
let service: RunningService
let pool: Pool
let topic: SequenceChanged[]

beforeAll(async () => {
  stack = await specStack(__filename)
  connection = stack.connection()
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
  pool = new Pool({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator', max: 2 })
  await approveTwoSteps(connection, 'welcome')
  await produceSends(
    connection,
    Array.from({ length: 300 }, (_, n) => sendRequested('welcome', 'history', `u${n}`)),
  )
  topic = await eventually(async () => {
    const values = await readValues(connection, topics.sequences)
    return values.length >= 300 ? values : null
  })
})
afterAll(async () => {
  await pool?.end()
  await service?.stop()
  await stack?.stop()
})

async function ask(query: string, scopes: ('internal' | 'read')[] = ['internal']): Promise<{ status: number; body: StoredChanges }> {
  const caller = { workspaceId: '', scopes, userId: null, via: 'api_key', keyId: null } as const
  const context = await signContext(contextKey(stack.env.STEPCAST_INTERNAL_SECRET), caller)
  const response = await fetch(`${service.url}/internal/changes?${query}`, { headers: { [contextHeader]: context } })
  return { status: response.status, body: (await response.json()) as StoredChanges }
}
const ofPartition = (partition: number): SequenceChanged[] => topic.filter(({ logPartition }) => logPartition === partition)
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

it('holds what the topic holds, read piece by piece', async () => {
  for (let partition = 0; partition < specPartitions; partition++) {
    const told: SequenceChanged[] = []
    const wanted = ofPartition(partition)
    for (let after = 0; after < wanted.length; ) {
      const { body } = await ask(`partition=${partition}&afterPosition=${after}&upToPosition=${wanted.length}&limit=40`)
      expect(body.items.length).toBeLessThanOrEqual(40)
      expect(body.readTo).toBeGreaterThan(after)
      told.push(...body.items)
      after = body.readTo
    }
    expect(told).toEqual(plain(wanted))
  }
})

it('says from which day on it is whole, and what it looked at where retention has dropped everything', async () => {
  expect((await ask('partition=0&afterPosition=1000000')).body).toEqual({ items: [], readTo: 1_010_000, wholeSince: null })
  await pool.query(`INSERT INTO retired_days (started_on) VALUES ('2026-01-30'), ('2026-01-31')`)
  expect((await ask('partition=0&afterPosition=0&upToPosition=1')).body.wholeSince).toBe('2026-02-01')
})

it('answers some megabytes at most, and one change however large', async () => {
  const [first] = ofPartition(0)
  // 3 MB of events each, as if a sequence had had very long receipts.
  const scratch = new ScratchEncoder()
  const event = (detail: string): SequenceEvent => ({
    type: 'EngagementRecorded',
    messageId: `${first!.sequenceId}.1.in_app`,
    step: 1,
    channelType: 'in_app',
    kind: 'viewed',
    occurredAt: 0,
    source: 's',
    reason: null,
    providerMessageId: null,
    detail: { detail },
  })
  const end = writeChange(scratch, 0, { recordedAt: 0, events: [event('x'.repeat(3_000_000))] })
  await pool.query(
    `INSERT INTO changes (sequence_id, position, started_on, version, partition, data)
     SELECT sequence_id, 6000000 + n, started_on, 1000 + n, 0, $2 FROM changes, generate_series(1, 3) AS n WHERE sequence_id = $1 AND version = 1`,
    [first!.sequenceId, scratch.buffer.subarray(0, end)],
  )
  const { body } = await ask('partition=0&afterPosition=6000000&upToPosition=6000010')
  expect(body.items.map(({ logPosition }) => logPosition)).toEqual([6_000_001, 6_000_002])
  expect(body.readTo).toBe(6_000_002)
  expect((await ask('partition=0&afterPosition=6000002&upToPosition=6000010')).body).toMatchObject({
    items: [{ logPosition: 6_000_003 }],
    readTo: 6_000_010,
  })
})

it('is read by services of ours only, and by whole numbers', async () => {
  expect((await ask('partition=0&afterPosition=0', ['read'])).status).toBe(403)
  for (const query of [
    'partition=0',
    'partition=-1&afterPosition=0',
    'partition=2147483648&afterPosition=0',
    'partition=0&afterPosition=1e99',
    'partition=0&afterPosition=0&limit=10001',
  ]) {
    expect([query, (await ask(query)).status]).toEqual([query, 422])
  }
})
