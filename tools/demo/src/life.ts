// What people do with the in-app message while the demo runs: they look at their feed in time, late or never.
import { messageIdOf } from '@stepcast/contracts'
import { pause, type Api } from './api'
import { channels, stoppedAt, type Account, type Course, type Report } from './ledger'
import { actsInTime } from './people'
import type { Sandbox } from './sandbox'
import { courseIn, readStory, untilStory } from './story'

/** Where they live. */
export interface World {
  readonly api: Api
  readonly sandbox: Sandbox
  /** The window of every step but the last, milliseconds. */
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

/** A person's message on a step, counted from 1. */
export const messageOf = ({ sequenceId }: Account, step: number): string => messageIdOf(sequenceId, step, channels[step - 1]!)

/** Resolves once the person's sequence has ended. */
export const ended = ({ sequenceId }: Account, { api, signal }: World): Promise<void> =>
  untilStory(api, sequenceId, ({ state }) => state === 'ended', signal)

/** Whoever means to act within the window of a step may have got the message too late to be sure of it: then they are late. */
export function makeSure(account: Account, step: number, { windowMs }: World): void {
  const happened = account.steps[step - 1]!
  if (!actsInTime(account.person, step) || happened.windowEndsAt === null) return
  const sureUntil = happened.windowEndsAt - windowMs * shareToBeSure
  if (Date.now() + account.person.hesitationMs > sureUntil) happened.isLate = true
}

/**
 * Lives through one person's in-app message.
 * @param sent when the send was accepted
 */
export async function live(account: Account, sent: Promise<unknown>, world: World): Promise<void> {
  const { person } = account
  const { signal } = world
  const happened = account.steps[0]!
  if (person.conduct === 'away') return
  if (happened.isLate || person.conduct === 'asleep') {
    await sent
    await pause(world.windowMs, signal)
    if (happened.isLate) await ended(account, world)
    else await untilStory(world.api, account.sequenceId, ({ history }) => history.some(({ type }) => type === 'StepDeferred'), signal)
  }
  const token = person.app === 'backend' ? undefined : await world.api.tokenOf(person.userId)
  const caller = token === undefined ? { onBehalfOf: person.userId } : { token }
  const report = async (kind: Report, body?: object): Promise<void> => {
    await world.api.call('POST', `/v1/feed/${messageOf(account, 1)}/${kind}`, { ...caller, ...(body && { body }), signal })
    happened.reported.add(kind)
  }
  const look: Look = async () => {
    const path = '/v1/feed?readState=unread&limit=20'
    const { items } = await world.api.call<{ items: FeedItem[] }>('GET', path, { ...caller, signal })
    return items.find(({ messageId }) => messageId === messageOf(account, 1))
  }

  const listens = person.app === 'stream' && actsInTime(person, 1)
  const item = await (listens ? showsOnStream(account, token!, look, world) : shows(sent, look, world))
  happened.windowEndsAt = Date.parse(item.createdAt) + world.windowMs
  await report('delivered')
  if (person.conduct === 'receives') return
  if (!happened.isLate) {
    makeSure(account, 1, world)
    if (happened.isLate) await ended(account, world)
  }
  await pause(person.hesitationMs, signal)
  await report('viewed')
  happened.actedAt = Date.now()
  if (person.conduct !== 'clicks') return
  await pause(betweenViewAndClickMs, signal)
  await report('clicked', { buttonId })
}

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
        if (item?.messageId === messageOf(account, 1)) return item
      }
    } catch (error) {
      // A service that restarts breaks its streams off.
      signal.throwIfAborted()
      if (!(error instanceof Error)) throw error
    }
    await pause(lookAgainMs, signal)
  }
}

/** A click of a link is answered once the database has it; Kafka gets it within this time on a machine that keeps up. */
const relayMs = 1_000

/** A receipt was acknowledged only when the window was over: which of the two came first, only the product knows. */
const isOvertaken = (account: Account): boolean => {
  const step = stoppedAt(account)
  const { actedAt, windowEndsAt } = account.steps[(step ?? 1) - 1]!
  return step !== null && actedAt !== null && windowEndsAt !== null && actedAt + (step === 3 ? relayMs : 0) > windowEndsAt
}

/**
 * Takes the product's own story where the demo cannot know.
 * @param unknown whether any message is counted as possibly sent: then every story is read for it
 */
export async function askStories(accounts: readonly Account[], unknown: boolean, { api, signal }: World): Promise<void> {
  await Promise.all(
    accounts
      .filter((account) => unknown || isOvertaken(account))
      .map(async (account) => {
        const told: Course | null = courseIn(await readStory(api, account.sequenceId, signal))
        if (told === null) return
        const possiblySent = told.steps.some(({ answers }) => answers.has('unknown'))
        // Reached after all, a moment before the window ended: then the demo was right.
        const wasInTime = told.steps[(stoppedAt(account) ?? 0) - 1]?.end === 'stopped'
        if (possiblySent || (isOvertaken(account) && !wasInTime)) account.told = told
      }),
  )
}
