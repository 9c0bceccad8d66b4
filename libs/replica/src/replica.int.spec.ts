import type { Pool } from 'pg'
import { topics, userKey, type UserChanged } from '@stepcast/contracts'
import { createPool, migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { replicaOffsetsSql, templatesReplicaSql, usersReplicaSql, TemplatesReplica, UsersReplica, type UserName } from './index'

let stack: SpecStack
let pool: Pool

class Tables1 {
  readonly name = 'Tables1763800000000'
  async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
    for (const sql of [replicaOffsetsSql, templatesReplicaSql, usersReplicaSql]) await runner.query(sql)
  }
  async down(): Promise<void> {}
}

beforeAll(async () => {
  stack = await specStack(__filename)
  const settings = { databaseUrl: stack.databaseUrl, schema: 'reader_svc', applicationName: 'spec' }
  await migrate({ ...settings, migrations: [Tables1] })
  pool = createPool(settings)
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

const user = (userId: string, phoneNumber: string | null): UserChanged => ({
  workspaceId: 'w', userId, phoneNumber, kakaoPhoneNumber: null, locale: null, timezone: null, devices: [], optOutChannels: [], optOutCategories: [],
  quietHoursStart: null, quietHoursEnd: null, updatedAt: 1,
})

it('whoever was answered "written" is seen by the next question, in every process, also after a restart; the erased are gone', async () => {
  const erased: UserName[] = []
  const open = async (): Promise<UsersReplica<{ phone: string }>> => {
    const replica = new UsersReplica({
      connection: stack.connection(), pool, service: 'reader',
      keep: ({ phoneNumber }: UserChanged) => (phoneNumber === null ? null : { phone: phoneNumber }),
      onErased: async (_tx, users) => void erased.push(...users),
    })
    await replica.start()
    return replica
  }
  const producer = await stack.connection().producer()
  const put = (userId: string, phone: string | null): Promise<void> => producer.send(topics.users, [{ key: userKey('w', userId), value: user(userId, phone) }])
  const phoneOf = async (replica: UsersReplica<{ phone: string }>, userId: string): Promise<string | undefined> => {
    await replica.caughtUp()
    return (await replica.load([{ workspaceId: 'w', userId }])).get(userKey('w', userId))?.phone
  }

  const first = await open()
  for (let n = 0; n < 20; n++) {
    await put('ada', `+1${n}`)
    expect(await phoneOf(first, 'ada')).toBe(`+1${n}`)
  }
  const second = await open()
  await put('bob', '+2')
  expect(await Promise.all([phoneOf(first, 'bob'), phoneOf(second, 'bob'), phoneOf(second, 'nobody')])).toEqual(['+2', '+2', undefined])
  await first.stop()
  await put('bob', '+3')
  expect(await phoneOf(second, 'bob')).toBe('+3')
  await second.stop()
  await put('bob', '+4')
  const third = await open()
  expect(await phoneOf(third, 'bob')).toBe('+4')
  expect(await phoneOf(third, 'ada')).toBe('+119')
  // Nothing to keep leaves no row; a tombstone erases and says so.
  await put('bob', null)
  expect(await phoneOf(third, 'bob')).toBeUndefined()
  await producer.send(topics.users, [{ key: userKey('w', 'ada'), value: null }])
  expect(await phoneOf(third, 'ada')).toBeUndefined()
  expect(erased).toEqual([{ workspaceId: 'w', userId: 'ada' }])
  expect((await pool.query('SELECT FROM users')).rowCount).toBe(0)
  await third.stop()
})

it('the latest version is a question that waits; versions and archive state are kept apart', async () => {
  const replica = new TemplatesReplica({ connection: stack.connection(), pool, service: 'reader' })
  await replica.start()
  const producer = await stack.connection().producer()
  const approve = (version: number): Promise<void> => producer.send(topics.templates, [{
    key: `w/t/${version}`,
    value: {
      workspaceId: 'w', templateId: 't', changedAt: 1,
      change: { type: 'TemplateApproved', version, name: `n${version}`, category: 'Custom', variableSchema: '[]', channels: '[]', config: '{"sequenceEnabled":false,"sequence":null}' },
    },
  }])
  const state = (type: 'TemplateArchived' | 'TemplateUnarchived'): Promise<void> => producer.send(topics.templates, [{
    key: 'w/t', value: { workspaceId: 'w', templateId: 't', changedAt: 1, change: type === 'TemplateArchived' ? { type, archivedAt: 1 } : { type } },
  }])
  for (let version = 1; version <= 10; version++) {
    await approve(version)
    expect((await replica.ask({ workspaceId: 'w', templateId: 't', version: null }))!.version).toBe(version)
  }
  expect(await replica.ask({ workspaceId: 'w', templateId: 't', version: 11 })).toBeNull()
  expect(await replica.ask({ workspaceId: 'x', templateId: 't', version: null })).toBeNull()
  expect((await replica.version('w', 't', 3))!.name).toBe('n3')
  await state('TemplateArchived')
  expect((await replica.ask({ workspaceId: 'w', templateId: 't', version: null }))!.archived).toBe(true)
  await state('TemplateUnarchived')
  expect((await replica.ask({ workspaceId: 'w', templateId: 't', version: null }))!.archived).toBe(false)
  await replica.stop()
})
