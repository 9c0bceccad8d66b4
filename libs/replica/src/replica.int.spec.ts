import type { Pool } from 'pg'
import { topics, userKey, type UserChanged, type WorkspaceChanged } from '@stepcast/contracts'
import { createPool, migrate } from '@stepcast/postgres'
import { eventually, readDeadLetters, specStack, type SpecStack } from '@stepcast/testing'
import {
  replicaOffsetsSql,
  templatesReplicaSql,
  usersReplicaSql,
  workspacesReplicaSql,
  TemplatesReplica,
  UsersReplica,
  WorkspacesReplica,
  type UserName,
} from './index'

let stack: SpecStack
let pool: Pool

class Tables1 {
  readonly name = 'Tables1763800000000'
  async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
    for (const sql of [replicaOffsetsSql, templatesReplicaSql, usersReplicaSql, workspacesReplicaSql]) await runner.query(sql)
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

const user = (userId: string, phoneNumber: string | null, updatedAt = 1): UserChanged => ({
  workspaceId: 'w',
  userId,
  phoneNumber,
  kakaoPhoneNumber: null,
  locale: null,
  timezone: null,
  devices: [],
  optOutChannels: [],
  optOutCategories: [],
  quietHoursStart: null,
  quietHoursEnd: null,
  updatedAt,
})

it('whoever was answered "written" is seen by the next question, in every process, also after a restart; the erased are gone', async () => {
  const erased: UserName[] = []
  const open = async (): Promise<UsersReplica<{ phone: string }>> => {
    const replica = new UsersReplica({
      connection: stack.connection(),
      pool,
      service: 'reader',
      keep: ({ phoneNumber }: UserChanged) => (phoneNumber === null ? null : { phone: phoneNumber }),
      onErased: async (_tx, users) => void erased.push(...users),
    })
    await replica.start()
    return replica
  }
  const producer = await stack.connection().producer()
  const put = (userId: string, phone: string | null): Promise<void> =>
    producer.send(topics.users, [{ key: userKey('w', userId), value: user(userId, phone) }])
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
  // Back at once, so that both are read together: they are erased no less.
  await producer.send(
    topics.users,
    ['+8', null, '+9'].map((phone) => ({ key: userKey('w', 'ada'), value: phone === null ? null : user('ada', phone) })),
  )
  expect(await phoneOf(third, 'ada')).toBe('+9')
  expect(erased).toHaveLength(2)
  await third.stop()
})

it('the latest version is a question that waits; versions and archive state are kept apart', async () => {
  const replica = new TemplatesReplica({ connection: stack.connection(), pool, service: 'reader' })
  await replica.start()
  const producer = await stack.connection().producer()
  const approve = (version: number): Promise<void> =>
    producer.send(topics.templates, [
      {
        key: `w/t/${version}`,
        value: {
          workspaceId: 'w',
          templateId: 't',
          changedAt: 1,
          change: {
            type: 'TemplateApproved',
            version,
            name: `n${version}`,
            category: 'Custom',
            variableSchema: '[]',
            channels: '[]',
            config: '{"sequenceEnabled":false,"sequence":null}',
          },
        },
      },
    ])
  const state = (type: 'TemplateArchived' | 'TemplateUnarchived'): Promise<void> =>
    producer.send(topics.templates, [
      {
        key: 'w/t',
        value: {
          workspaceId: 'w',
          templateId: 't',
          changedAt: 1,
          change: type === 'TemplateArchived' ? { type, archivedAt: 1 } : { type },
        },
      },
    ])
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

it('a process that is killed or stands still keeps no other of its service waiting', async () => {
  const open = async (): Promise<TemplatesReplica> => {
    const replica = new TemplatesReplica({ connection: stack.connection(), pool, service: 'reader' })
    await replica.start()
    await replica.caughtUp()
    return replica
  }
  const [dying, living] = [await open(), await open()]
  // As a stopped process: it takes nothing any more, and is still a member of whatever group it was in.
  const { follower } = dying as unknown as { follower: { take: () => Promise<void> } }
  let letGo = (): void => {}
  const standing = new Promise<void>((resolve) => (letGo = resolve))
  follower.take = () => standing
  const producer = await stack.connection().producer()
  for (let n = 0; n < 5; n++) {
    await producer.send(topics.templates, [
      { key: 'w/z', value: { workspaceId: 'w', templateId: 'z', changedAt: n, change: { type: 'TemplateArchived', archivedAt: n } } },
    ])
    const before = Date.now()
    await living.caughtUp()
    expect(Date.now() - before).toBeLessThan(3_000)
  }
  letGo()
  await Promise.all([dying.stop(), living.stop()])
})

it('its lag is told from the offsets stored with the rows', async () => {
  const replica = new TemplatesReplica({ connection: stack.connection(), pool, service: 'reader' })
  await replica.start()
  await replica.caughtUp()
  const ends = await stack.connection().endOffsets(topics.templates.name)
  expect(replica.followed).toMatchObject({ groupId: 'reader.replica.stepcast.templates.v1', topic: topics.templates.name })
  await eventually(async () => (await replica.followed.offsets()).get(0) === ends.get(0))
  await replica.stop()
})

const workspace = (workspaceId: string, settings: string, updatedAt = 1): { key: string; value: WorkspaceChanged } => ({
  key: workspaceId,
  value: { workspaceId, settings, updatedAt },
})

it('settings that are no JSON, no object or hold NUL are dead letters; their neighbours are followed', async () => {
  const replica = new WorkspacesReplica({ connection: stack.connection(), pool, service: 'reader' })
  await replica.start()
  const bad = ['{', '"text"', 'null', '[]', '{"name":"a\\u0000b"}', '{"name":"\\ud800"}', '{"a\\u0000":1}'].map((settings, n) =>
    workspace(`bad${n}`, settings),
  )
  const producer = await stack.connection().producer()
  await producer.send(topics.workspaces, [
    workspace('before', '{"name":"b"}'),
    ...bad,
    workspace('nul\0', '{}'),
    workspace('after', '{"name":"a"}'),
  ])
  await replica.caughtUp()
  const names = ['before', 'after', ...bad.map(({ key }) => key)]
  const found = await replica.load(names)
  expect([...found].map(([id, { name }]) => [id, name]).sort()).toEqual([
    ['after', 'a'],
    ['before', 'b'],
  ])
  const letters = (await readDeadLetters(stack.connection())).filter(({ headers }) => headers.topic === topics.workspaces.name)
  expect(letters.map(({ headers }) => headers.reason)).toEqual(Array(8).fill('invalid_workspace'))
  expect(letters.every(({ headers }) => /must/.test(headers.detail!))).toBe(true)
  await replica.stop()
})

it('users and templates that the database cannot hold are dead letters; their neighbours are followed', async () => {
  const users = new UsersReplica({
    connection: stack.connection(),
    pool,
    service: 'reader',
    keep: ({ phoneNumber }) => ({ phone: phoneNumber }),
  })
  const templates = new TemplatesReplica({ connection: stack.connection(), pool, service: 'reader' })
  await Promise.all([users.start(), templates.start()])
  const producer = await stack.connection().producer()
  await producer.send(topics.users, [
    { key: 'w/one', value: user('one', '+1'), partition: 0 },
    { key: 'w/nul', value: user('nul', '+1\0'), partition: 0 },
    { key: 'w/late', value: user('late', '+1', 9e15), partition: 0 },
    { key: 'w/two', value: user('two', '+2'), partition: 0 },
  ])
  const approved = (version: number, channels: string) => ({
    key: `w/bad/${version}`,
    value: {
      workspaceId: 'w',
      templateId: 'bad',
      changedAt: 1,
      change: { type: 'TemplateApproved' as const, version, name: 'n', category: 'c', variableSchema: '[]', channels, config: '{}' },
    },
  })
  await producer.send(topics.templates, [approved(1, '[]'), approved(2, '[{'), approved(0, '[]'), approved(3, '[]')])
  await Promise.all([users.caughtUp(), templates.caughtUp()])
  expect([...(await users.load(['one', 'nul', 'late', 'two'].map((userId) => ({ workspaceId: 'w', userId })))).keys()].sort()).toEqual([
    'w/one',
    'w/two',
  ])
  expect(
    (await pool.query("SELECT version FROM template_versions WHERE template_id = 'bad' ORDER BY 1")).rows.map(
      ({ version }) => version as number,
    ),
  ).toEqual([1, 3])
  const reasons = (await readDeadLetters(stack.connection())).map(({ headers }) => headers.reason)
  expect([reasons.filter((one) => one === 'invalid_user').length, reasons.filter((one) => one === 'invalid_template').length]).toEqual([
    2, 2,
  ])
  await Promise.all([users.stop(), templates.stop()])
})

it('an older record that comes last changes nothing, together with the newer or later; rows of an earlier version give way', async () => {
  const users = new UsersReplica({
    connection: stack.connection(),
    pool,
    service: 'reader',
    keep: ({ phoneNumber }) => (phoneNumber === null ? null : { phone: phoneNumber }),
  })
  const workspaces = new WorkspacesReplica({ connection: stack.connection(), pool, service: 'reader' })
  await Promise.all([users.start(), workspaces.start()])
  const producer = await stack.connection().producer()
  const put = async (userId: string, ...of: (readonly [string | null, number] | null)[]): Promise<string | null | undefined> => {
    await producer.send(
      topics.users,
      of.map((one) => ({ key: userKey('w', userId), value: one === null ? null : user(userId, ...one) })),
    )
    await users.caughtUp()
    return (await users.load([{ workspaceId: 'w', userId }])).get(userKey('w', userId))?.phone
  }
  expect(await put('cy', ['+20', 20], ['+10', 10])).toBe('+20')
  expect(await put('cy', ['+15', 15])).toBe('+20')
  expect(await put('cy', [null, 15])).toBe('+20')
  expect(await put('cy', ['+20b', 20])).toBe('+20b')
  expect(await put('cy', [null, 21])).toBeUndefined()
  expect(await put('dot', ['+5', 5], null)).toBeUndefined()
  // Erased, then made again: whoever comes after the erasure is somebody new.
  expect(await put('dot', ['+6', 6])).toBe('+6')
  expect(await put('dot', null, ['+7', 7])).toBe('+7')
  expect(await put('dot', null, ['+3', 3])).toBe('+3')
  await pool.query(`INSERT INTO users VALUES ('w', 'old', '{"phone":"+0"}')`)
  expect(await put('old', ['+1', 1])).toBe('+1')

  const name = async (): Promise<string | undefined> => {
    await workspaces.caughtUp()
    return (await workspaces.load(['v'])).get('v')?.name
  }
  await producer.send(topics.workspaces, [workspace('v', '{"name":"new"}', 20), workspace('v', '{"name":"old"}', 10)])
  expect(await name()).toBe('new')
  await producer.send(topics.workspaces, [workspace('v', '{"name":"old"}', 19)])
  expect(await name()).toBe('new')
  await producer.send(topics.workspaces, [workspace('v', '{"name":"newer"}', 20)])
  expect(await name()).toBe('newer')
  await Promise.all([users.stop(), workspaces.stop()])
})
