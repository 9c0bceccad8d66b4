// People: whose phones these are, as the product knows them, and the tokens their apps would have.
import { createSecretKey } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Phones } from './phones'
import type { Product } from './product'

/** One of the product's users. */
export interface Person {
  readonly workspaceId: string
  readonly userId: string
}

const tokenLifetimeS = 900
// Of each workspace, sequences that run; the page lists no more people than that.
const maxPeople = 100
// The page asks on every load and every few seconds.
const readForMs = 2_000
const maxAsked = 10_000
const maxAsking = 8

/** Asks the product about people. */
export class People {
  private readonly asked = new Set<string>()
  private asking = 0
  private readonly running = new Map<string, { readonly at: number; readonly userIds: Promise<string[]> }>()

  constructor(
    private readonly product: Product,
    private readonly phones: Phones,
  ) {}

  /** The people whom running sequences of the registered workspaces are about, and those whose phones hold messages. */
  async list(): Promise<Person[]> {
    const held = this.phones.list({ limit: maxPeople })
    for (const { messageId, workspaceId, userId } of held) this.identify(messageId, workspaceId, userId)
    const known = held.flatMap(({ workspaceId, userId }) => (workspaceId === null || userId === null ? [] : [{ workspaceId, userId }]))
    const started = await Promise.all(
      this.phones.registered().map(async ({ workspaceId, apiKey }) => {
        const userIds = await this.runningUsers(workspaceId, apiKey)
        return userIds.map((userId) => ({ workspaceId, userId }))
      }),
    )
    const unique = new Map([...started.flat(), ...known].map((person) => [`${person.workspaceId}/${person.userId}`, person]))
    return [...unique.values()].slice(0, maxPeople)
  }

  /** Finds out, in the background and once, whose message it is, where its carrier did not know: the sequence tells. */
  identify(messageId: string, workspaceId: string | null, userId: string | null): void {
    if (userId !== null || workspaceId === null || this.asked.has(messageId) || this.asking >= maxAsking) return
    const apiKey = this.phones.workspace(workspaceId)?.apiKey
    const sequenceId = /^([0-9a-f-]{36})\.\d+\.\w+$/.exec(messageId)?.[1]
    if (apiKey === undefined || sequenceId === undefined) return
    if (this.asked.size >= maxAsked) this.asked.delete(this.asked.keys().next().value!)
    this.asked.add(messageId)
    this.asking += 1
    void this.product
      .read(`/v1/sequences/${sequenceId}`, apiKey)
      .then((sequence) => {
        const owner = (sequence as { userId?: unknown } | null)?.userId
        if (typeof owner === 'string') this.phones.learnOwner(messageId, owner)
      })
      .finally(() => (this.asking -= 1))
  }

  /** A token of a user, good for 15 minutes; null when the workspace's signing key is not registered. */
  async token({ workspaceId, userId }: Person): Promise<{ token: string; expiresAt: string } | null> {
    const { signingKid: kid, signingSecret } = this.phones.workspace(workspaceId) ?? {}
    if (kid === undefined || signingSecret === undefined) return null
    const expiresAtS = Math.floor(Date.now() / 1_000) + tokenLifetimeS
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'HS256', kid })
      .setSubject(userId)
      .setExpirationTime(expiresAtS)
      .sign(createSecretKey(Buffer.from(signingSecret)))
    return { token, expiresAt: new Date(expiresAtS * 1_000).toISOString() }
  }

  private runningUsers(workspaceId: string, apiKey: string): Promise<string[]> {
    const before = this.running.get(workspaceId)
    if (before !== undefined && Date.now() - before.at < readForMs) return before.userIds
    const userIds = this.product.read(`/v1/sequences?outcome=running&limit=${maxPeople}`, apiKey).then((page) => {
      const items = (page as { items?: { userId?: unknown }[] } | null)?.items ?? []
      return items.flatMap(({ userId }) => (typeof userId === 'string' ? [userId] : []))
    })
    this.running.set(workspaceId, { at: Date.now(), userIds })
    return userIds
  }
}
