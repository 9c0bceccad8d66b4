// Every number that the operator's page promises of the orchestrator is there, and says what it should.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { topics } from '@stepcast/contracts'
import { startService, type RunningService } from '@stepcast/service'
import { eventually, specPartitions, specStack, type SpecStack } from '@stepcast/testing'
import { AppModule } from './app.module'

let stack: SpecStack
let service: RunningService

beforeAll(async () => {
  stack = await specStack(__filename)
  service = await startService({ name: 'orchestrator', module: AppModule, env: stack.env, ownsProcess: false })
  await eventually(async () => (await scraped()).get('stepcast_owned_partitions') === specPartitions)
})
afterAll(async () => {
  await service.stop()
  await stack.stop()
})

const text = async (): Promise<string> => (await fetch(`${service.url}/metrics`)).text()

/** Samples summed over all labels but the wanted ones. */
async function scraped(label = ''): Promise<ReadonlyMap<string, number>> {
  const sums = new Map<string, number>()
  for (const line of (await text()).split('\n')) {
    const found = /^(\w+)(\{.*\})? (\S+)$/.exec(line)
    if (found && (found[2] ?? '').includes(label)) sums.set(found[1]!, (sums.get(found[1]!) ?? 0) + Number(found[3]))
  }
  return sums
}

/** The names that the table of docs/operations.md lists for a service. */
function documented(name: string): string[] {
  const page = readFileSync(join(__dirname, '../../../docs/operations.md'), 'utf8')
  return page.split('\n').flatMap((line) => {
    const row = /^\| `(stepcast_\w+)` \| ([^|]+) \|/.exec(line)
    return row && (row[2]!.includes(name) || row[2]!.trim() === 'all') ? [row[1]!] : []
  })
}

it('tells every documented number', async () => {
  const names = documented('orchestrator')
  expect(names.length).toBeGreaterThan(15)
  const page = await text()
  expect(names.filter((name) => !page.includes(`# TYPE ${name} `))).toEqual([])
})

it('counts what is put aside by topic and reason, and shows no lag once everything is worked off', async () => {
  const connection = stack.connection()
  await (await connection.producer()).sendRaw(
    topics.sends.name,
    Array.from({ length: 7 }, () => ({ key: null, value: Buffer.from('{"not":"avro"}') })),
  )
  await eventually(async () => (await scraped(`topic="${topics.sends.name}",reason="not_avro"`)).get('stepcast_dead_letters_total') === 7)
  await eventually(async () => (await scraped(`topic="${topics.sends.name}",partition=`)).get('stepcast_consumer_lag_records') === 0)
  const numbers = await scraped()
  expect(numbers.get('stepcast_turn_seconds_count')).toBeGreaterThan(0)
  expect(numbers.get('stepcast_unpublished_changes')).toBe(0)
  expect(numbers.get('stepcast_take_overs_total')).toBeGreaterThanOrEqual(specPartitions)
})
