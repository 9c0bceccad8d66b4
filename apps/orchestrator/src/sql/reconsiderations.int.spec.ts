// Whose messages are judged again: everybody concerned, once, however little is taken at a time.
import { Client, type PoolClient } from 'pg'
import { sequenceIdOf } from '@stepcast/contracts'
import { migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { migrations } from '../migrations'
import { reconsider, takeReconsiderations } from './reconsiderations'

let stack: SpecStack
let database: Client
let tx: PoolClient

beforeAll(async () => {
  stack = await specStack(__filename)
  await migrate({ databaseUrl: stack.databaseUrl, schema: 'orchestrator', applicationName: 'spec', migrations })
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=orchestrator' })
  await database.connect()
  tx = database as unknown as PoolClient
})
afterAll(async () => {
  await database.end()
  await stack.stop()
})

/** So many sequences of a person: every third has ended, every second is of another partition. */
async function run(userId: string, count: number, workspaceId = 'w'): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => sequenceIdOf(workspaceId, `send-${n}`, userId))
  for (const [n, id] of ids.entries()) {
    await database.query(
      `INSERT INTO sequences (sequence_id, started_on, partition, outcome, template_version, workspace_id, send_id, user_id, template_id)
       VALUES ($1, current_date, $2, $3, 1, $4, $5, $6, 't')`,
      [id, n % 2 === 0 ? 3 : 4, n % 3 === 0 ? 1 : null, workspaceId, `send-${n}`, userId],
    )
  }
  return ids.filter((_, n) => n % 2 === 0 && n % 3 !== 0)
}
const sleeps = (userId: string, timezone: string | null, workspaceId = 'w') =>
  database.query('INSERT INTO users (workspace_id, user_id, data) VALUES ($1, $2, $3)', [
    workspaceId,
    userId,
    { timezone, start: '21:00', end: '08:00' },
  ])

/** Everything that turns of so many are given, turn by turn. */
async function taken(most: number): Promise<string[]> {
  const all: string[] = []
  for (let turn = 0; turn < 1_000; turn++) {
    const { reached, more } = await takeReconsiderations(tx, 3, most)
    all.push(...reached)
    if (!more) return all
  }
  throw new Error('this has no end')
}

it.each([1, 7, 1_000])(
  'of people who have changed, and of a workspace whose timezone has: all that runs in the partition, %i at a time',
  async (most) => {
    await database.query('DELETE FROM users; DELETE FROM sequences; DELETE FROM reconsiderations')
    const wanted: string[] = []
    for (const [userId, count] of [
      ['a', 0],
      ['busy', 130],
      ['c', 3],
      ['중', 12],
      ['z', 51],
    ] as const) {
      await sleeps(userId, null)
      wanted.push(...(await run(userId, count)))
    }
    await sleeps('elsewhere', 'Asia/Seoul')
    await run('elsewhere', 5)
    await run('awake', 5)
    await sleeps('other', null, 'other')
    await run('other', 5, 'other')
    await reconsider(
      tx,
      [
        { workspaceId: 'w', userId: null },
        { workspaceId: 'nobody-sleeps', userId: null },
      ],
      4,
    )
    expect((await taken(most)).sort()).toEqual([...wanted].sort())
    const busy = await database.query<{ id: string }>(
      `SELECT sequence_id AS id FROM sequences WHERE user_id = 'busy' AND partition = 3 AND outcome IS NULL`,
    )
    await reconsider(
      tx,
      [
        { workspaceId: 'w', userId: 'busy' },
        { workspaceId: 'w', userId: 'unknown' },
      ],
      4,
    )
    expect((await taken(most)).sort()).toEqual(busy.rows.map(({ id }) => id).sort())
    // Those of other partitions are for their turns.
    const { rows } = await database.query<{ partition: number; count: number }>(
      'SELECT partition, count(*)::int AS count FROM reconsiderations GROUP BY 1 ORDER BY 1',
    )
    expect(rows).toEqual([0, 1, 2].map((partition) => ({ partition, count: 3 })))
  },
)

it('of many people of one workspace: everybody, once', async () => {
  await database.query('DELETE FROM users; DELETE FROM sequences; DELETE FROM reconsiderations')
  const wanted: string[] = []
  for (let n = 0; n < 450; n++) {
    await sleeps(`user-${n}`, null)
    if (n % 3 === 0) wanted.push(...(await run(`user-${n}`, 3)))
  }
  await reconsider(tx, [{ workspaceId: 'w', userId: null }], 4)
  expect((await taken(40)).sort()).toEqual([...wanted].sort())
})
