// The calls on users: reads by TypeORM, writes answered once Kafka has acknowledged the user's new state.
import { createHmac, type KeyObject } from 'node:crypto'
import type { OutboxRelay } from '@stepcast/postgres'
import { fingerprintOf, idempotent, keyset, notFound, pageOf, unavailable, type Caller, type Page } from '@stepcast/service'
import type { Pool, PoolClient } from 'pg'
import type { DataSource } from 'typeorm'
import { erase, type Told, type UserName } from './changes'
import type { Erasures } from './erasures'
import type { UnsubscribedOf } from './unsubscribed'
import { Device, User } from './user.entity'
import {
  deviceView,
  listedUser,
  preferencesView,
  userView,
  type DeviceView,
  type ListedUser,
  type PreferencesView,
  type UserView,
} from './view'

/** How one write is made repeatable: the route's stable name, the caller's key and what was asked. */
export interface Write {
  readonly caller: Caller
  readonly route: string
  readonly key: string | null
  readonly asked: unknown
}

// contracts.md: every write of users answers within 5 s, or says 503.
const kafkaTimeoutMs = 5_000

/** The keyset of the list: a userId. */
export const userOrder = keyset('users', 'text')

/** The first text, code point by code point, that is behind all with this prefix; null: there is none. */
function endOfPrefix(prefix: string): string | null {
  const points = [...prefix]
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const next = last.codePointAt(0)! + 1
    // Halves of surrogate pairs are no characters.
    if (next <= 0x10ffff) return points.join('') + String.fromCodePoint(next === 0xd800 ? 0xe000 : next)
  }
  return null
}

export class Users {
  constructor(
    private readonly database: DataSource,
    private readonly pool: Pool,
    private readonly relay: OutboxRelay,
    private readonly erasures: Erasures,
    private readonly fingerprintKey: KeyObject,
    private readonly unsubscribedOf: UnsubscribedOf,
  ) {}

  /**
   * Does a change and waits until Kafka has it. A repeated key does nothing again; kept with it are only the outbox's numbers, so that
   * no personal data outlives an erasure there, and the answer is read from the tables. The fingerprint of what was asked is keyed: whoever
   * finds a plain one in a dump could try all phone numbers.
   * @throws Problem 503 after 5 s: the change is kept and published later.
   */
  async change({ caller, route, key, asked }: Write, run: (tx: PoolClient) => Promise<Told>): Promise<{ changed: boolean }> {
    const fingerprint = createHmac('sha256', this.fingerprintKey).update(fingerprintOf(asked)).digest('hex')
    const told = await idempotent(this.pool, caller, route, key, fingerprint, run)
    if (told.length > 0 && !(await this.relay.published(told, { timeoutMs: kafkaTimeoutMs }))) {
      throw unavailable('The change is kept, but Kafka has not confirmed it within 5 s: it will be published as soon as Kafka is back.')
    }
    return { changed: told.length > 0 }
  }

  /**
   * Erases a user and waits until Kafka has it; and for 2 s until nothing of theirs that was under way is commanded any more, so that
   * whoever comes back after the answer is met by none of it. Where the orchestrator takes longer, the rest of the erasure follows.
   * @throws Problem 503 as {@link change}
   */
  async erase(asked: Write, name: UserName, requestedBy: string): Promise<void> {
    await this.change(asked, (tx) => erase(tx, name, requestedBy))
    await this.erasures.finishInTime(name)
  }

  /** Users by userId, those whose ids begin with the prefix; without their devices. */
  async list(
    workspaceId: string,
    prefix: string,
    asked: Page<typeof userOrder.shape>,
  ): Promise<{ items: ListedUser[]; nextCursor: string | null }> {
    // Code point by code point, as ids are compared everywhere; the database's own order is of some language.
    const query = this.database
      .getRepository(User)
      .createQueryBuilder('u')
      .where('u.workspaceId = :workspaceId', { workspaceId })
      .orderBy('u.userId COLLATE "C"')
      .limit(asked.limit + 1)
    if (prefix !== '') query.andWhere('u.userId COLLATE "C" >= :prefix AND starts_with(u.userId, :prefix)', { prefix })
    if (asked.after) query.andWhere('u.userId COLLATE "C" > :after', { after: asked.after[0] })
    const end = endOfPrefix(prefix)
    if (end !== null) query.andWhere('u.userId COLLATE "C" < :end', { end })
    return pageOf(await query.getMany(), asked, userOrder, ({ userId }) => [userId], listedUser)
  }

  async read(workspaceId: string, userId: string): Promise<UserView> {
    const devices = this.database
      .getRepository(Device)
      .find({ where: { workspaceId, userId }, order: { updatedAt: 'ASC', deviceId: 'ASC' } })
    const user = await this.row(workspaceId, userId)
    const { phoneNumber } = user
    return userView(user, await devices, phoneNumber === null ? [] : await this.unsubscribedOf(workspaceId, phoneNumber))
  }

  async device(workspaceId: string, userId: string, deviceId: string): Promise<DeviceView> {
    const device = await this.database.getRepository(Device).findOneBy({ workspaceId, userId, deviceId })
    if (device === null) throw notFound('The user has no such device.')
    return deviceView(device)
  }

  async preferences(workspaceId: string, userId: string): Promise<PreferencesView> {
    return preferencesView(await this.row(workspaceId, userId))
  }

  private async row(workspaceId: string, userId: string): Promise<User> {
    const user = await this.database.getRepository(User).findOneBy({ workspaceId, userId })
    if (user === null) throw notFound('There is no such user in this workspace.')
    return user
  }
}
