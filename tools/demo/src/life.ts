// What people do while the demo runs: they look at their feed in time, late or never, and take up their phones when a push arrives.
import { messageIdOf } from '@stepcast/contracts'
import { CallFailed, pause, type Api } from './api'
import { wasReached, type Account, type Course } from './ledger'
import { actsInTime } from './people'
import type { Arrival, Sandbox } from './sandbox'
import { courseIn, readStory } from './story'

/** Where they live. */
export interface World {
  readonly api: Api
  readonly sandbox: Sandbox
  /** The window of the in-app step, milliseconds. */
  readonly windowMs: number
  /** Ends the demo. */
  readonly signal: AbortSignal
}

interface FeedItem {
  readonly messageId: string
  readonly createdAt: string
}

/** Looks for the message in the feed. */
type Look = () => Promise<FeedItem | undefined>

/** An app asks again after a second, later after a third of the time it has waited: a product that is slow now is not made slower. */
const lookAgainMs = 1_000
const shareWaited = 0.3
/** Whoever has less than this share of the window left does not try to make it: the outcome would be up to chance. */
const shareToBeSure = 0.3
const betweenViewAndClickMs = 300

/** The button of the template. */
export const buttonId = 'track'

/**
 * Lives through one person's in-app message.
 * @param sent when the send was accepted
 */
export async function live(account: Account, sent: Promise<unknown>, world: World): Promise<void> {
  const { person } = account
  if (person.conduct === 'away') return
  if (account.isLate) {
    await sent
    await pause(world.windowMs, world.signal)
    await ended(account, world)
  }
  const token = person.app === 'backend' ? undefined : await world.api.tokenOf(person.userId)
  const caller = token === undefined ? { onBehalfOf: person.userId } : { token }
  const report = async (kind: 'delivered' | 'viewed' | 'clicked', body?: object): Promise<void> => {
    await world.api.call('POST', `/v1/feed/${inAppOf(account)}/${kind}`, { ...caller, ...(body && { body }), signal: world.signal })
    account.inApp.add(kind)
  }
  const look: Look = async () => {
    const path = '/v1/feed?readState=unread&limit=20'
    const { items } = await world.api.call<{ items: FeedItem[] }>('GET', path, { ...caller, signal: world.signal })
    return items.find(({ messageId }) => messageId === inAppOf(account))
  }

  const listens = person.app === 'stream' && !account.isLate
  const item = await (listens ? showsOnStream(account, token!, look, world) : shows(sent, look, world))
  account.windowEndsAt = Date.parse(item.createdAt) + world.windowMs
  await report('delivered')
  if (person.conduct === 'receives') return
  const sureUntil = account.windowEndsAt - world.windowMs * shareToBeSure
  if (actsInTime(person) && !account.isLate && Date.now() + person.hesitationMs > sureUntil) {
    account.isLate = true
    await ended(account, world)
  }
  await pause(person.hesitationMs, world.signal)
  await report('viewed')
  account.viewedAt = Date.now()
  if (person.conduct !== 'clicks') return
  await pause(betweenViewAndClickMs, world.signal)
  await report('clicked', { buttonId })
}

const inAppOf = ({ sequenceId }: Account): string => messageIdOf(sequenceId, 1, 'in_app')
const pushOf = ({ sequenceId }: Account): string => messageIdOf(sequenceId, 2, 'push')

/** The app asks for the feed now and then. */
async function shows(sent: Promise<unknown>, look: Look, { signal }: World): Promise<FeedItem> {
  await sent
  for (const begin = Date.now(); ; ) {
    await pause(Math.max(lookAgainMs, shareWaited * (Date.now() - begin)), signal)
    const item = await look()
    if (item !== undefined) return item
  }
}

/** The app is told. It looks once whenever it has connected, since a stream tells only what happens while it is open. */
async function showsOnStream(account: Account, token: string, look: Look, { api, signal }: World): Promise<FeedItem> {
  for (;;) {
    try {
      for await (const data of api.events('/v1/feed/stream', token, signal)) {
        const item = data === null ? await look() : (JSON.parse(data) as FeedItem)
        if (item?.messageId === inAppOf(account)) return item
      }
    } catch (error) {
      // A service that restarts breaks its streams off.
      signal.throwIfAborted()
      if (!(error instanceof Error)) throw error
    }
    await pause(lookAgainMs, signal)
  }
}

async function ended(account: Account, { api, signal }: World): Promise<void> {
  for (;;) {
    // Where a push is to come, the sequence ends once it is there.
    if ((account.person.device === 'none' || account.arrivals.length > 0) && (await hasEnded(api, account.sequenceId, signal))) return
    await pause(lookAgainMs, signal)
  }
}

/** A send that was just accepted may have no sequence yet. */
const hasEnded = (api: Api, sequenceId: string, signal: AbortSignal): Promise<boolean> =>
  readStory(api, sequenceId, signal).then(({ state }) => state === 'ended', (error: Error) => {
    if (error instanceof CallFailed && error.status === 404) return false
    throw error
  })

/** The phones of everybody: what has arrived is written into the accounts, and acted upon. */
export class Phones {
  private seen = 0
  private readonly acts: Promise<void>[] = []
  private readonly accounts: ReadonlyMap<string, Account>

  constructor(accounts: readonly Account[], private readonly world: World, private readonly since: Date) {
    this.accounts = new Map(accounts.map((account) => [pushOf(account), account]))
  }

  /** Looks at the log of arrivals. */
  async look(): Promise<void> {
    const arrivals = await this.world.sandbox.arrivals(this.since)
    // A sandbox that was restarted begins a new log.
    if (arrivals.length < this.seen) this.seen = 0
    for (const arrival of arrivals.slice(this.seen)) this.arrived(arrival)
    this.seen = arrivals.length
  }

  /** Resolves when everybody has done what they do with their push. */
  async done(): Promise<void> {
    await Promise.all(this.acts)
  }

  private arrived({ messageId, answer }: Arrival): void {
    const account = messageId === null ? undefined : this.accounts.get(messageId)
    if (account === undefined) return
    const isFirst = answer === '200' && !account.arrivals.includes('200')
    account.arrivals.push(answer)
    if (!isFirst) return
    const act = this.take(account)
    act.catch(() => undefined)
    this.acts.push(act)
  }

  private async take(account: Account): Promise<void> {
    const { person } = account
    const { sandbox, signal } = this.world
    if (person.onPush === 'nothing') return
    await sandbox.phone(pushOf(account), 'delivered')
    account.push.add('delivered')
    if (person.onPush !== 'taps') return
    await pause(person.hesitationMs, signal)
    await sandbox.phone(pushOf(account), 'clicked')
    account.push.add('clicked')
  }
}

/** Takes the product's own story where the demo cannot know: a receipt that came when the window was over, a push possibly sent. */
export async function askStories(accounts: readonly Account[], { api, signal }: World): Promise<void> {
  const possiblySent = new Set<string>()
  for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
    const page: { items: { messageId: string }[]; nextCursor: string | null } =
      await api.call('GET', `/v1/push/unknown?limit=100${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, { signal })
    for (const { messageId } of page.items) possiblySent.add(messageId)
    cursor = page.nextCursor
  }
  const overtaken = (account: Account): boolean =>
    wasReached(account) && account.viewedAt !== null && account.windowEndsAt !== null && account.viewedAt > account.windowEndsAt
  const unsure = accounts.filter((account) => possiblySent.has(pushOf(account)) || overtaken(account))
  await Promise.all(unsure.map(async (account) => {
    const told: Course | null = courseIn(await readStory(api, account.sequenceId, signal))
    // Reached after all, a moment before the window ended.
    if (told?.first !== 'stopped') account.told = told
  }))
}
