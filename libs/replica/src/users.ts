// Users as a service needs them: each keeps only its part of what is known of a person.
import type { PoolClient } from 'pg'
import {
  idsProblem,
  instantProblem,
  parseUserKey,
  textsProblem,
  topics,
  userKey,
  type Refusal,
  type UserChanged,
} from '@stepcast/contracts'
import type { IncomingRecord } from '@stepcast/kafka'
import { texts, type Queryable } from '@stepcast/postgres'
import { Follower, type Followed, type Offsets, type ReplicaOptions } from './follow'
import { isNewer, updatedAtField } from './updatedAt'

/** The table of the replica; put it into a migration of the service. */
export const usersReplicaSql = `
CREATE TABLE users (
  workspace_id text NOT NULL,
  user_id text NOT NULL,
  data jsonb NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
)`

/** A user's name. */
export interface UserName {
  readonly workspaceId: string
  readonly userId: string
}

/** What the replica keeps of a user. */
export interface UsersReplicaOptions<Kept> extends ReplicaOptions {
  /** The part this service needs, null for nothing; personal data that it does not need never reaches its tables. */
  readonly keep: (user: UserChanged) => Kept | null
  /**
   * Called for users of whom something was kept that is another thing now, or nothing any more, in the transaction that writes it; not for those
   * erased. Absent: nobody looks.
   */
  readonly onReplaced?: (tx: PoolClient, users: readonly UserName[]) => Promise<void>
  /** Called for users erased (rule 22), in the transaction that removes their rows. */
  readonly onErased?: (tx: PoolClient, users: readonly UserName[]) => Promise<void>
}

const updatedAt = (row: 'users' | 'excluded'): string => `coalesce((${row}.data->>'${updatedAtField}')::bigint, 0)`

function userProblem(user: UserChanged): Refusal | null {
  const ids = idsProblem({ workspaceId: user.workspaceId, userId: user.userId })
  if (ids !== null) return { reason: 'invalid_user', detail: ids }
  const detail = textsProblem(user) ?? instantProblem(user.updatedAt)
  return detail === null ? null : { reason: 'invalid_user', detail: `a field ${detail}` }
}

/** Users, read from the service's own table. */
export class UsersReplica<Kept> {
  private readonly follower: Follower<'UserChanged'>

  constructor(private readonly options: UsersReplicaOptions<Kept>) {
    this.follower = new Follower({
      ...options,
      topic: topics.users,
      problem: userProblem,
      newer: isNewer,
      apply: (tx, records, gone) => this.apply(tx, records, gone),
    })
  }

  start(): Promise<void> {
    return this.follower.start()
  }

  stop(): Promise<void> {
    return this.follower.stop()
  }

  /** See {@link Follower.followed}. */
  get followed(): Followed {
    return this.follower.followed
  }

  /** See {@link Follower.caughtUp}. */
  caughtUp(): Promise<Offsets> {
    return this.follower.caughtUp()
  }

  /** What is kept of these users, by {@link userKey}; those unknown are missing. At most a few thousand names a call. */
  async load(users: readonly UserName[], on: Queryable = this.options.pool): Promise<ReadonlyMap<string, Kept>> {
    if (users.length === 0) return new Map()
    // Named, so that PostgreSQL plans it once a connection: dispatchers ask before every few calls.
    const { rows } = await on.query<{ workspace_id: string; user_id: string; data: Kept }>({
      name: 'load-users',
      text: `SELECT workspace_id, user_id, data FROM users
             JOIN unnest($1::text[], $2::text[]) AS asked (w, u) ON workspace_id = w AND user_id = u`,
      values: [texts(users.map(({ workspaceId }) => workspaceId)), texts(users.map(({ userId }) => userId))],
    })
    return new Map(rows.map((row) => [userKey(row.workspace_id, row.user_id), row.data]))
  }

  private async apply(tx: PoolClient, records: readonly IncomingRecord<'UserChanged'>[], gone: ReadonlySet<string>): Promise<void> {
    const kept = records.flatMap(({ value }) => {
      const data = value && this.options.keep(value)
      return data === null ? [] : [{ ...value!, data }]
    })
    const nothing = records.flatMap(({ value }) => (value && this.options.keep(value) === null ? [value] : []))
    const erased = [...gone].map(parseUserKey).filter((name) => name !== null)
    const replaced = await this.replaced(
      tx,
      [...kept, ...nothing.map((user) => ({ ...user, data: null }))].filter(
        ({ workspaceId, userId }) => !gone.has(userKey(workspaceId, userId)),
      ),
    )
    // First: who was erased and has come back since is kept as they are now.
    const leaving = [
      ...nothing.map(({ workspaceId, userId, updatedAt: at }) => ({ workspaceId, userId, at })),
      ...erased.map((name) => ({ ...name, at: null })),
    ]
    if (leaving.length > 0) {
      await tx.query(
        `DELETE FROM users USING unnest($1::text[], $2::text[], $3::bigint[]) AS gone (w, u, at)
         WHERE workspace_id = w AND user_id = u AND (at IS NULL OR ${updatedAt('users')} <= at)`,
        [leaving.map(({ workspaceId }) => workspaceId), leaving.map(({ userId }) => userId), leaving.map(({ at }) => at)],
      )
    }
    if (kept.length > 0) {
      await tx.query(
        `INSERT INTO users (workspace_id, user_id, data) SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
         ON CONFLICT (workspace_id, user_id) DO UPDATE SET data = excluded.data WHERE ${updatedAt('users')} <= ${updatedAt('excluded')}`,
        [
          kept.map(({ workspaceId }) => workspaceId),
          kept.map(({ userId }) => userId),
          kept.map(({ data, updatedAt: at }) => JSON.stringify({ ...data, [updatedAtField]: at })),
        ],
      )
    }
    if (erased.length > 0) await this.options.onErased?.(tx, erased)
    if (replaced.length > 0) await this.options.onReplaced?.(tx, replaced)
  }

  /** Those of whom something else is kept so far. */
  private async replaced(tx: PoolClient, told: readonly (UserName & { readonly data: Kept | null })[]): Promise<readonly UserName[]> {
    if (this.options.onReplaced === undefined || told.length === 0) return []
    const { rows } = await tx.query<{ workspace_id: string; user_id: string }>(
      `SELECT workspace_id, user_id FROM users JOIN unnest($1::text[], $2::text[], $3::jsonb[]) AS told (w, u, d) ON workspace_id = w AND user_id = u
       WHERE data - '${updatedAtField}' IS DISTINCT FROM d`,
      [
        told.map(({ workspaceId }) => workspaceId),
        told.map(({ userId }) => userId),
        told.map(({ data }) => (data === null ? null : JSON.stringify(data))),
      ],
    )
    return rows.map((row) => ({ workspaceId: row.workspace_id, userId: row.user_id }))
  }
}
