// The writes of users, in SQL: each runs in a transaction that also holds the user's whole state for Kafka.
import { randomUUID } from 'node:crypto'
import { topics, userKey, type UserChanged } from '@stepcast/contracts'
import { enqueue, type OutboxRecord } from '@stepcast/postgres'
import { currentTraceparent } from '@stepcast/service'
import type { PoolClient } from 'pg'
import { spellingsOf, type DeadToken, type DeviceToken, type Preferences, type Profile } from './person'

/** Which user. */
export interface UserName {
  readonly workspaceId: string
  readonly userId: string
}

/** Ids of the rows of the outbox that tell Kafka of a change. */
export type Told = readonly number[]

// One push goes to every device of a user; whoever registers more has lost track of the old ones.
const maxDevices = 20

/** Writes the profile; what it leaves out is cleared. Devices and preferences stay. */
export async function putProfile(tx: PoolClient, name: UserName, profile: Profile): Promise<Told> {
  await lockUsers(tx, name.workspaceId, [name.userId])
  await tx.query(
    `INSERT INTO users (workspace_id, user_id, phone_number, kakao_phone_number, locale, timezone) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (workspace_id, user_id) DO UPDATE SET
       phone_number = excluded.phone_number, kakao_phone_number = excluded.kakao_phone_number,
       locale = excluded.locale, timezone = excluded.timezone, updated_at = greatest(clock_timestamp(), users.updated_at)`,
    [name.workspaceId, name.userId, profile.phoneNumber, profile.kakaoPhoneNumber, profile.locale, profile.timezone],
  )
  return tell(tx, name.workspaceId, [name.userId])
}

/** Writes the preferences, of a user not seen before too: an opt-out may come first. */
export async function putPreferences(tx: PoolClient, name: UserName, { optOut, quietHours }: Preferences): Promise<Told> {
  await lockUsers(tx, name.workspaceId, [name.userId])
  await tx.query(
    `INSERT INTO users (workspace_id, user_id, opt_out_channels, opt_out_categories, quiet_hours_start, quiet_hours_end)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (workspace_id, user_id) DO UPDATE SET
       opt_out_channels = excluded.opt_out_channels, opt_out_categories = excluded.opt_out_categories,
       quiet_hours_start = excluded.quiet_hours_start, quiet_hours_end = excluded.quiet_hours_end, updated_at = greatest(clock_timestamp(), users.updated_at)`,
    [name.workspaceId, name.userId, optOut.channels, optOut.categories, quietHours?.start ?? null, quietHours?.end ?? null],
  )
  return tell(tx, name.workspaceId, [name.userId])
}

/**
 * Registers a device, of a user not seen before too. A token belongs to one device: it is taken from whichever had it, since a
 * phone handed over keeps its token. Beyond 20 devices the one registered longest ago is forgotten.
 */
export async function putDevice(tx: PoolClient, name: UserName, deviceId: string, device: DeviceToken): Promise<Told> {
  const { workspaceId, userId } = name
  const { platform, token } = device
  // First the token, then the users: nobody else can get the token while its owners are being locked.
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 1))', [`${workspaceId}/${platform}/${token}`])
  const spellings = spellingsOf(device)
  // Written out, so that each finds its index.
  const hasToken =
    spellings === null
      ? 'workspace_id = $1 AND platform = $2 AND token = ANY($3)'
      : `workspace_id = $1 AND platform = $2 AND platform = 'apns' AND lower(token) = ANY($3)`
  const ofToken = [workspaceId, platform, spellings ?? [token]]
  const { rows: owners } = await tx.query<{ user_id: string }>(`SELECT user_id FROM devices WHERE ${hasToken}`, ofToken)
  const users = [...new Set([userId, ...owners.map(({ user_id }) => user_id)])]
  await lockUsers(tx, workspaceId, users)
  await tx.query(`DELETE FROM devices WHERE ${hasToken} AND (user_id, device_id) <> ($4, $5)`, [...ofToken, userId, deviceId])
  await tx.query(`INSERT INTO users (workspace_id, user_id) VALUES ($1, $2) ON CONFLICT (workspace_id, user_id) DO NOTHING`, [
    workspaceId,
    userId,
  ])
  // Whole milliseconds, as the record on Kafka has them: remove-token compares.
  await tx.query(
    `INSERT INTO devices (workspace_id, user_id, device_id, platform, token, updated_at)
     VALUES ($1, $2, $3, $4, $5, date_trunc('milliseconds', clock_timestamp()))
     ON CONFLICT (workspace_id, user_id, device_id) DO UPDATE SET
       platform = excluded.platform, token = excluded.token, updated_at = excluded.updated_at`,
    [workspaceId, userId, deviceId, platform, token],
  )
  await tx.query(
    `DELETE FROM devices WHERE workspace_id = $1 AND user_id = $2 AND device_id IN (
       SELECT device_id FROM devices WHERE workspace_id = $1 AND user_id = $2 ORDER BY updated_at DESC, device_id = $3 DESC OFFSET $4)`,
    [workspaceId, userId, deviceId, maxDevices],
  )
  return touched(tx, workspaceId, users)
}

/** Removes a device; nothing happens where there is none. */
export async function removeDevice(tx: PoolClient, { workspaceId, userId }: UserName, deviceId: string): Promise<Told> {
  await lockUsers(tx, workspaceId, [userId])
  const { rowCount } = await tx.query('DELETE FROM devices WHERE workspace_id = $1 AND user_id = $2 AND device_id = $3', [
    workspaceId,
    userId,
    deviceId,
  ])
  return rowCount === 0 ? [] : touched(tx, workspaceId, [userId])
}

/** Removes a device whose token a provider called dead, unless it has another token by now or was registered again since. */
export async function removeDeadToken(tx: PoolClient, { workspaceId, userId, deviceId, token, deadSince }: DeadToken): Promise<Told> {
  await lockUsers(tx, workspaceId, [userId])
  const { rowCount } = await tx.query(
    `DELETE FROM devices
     WHERE workspace_id = $1 AND user_id = $2 AND device_id = $3 AND token = $4 AND updated_at <= to_timestamp($5 / 1000.0)`,
    [workspaceId, userId, deviceId, token, deadSince],
  )
  return rowCount === 0 ? [] : touched(tx, workspaceId, [userId])
}

/**
 * Erases a user (rule 22): the rows, what still waited for Kafka, and by a tombstone every copy of other services; running
 * sequences are cancelled. Of a user we have no row of too: sequences need none. {@link eraseAgain} follows.
 */
export async function erase(tx: PoolClient, name: UserName, requestedBy: string): Promise<Told> {
  const { workspaceId, userId } = name
  await lockUsers(tx, workspaceId, [userId])
  await tx.query('DELETE FROM users WHERE workspace_id = $1 AND user_id = $2', [workspaceId, userId])
  await tx.query('DELETE FROM outbox WHERE topic = $1 AND key = $2', [topics.users.name, userKey(workspaceId, userId)])
  const cancelId = randomUUID()
  // Due when whoever waits for the answer has had time to finish it.
  const { rows } = await tx.query<{ now: Date }>(
    `INSERT INTO erasures (cancel_id, workspace_id, user_id, requested_by, due_at)
     VALUES ($1, $2, $3, $4, clock_timestamp() + interval '5 seconds') RETURNING clock_timestamp() AS now`,
    [cancelId, workspaceId, userId, requestedBy],
  )
  const cancel: OutboxRecord<'CancelRequested'> = {
    topic: topics.controls,
    key: workspaceId,
    traceparent: currentTraceparent() ?? null,
    value: { cancelId, workspaceId, scope: 'user', id: userId, requestedBy, requestedAt: rows[0]!.now.getTime() },
  }
  return enqueue(tx, [tombstone(name), cancel] as OutboxRecord[])
}

/**
 * Ends an erasure whose cancel is in force: a second tombstone for what was commanded until then, and behind it whoever has come back
 * meanwhile. Tells nothing where another process was first.
 */
export async function eraseAgain(
  tx: PoolClient,
  { cancelId, workspaceId, userId }: UserName & { readonly cancelId: string },
): Promise<Told> {
  await lockUsers(tx, workspaceId, [userId])
  const { rowCount } = await tx.query('DELETE FROM erasures WHERE cancel_id = $1', [cancelId])
  if (rowCount === 0) return []
  const told = await enqueue(tx, [tombstone({ workspaceId, userId })])
  return [...told, ...(await tell(tx, workspaceId, [userId]))]
}

const tombstone = ({ workspaceId, userId }: UserName): OutboxRecord<'UserChanged'> => ({
  topic: topics.users,
  key: userKey(workspaceId, userId),
  value: null,
  traceparent: currentTraceparent() ?? null,
})

/**
 * One writer of a user at a time, so that Kafka hears of its changes in their order. By advisory locks, as a user about to be created
 * or just erased has no row to lock; in the order of their numbers, so that two writers never wait for each other.
 */
async function lockUsers(tx: PoolClient, workspaceId: string, userIds: readonly string[]): Promise<void> {
  await tx.query(
    `SELECT pg_advisory_xact_lock(number)
     FROM (SELECT DISTINCT hashtextextended(name, 2) AS number FROM unnest($1::text[]) AS name ORDER BY 1) AS numbers`,
    [userIds.map((userId) => userKey(workspaceId, userId))],
  )
}

async function touched(tx: PoolClient, workspaceId: string, userIds: readonly string[]): Promise<Told> {
  await tx.query(
    'UPDATE users SET updated_at = greatest(clock_timestamp(), updated_at) WHERE workspace_id = $1 AND user_id = ANY($2::text[])',
    [workspaceId, userIds],
  )
  return tell(tx, workspaceId, userIds)
}

async function tell(tx: PoolClient, workspaceId: string, userIds: readonly string[]): Promise<Told> {
  const { rows } = await tx.query<UserChanged>(
    `SELECT workspace_id AS "workspaceId", user_id AS "userId",
            phone_number AS "phoneNumber", kakao_phone_number AS "kakaoPhoneNumber", locale, timezone,
            COALESCE((SELECT json_agg(json_build_object(
                        'deviceId', device_id, 'platform', platform, 'token', token,
                        'updatedAt', floor(extract(epoch FROM d.updated_at) * 1000)::bigint) ORDER BY d.updated_at, device_id)
                      FROM devices d WHERE d.workspace_id = u.workspace_id AND d.user_id = u.user_id), '[]') AS devices,
            opt_out_channels AS "optOutChannels", opt_out_categories AS "optOutCategories",
            quiet_hours_start AS "quietHoursStart", quiet_hours_end AS "quietHoursEnd",
            floor(extract(epoch FROM updated_at) * 1000)::bigint AS "updatedAt"
     FROM users u WHERE workspace_id = $1 AND user_id = ANY($2::text[]) ORDER BY user_id`,
    [workspaceId, userIds],
  )
  const traceparent = currentTraceparent() ?? null
  return enqueue(
    tx,
    rows.map(
      (value): OutboxRecord<'UserChanged'> => ({
        topic: topics.users,
        key: userKey(workspaceId, value.userId),
        value,
        traceparent,
      }),
    ),
  )
}
