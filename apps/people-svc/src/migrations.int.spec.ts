// What an earlier version has left is brought into the shape of this one.
import { topics } from '@stepcast/contracts'
import { migrate } from '@stepcast/postgres'
import { specStack, type SpecStack } from '@stepcast/testing'
import { Client } from 'pg'
import { migrations, OneSpelling1764900001000 } from './migrations'

let stack: SpecStack
let database: Client

beforeAll(async () => {
  stack = await specStack(__filename)
  database = new Client({ connectionString: stack.databaseUrl, options: '-c search_path=people_svc' })
  await database.connect()
})
afterAll(async () => {
  await database?.end()
  await stack?.stop()
})

it('tokens of APNs in other spellings become one each, the last registered stays, and Kafka is told of whom it concerns', async () => {
  const to = (count: number) =>
    migrate({ databaseUrl: stack.databaseUrl, schema: 'people_svc', applicationName: 'spec', migrations: migrations.slice(0, count) })
  await to(migrations.indexOf(OneSpelling1764900001000))
  const [ab, cd, ef] = ['ab', 'cd', 'ef'].map((pair) => pair.repeat(32)) as [string, string, string]
  let minute = 0
  const device = async (userId: string, deviceId: string, platform: string, token: string): Promise<void> => {
    await database.query(
      `INSERT INTO users (workspace_id, user_id, phone_number, opt_out_channels) VALUES ('demo', $1, '+821012345678', '{sms}') ON CONFLICT DO NOTHING`,
      [userId],
    )
    await database.query(`INSERT INTO devices VALUES ('demo', $1, $2, $3, $4, $5)`, [
      userId,
      deviceId,
      platform,
      token,
      new Date(Date.UTC(2026, 0, 1, 0, ++minute)),
    ])
  }
  await device('capitals', 'phone', 'apns', ab.toUpperCase())
  await device('twice', 'old', 'apns', `<${cd.toUpperCase()}>`)
  await device('twice', 'new', 'apns', cd)
  await device('seller', 'phone', 'apns', ef)
  await device('buyer', 'phone', 'apns', ef.toUpperCase())
  await device('fine', 'phone', 'apns', '01'.repeat(32))
  await device('opaque', 'phone', 'apns', 'sim_Anna')
  await device('android', 'phone', 'fcm', ab.toUpperCase())
  await to(migrations.length)

  const { rows } = await database.query<{ name: string; token: string }>(
    `SELECT user_id || '/' || device_id AS name, token FROM devices ORDER BY 1`,
  )
  expect(Object.fromEntries(rows.map(({ name, token }) => [name, token]))).toEqual({
    'android/phone': ab.toUpperCase(),
    'buyer/phone': ef,
    'capitals/phone': ab,
    'fine/phone': '01'.repeat(32),
    'opaque/phone': 'sim_Anna',
    'twice/new': cd,
  })
  const told = await database.query<{ topic: string; key: string; value: any }>('SELECT topic, key, value FROM outbox ORDER BY key')
  expect(told.rows.map(({ key, value }) => [key, value.devices.map(({ token }: { token: string }) => token)])).toEqual([
    ['demo/buyer', [ef]],
    ['demo/capitals', [ab]],
    ['demo/seller', []],
    ['demo/twice', [cd]],
  ])
  expect(told.rows[1]).toMatchObject({
    topic: topics.users.name,
    value: {
      workspaceId: 'demo',
      userId: 'capitals',
      phoneNumber: '+821012345678',
      kakaoPhoneNumber: null,
      locale: null,
      timezone: null,
      optOutChannels: ['sms'],
      optOutCategories: [],
      quietHoursStart: null,
      quietHoursEnd: null,
      updatedAt: expect.any(Number),
      devices: [{ deviceId: 'phone', platform: 'apns', token: ab, updatedAt: Date.UTC(2026, 0, 1, 0, 1) }],
    },
  })
})
