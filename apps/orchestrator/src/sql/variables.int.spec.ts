// Variables as stored: large values once, gone with their last use; the version before reads and writes the same tables.
import { randomUUID } from 'node:crypto'
import { Pool } from 'pg'
import { createPool, inTransaction, migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { migrations } from '../migrations'
import { ensureChangePartitions } from './changes'
import type { Head } from './sequences'
import { deleteHeadless, deleteVariables, insertVariables, leftovers, loadVariables } from './variables'

let stack: SpecStack
let pool: Pool
beforeAll(async () => {
  stack = await specStack(__filename)
  await migrate({ databaseUrl: stack.databaseUrl, schema: 'orchestrator', applicationName: 'spec', migrations })
  pool = createPool({ databaseUrl: stack.databaseUrl, schema: 'orchestrator', applicationName: 'spec' })
  await ensureChangePartitions(pool)
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})
beforeEach(async () => {
  await pool.query('TRUNCATE kept_variables, shared_values, shared_uses, sequences, changes, cursors')
})

const headOf = (sendId: string): Head => ({
  sequenceId: randomUUID(),
  startedOn: new Date().toISOString().slice(0, 10),
  workspaceId: 'w',
  sendId,
  userId: 'u',
  templateId: 't',
  templateVersion: 1,
  campaignId: null,
})
const keep = (rows: readonly { head: Head; variables: Record<string, string> }[], partition = 1): Promise<void> =>
  inTransaction(pool, (tx) => insertVariables(tx, partition, rows))
const forget = (heads: readonly Head[]): Promise<void> =>
  inTransaction(pool, (tx) =>
    deleteVariables(
      tx,
      heads.map(({ sequenceId }) => sequenceId),
    ),
  )
const count = async (table: string): Promise<number> => (await pool.query(`SELECT count(*)::int AS count FROM ${table}`)).rows[0].count
const large = 'ü"\\ '.repeat(10_000)

it('a value that many sequences of a send have stands once; it comes back for each, and goes with the last of them', async () => {
  const rows = Array.from({ length: 50 }, (_, n) => ({
    head: headOf('s'),
    variables: { name: `user ${n}`, __proto__x: 'y', offer: large },
  }))
  await keep(rows)
  expect(await count('shared_values')).toBe(1)
  const loaded = await loadVariables(
    pool,
    rows.map(({ head }) => head.sequenceId),
  )
  for (const { head, variables } of rows) expect(loaded.get(head.sequenceId)).toEqual(variables)
  await forget(rows.slice(1).map(({ head }) => head))
  expect((await loadVariables(pool, [rows[0]!.head.sequenceId])).get(rows[0]!.head.sequenceId)!.offer).toBe(large)
  await forget([rows[0]!.head])
  expect([await count('kept_variables'), await count('shared_uses'), await count('shared_values')]).toEqual([0, 0, 0])
})

it('what one person has alone goes with that person’s sequence, though the send goes on', async () => {
  const [own, others] = [
    { head: headOf('s'), variables: { letter: `${large} of Eve` } },
    { head: headOf('s'), variables: { letter: large } },
  ]
  await keep([own, others])
  await forget([own.head])
  expect((await pool.query('SELECT value FROM shared_values')).rows).toEqual([{ value: large }])
})

it('equal texts of two sends or of two partitions are no one’s business but theirs', async () => {
  await keep([
    { head: headOf('a'), variables: { offer: large } },
    { head: headOf('b'), variables: { offer: large } },
  ])
  await keep([{ head: headOf('a'), variables: { offer: large } }], 2)
  expect(await count('shared_values')).toBe(3)
  expect((await pool.query('SELECT count(DISTINCT digest)::int AS digests FROM shared_values')).rows).toEqual([{ digests: 2 }])
})

it('a row left over from an earlier life of the sequence stops nothing: it is replaced, and goes whole', async () => {
  const head = headOf('birthday')
  await keep([{ head, variables: { text: 'last year', offer: large } }])
  await keep([{ head, variables: { text: 'this year' } }])
  expect((await loadVariables(pool, [head.sequenceId])).get(head.sequenceId)!.text).toBe('this year')
  await keep([{ head, variables: { text: 'again', offer: `${large}!` } }])
  expect((await loadVariables(pool, [head.sequenceId])).get(head.sequenceId)).toEqual({ text: 'again', offer: `${large}!` })
  await forget([head])
  expect([await count('kept_variables'), await count('shared_uses')]).toEqual([0, 0])
})

describe('a process of the version before', () => {
  it('reads small and large ones in one row, as it always did', async () => {
    const rows: { head: Head; variables: Record<string, string> }[] = [
      { head: headOf('s'), variables: { name: 'Ann', offer: large } },
      { head: headOf('s'), variables: { name: 'Bob' } },
    ]
    await keep(rows)
    const read = await pool.query('SELECT sequence_id, variables FROM sequence_variables WHERE sequence_id = ANY($1::uuid[])', [
      rows.map(({ head }) => head.sequenceId),
    ])
    expect(new Map(read.rows.map((row) => [row.sequence_id, row.variables]))).toEqual(
      new Map(rows.map(({ head, variables }) => [head.sequenceId, variables])),
    )
  })

  it('writes what this version reads, and deletes what this version wrote', async () => {
    const [old, own] = [headOf('s'), headOf('s')]
    await pool.query('INSERT INTO sequence_variables (sequence_id, variables) SELECT * FROM unnest($1::uuid[], $2::jsonb[])', [
      [old.sequenceId],
      [JSON.stringify({ offer: large })],
    ])
    await keep([{ head: own, variables: { offer: large } }])
    expect((await loadVariables(pool, [old.sequenceId])).get(old.sequenceId)).toEqual({ offer: large })
    await pool.query('DELETE FROM sequence_variables WHERE sequence_id = ANY($1::uuid[])', [[old.sequenceId, own.sequenceId]])
    expect([await count('kept_variables'), await count('shared_uses'), await count('shared_values')]).toEqual([0, 0, 0])
  })
})

describe('the sweep', () => {
  const nowhere = '00000000-0000-0000-0000-000000000000'

  async function sequence(partition: number, outcome: number | null, position: number | null): Promise<string> {
    const head = headOf('s')
    await pool.query(
      `INSERT INTO sequences (sequence_id, started_on, partition, outcome, template_version, workspace_id, send_id, user_id, template_id) VALUES ($1, $2, $3, $4, 1, 'w', 's', 'u', 't')`,
      [head.sequenceId, head.startedOn, partition, outcome],
    )
    if (position !== null) {
      await pool.query(`INSERT INTO changes (started_on, sequence_id, version, partition, position, data) VALUES ($1, $2, 1, $3, $4, '')`, [
        head.startedOn,
        head.sequenceId,
        partition,
        position,
      ])
    }
    await keep([{ head, variables: { text: 't' } }], partition)
    return head.sequenceId
  }

  it('finds what has ended and is published, in the partitions asked for, however small its steps', async () => {
    await pool.query(
      `INSERT INTO cursors (partition, cluster_id, log_position, published_position) VALUES (1, 'c', 20, 10), (2, 'c', 20, 10)`,
    )
    const ended = [await sequence(1, 0, 10), await sequence(1, 1, 3), await sequence(1, 2, null)]
    // Running, not published yet, another's.
    await Promise.all([sequence(1, null, 1), sequence(1, 0, 11), sequence(2, 0, 1)])
    const found: string[] = []
    for (let after: string | null = nowhere; after !== null; ) {
      const page = await leftovers(pool, [1], after, 2)
      found.push(...page.ended.map(({ sequenceId }) => sequenceId))
      after = page.next
    }
    expect(found.sort()).toEqual(ended.sort())
  })

  it('deletes what has no head any more, and nothing that has one', async () => {
    const head = headOf('purged')
    await keep([{ head, variables: { offer: large } }])
    const running = await sequence(1, null, 1)
    const { headless, ended } = await leftovers(pool, [1], nowhere, 100)
    expect({ headless, ended }).toEqual({ headless: [head.sequenceId], ended: [] })
    await deleteHeadless(pool, [...headless, running])
    expect((await pool.query('SELECT sequence_id FROM kept_variables')).rows).toEqual([{ sequence_id: running }])
    expect(await count('shared_values')).toBe(0)
  })
})
