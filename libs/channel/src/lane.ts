// One provider's lane: what is due is claimed, fairly across workspaces, checked once more, and sent.
import type { Pool } from 'pg'
import { userKey, type ChannelType } from '@stepcast/contracts'
import type { Log } from '@stepcast/kafka'
import type { TemplatesReplica, UsersReplica } from '@stepcast/replica'
import { compose, oversize, type ContentOf, type TemplateVersion } from '@stepcast/template'
import type { Accounts, NoAccount } from './accounts'
import { Breakers } from './breakers'
import { begin, claim, dueWorkspaces, targetKey, type Claimed, type DueWorkspace } from './ledger'
import type { Address, Recipient } from './message'
import { Places, sharesOf, type Share } from './places'
import type { Outcome, Permit, Provider, ProviderKind, ProviderMessage } from './provider'
import { TimeLimits } from './timeLimits'
import type { TokenBuckets } from './tokenBucket'
import type { Fact } from './transition'
import { keyOf, type Unsubscribes } from './unsubscribes'
import { sleep, Wake } from './wake'

/** What a lane is made of. */
export interface LaneOptions<C extends ChannelType> {
  readonly channel: C
  readonly kind: ProviderKind<C>
  readonly accounts: Accounts<C>
  readonly pool: Pool
  readonly log: Log
  readonly users: UsersReplica<Recipient>
  readonly templates: TemplatesReplica
  /** Each workspace's, shared by the lanes. */
  readonly buckets: TokenBuckets
  /** Calls a second of all workspaces together. */
  readonly ratePerProvider: number
  /** Calls under way at a time. A crash leaves at most as many outcomes unknown. */
  readonly concurrency: number
  /** An attempt is given up after this; the lease is longer. */
  readonly timeoutMs: number
  readonly leaseMs: number
  readonly noAddress: string
  /** Absent: messages are sent as they are rendered. */
  readonly prepare: Prepare<C> | undefined
  /** Who has told a sender to stop; absent: nobody can. */
  readonly unsubscribes?: Pick<Unsubscribes, 'among'> | undefined
  readonly settle: (facts: readonly Fact[]) => void
  readonly onAttempt: (provider: string, outcome: Outcome['kind'], seconds: number) => void
}

/** What a channel does to messages that are about to be sent: answers them in the same order. Called again when an attempt is repeated. */
export type Prepare<C extends ChannelType> = (messages: readonly ProviderMessage<C>[]) => Promise<readonly ProviderMessage<C>[]>

/** A lane as metrics see it. */
export interface LaneStanding {
  readonly provider: string
  /** Calls claimed or under way. */
  readonly underWay: number
  /** Workspaces held back. */
  readonly openBreakers: number
}

/** One target ready to be sent to. */
export interface Ready<C extends ChannelType> {
  readonly claimed: Claimed
  readonly message: ProviderMessage<C>
  readonly provider: Provider<C>
}

/** A target that needs no call: what to write down of it. */
export type NotSent = Extract<Fact, { kind: 'skipped' | 'unsendable' }>

// Finds what another process left behind; everything else wakes the lane.
const maxSleepMs = 5_000
const retryAfterMs = 500
// While half of the places are taken the next claim waits up to this long, so that it takes many at once instead of few: each claim
// costs six statements and a question to Kafka, however many it takes.
const gatherMs = 20
const gatherStepMs = 5
// What is due but held by another process's claim is asked for again, not in a tight loop.
const contendedMs = 50

/** Runs until stopped. */
export class Lane<C extends ChannelType> {
  private readonly wake = new Wake()
  private readonly breakers = new Breakers()
  private readonly places: Places
  private readonly attempts = new Set<Promise<void>>()
  /** Workspaces with targets due, as of the last look: whatever is new of theirs waits its turn behind them. */
  private waiting: ReadonlySet<string> = new Set()
  /** Somebody said that there may be more due than that. */
  private hasToLook = true
  private stopping = false
  private readonly limits = new TimeLimits()
  private loop: Promise<void> = Promise.resolve()

  constructor(private readonly options: LaneOptions<C>) {
    const { concurrency, ratePerProvider, buckets } = options
    this.places = new Places({ concurrency, ratePerSecond: ratePerProvider, buckets, breakers: this.breakers })
  }

  /** Its provider. */
  get name(): string {
    return this.options.kind.name
  }

  /** What is under way and where breakers are open, for metrics. */
  get standing(): LaneStanding {
    return { provider: this.name, underWay: this.places.underWay, openBreakers: this.breakers.open }
  }

  start(): void {
    this.loop = this.run()
  }

  /** There may be something to claim now. */
  kick(): void {
    this.hasToLook = true
    this.wake.now()
  }

  /** Begins nothing more; lets what is under way end within `graceMs`, then gives it up as unknown. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true
    this.wake.now()
    await this.loop
    const timer = setTimeout(() => this.limits.cut(), graceMs)
    // A claim that was beginning ends by making calls.
    while (this.attempts.size > 0) await Promise.all(this.attempts)
    clearTimeout(timer)
  }

  // ── New targets that need no claim: see HandOver ─────────────────────────────────────────────────────────────────────────

  /** Whether so many places are free that a batch for them is worth its statements. */
  get hasRoom(): boolean {
    return !this.hasToLook && this.places.isWorthwhile(1 / 4)
  }

  /** How many new targets of each workspace may begin now, given how many there are; those of workspaces that wait may not. */
  offer(wanted: ReadonlyMap<string, number>): readonly Share[] {
    if (this.stopping || this.hasToLook) return []
    // Those who wait are dealt their share, and keep it for the next claim.
    const all = [...new Set([...wanted.keys(), ...this.waiting])].sort()
    return this.places
      .deal(all, (workspaceId) => wanted.get(workspaceId) ?? Infinity)
      .filter(({ workspaceId }) => !this.waiting.has(workspaceId))
  }

  /** Takes places for targets that were offered some. */
  take(claimed: readonly Claimed[]): void {
    this.places.take(sharesOf(claimed.map(({ workspaceId }) => workspaceId)))
  }

  /** Gives the place of a target back that is not sent to. */
  release({ workspaceId }: Claimed): void {
    this.places.release(workspaceId)
    if (this.waiting.size > 0 || this.hasToLook) this.wake.now()
  }

  /** Sends to targets that have places and are stored as being attempted since `leaseFrom` (of `performance.now()`). */
  send(ready: readonly Ready<C>[], leaseFrom: number): void {
    if (ready.length > 0) this.track(this.sendAll(ready, leaseFrom))
  }

  /** What is judged right before sending: the user's wishes, the address and the content as of now. */
  async judge(
    claimed: readonly Claimed[],
    recipients: ReadonlyMap<string, Recipient>,
  ): Promise<{ readonly ready: readonly Ready<C>[]; readonly notSent: readonly NotSent[] }> {
    const { accounts, kind } = this.options
    const [opened, templates] = await Promise.all([
      accounts.open(kind.name, new Set(claimed.map(({ workspaceId }) => workspaceId))),
      this.templatesOf(claimed),
    ])
    const able: Ready<C>[] = []
    const notSent: NotSent[] = []
    for (const one of claimed) {
      const recipient = recipients.get(userKey(one.workspaceId, one.userId))
      const verdict = this.verdict(one, recipient, templates.get(templateKey(one))!, opened.get(one.workspaceId)!)
      if ('message' in verdict) able.push({ claimed: one, ...verdict })
      else notSent.push({ ...verdict, messageId: one.messageId, target: one.target, fence: one.fence })
    }
    const unsubscribed = await this.unsubscribedAmong(able)
    for (const { claimed: one } of able.filter((each) => unsubscribed.has(each)))
      notSent.push({ kind: 'skipped', reason: 'unsubscribed', messageId: one.messageId, target: one.target, fence: one.fence })
    return { ready: able.filter((each) => !unsubscribed.has(each)), notSent }
  }

  private async unsubscribedAmong(able: readonly Ready<C>[]): Promise<ReadonlySet<Ready<C>>> {
    const { unsubscribes } = this.options
    if (unsubscribes === undefined) return new Set()
    const asked = able.flatMap((one) => {
      const {
        message: { workspaceId, address },
        provider: { sender },
      } = one
      return sender === undefined ? [] : [{ one, key: { workspaceId, address, sender } }]
    })
    const found = await unsubscribes.among(asked.map(({ key }) => key))
    return new Set(asked.filter(({ key }) => found.has(keyOf(key))).map(({ one }) => one))
  }

  // ── Claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        await this.wake.sleep(await this.pass())
      } catch (error) {
        this.options.log.warn({ provider: this.name, error: (error as Error).message }, 'could not claim, trying again')
        await sleep(retryAfterMs)
      }
    }
  }

  /** Claims once; answers how long to sleep. */
  private async pass(): Promise<number> {
    const { pool } = this.options
    if (this.places.free < 1) {
      // Whatever is due comes first when a place is free: see `offer`.
      this.hasToLook = true
      return maxSleepMs
    }
    this.hasToLook = false
    const due = await dueWorkspaces(pool, this.name)
    const ready = due.filter(({ dueInMs }) => dueInMs <= 0).map(({ workspaceId }) => workspaceId)
    this.waiting = new Set(ready)
    // In the order of their names, as the database gives them.
    const shares = this.places.deal(ready)
    if (shares.length === 0) return this.idleMs(due)
    const claimed = await this.claim(shares)
    if (claimed.length === 0) return contendedMs
    this.track(this.attempt(claimed))
    for (let waitedMs = 0; waitedMs < gatherMs; waitedMs += gatherStepMs) {
      await sleep(gatherStepMs)
      if (this.places.isWorthwhile(1 / 2)) break
    }
    return 0
  }

  /** Claims what has a share; places nobody needs are free again. */
  private async claim(shares: readonly Share[]): Promise<readonly Claimed[]> {
    const { pool, leaseMs } = this.options
    this.places.take(shares)
    let claimed: readonly Claimed[] = []
    try {
      claimed = await claim(pool, this.name, shares, leaseMs)
      return claimed
    } finally {
      const used = new Map(sharesOf(claimed.map(({ workspaceId }) => workspaceId)).map(({ workspaceId, take }) => [workspaceId, take]))
      this.places.giveBack(shares.map(({ workspaceId, take }) => ({ workspaceId, take: take - (used.get(workspaceId) ?? 0) })))
    }
  }

  private idleMs(due: readonly DueWorkspace[]): number {
    const waits = due.map(({ workspaceId, dueInMs }) => (dueInMs > 0 ? dueInMs : Math.max(contendedMs, this.places.waitMs(workspaceId))))
    return Math.min(maxSleepMs, ...waits.map(Math.ceil))
  }

  private async attempt(claimed: readonly Claimed[]): Promise<void> {
    const left = new Set(claimed)
    try {
      const ready = await this.prepared(await this.check(claimed))
      if (ready.length === 0) return
      const leaseFrom = performance.now()
      // failpoint: before-attempting
      const begun = await begin(
        this.options.pool,
        ready.map((one) => one.claimed),
        this.options.leaseMs,
      )
      // failpoint: after-attempting
      const sending = ready.filter((one) => begun.has(targetKey(one.claimed)))
      for (const one of sending) left.delete(one.claimed)
      this.send(sending, leaseFrom)
    } catch (error) {
      // Nothing of this claim was begun, or its lease will tell: it comes free by itself.
      this.options.log.warn({ provider: this.name, error: (error as Error).message, targets: left.size }, 'a claim could not begin')
    } finally {
      for (const one of left) this.release(one)
    }
  }

  private async check(claimed: readonly Claimed[]): Promise<readonly Ready<C>[]> {
    const { users, settle } = this.options
    // After the claim, so that whoever recorded an opt-out before it is heard.
    await users.caughtUp()
    const { ready, notSent } = await this.judge(claimed, await users.load(claimed))
    if (notSent.length > 0) settle(notSent)
    return ready
  }

  private async prepared(ready: readonly Ready<C>[]): Promise<readonly Ready<C>[]> {
    const { prepare, settle } = this.options
    if (prepare === undefined || ready.length === 0) return ready
    const messages = await prepare(ready.map(({ message }) => message))
    const prepared = ready.map((one, i) => ({ ...one, message: messages[i]! }))
    const tooLarge = prepared.filter(({ message }) => this.isTooLarge(message))
    if (tooLarge.length === 0) return prepared
    settle(
      tooLarge.map(({ claimed: { messageId, target, fence } }) => ({ kind: 'unsendable', reason: 'too_large', messageId, target, fence })),
    )
    return prepared.filter(({ message }) => !this.isTooLarge(message))
  }

  private isTooLarge(message: ProviderMessage<C>): boolean {
    return oversize(this.options.channel, message.content, message, this.name) !== null
  }

  private verdict(
    claimed: Claimed,
    recipient: Recipient | undefined,
    template: Template | null,
    provider: Provider<C> | NoAccount,
  ): Pick<Ready<C>, 'message' | 'provider'> | { kind: 'skipped' | 'unsendable'; reason: string } {
    const { channel, noAddress, prepare } = this.options
    if (recipient === undefined) return { kind: 'skipped', reason: 'no_user' }
    if (template === null) return { kind: 'unsendable', reason: 'no_such_template_version' }
    if (recipient.optOutChannels.includes(channel) || recipient.optOutCategories.includes(template.category))
      return { kind: 'skipped', reason: 'opted_out' }
    const address = recipient.addresses.find((one) => one.target === claimed.target && one.provider === this.name)
    if (address === undefined) return { kind: 'skipped', reason: noAddress }
    if (typeof provider === 'string') return { kind: 'skipped', reason: provider }
    // The next step has been commanded by then: of several devices one got it in time, or an outcome stays unknown (rule 24).
    if (timeLeftInWindow(claimed) === 0 && !claimed.isAskedFor) return { kind: 'skipped', reason: 'window_elapsed' }
    const content = template.channels.find(({ channelType }) => channelType === channel)?.content as ContentOf[C] | undefined
    if (content === undefined) return { kind: 'unsendable', reason: 'no_content_for_channel' }
    const composed = compose(channel, content, claimed.variables, template.variableSchema)
    if ('problem' in composed) return { kind: 'unsendable', reason: composed.problem }
    const message = messageTo(claimed, address, composed.content)
    // Where links are to be replaced the text is measured after that.
    if (prepare === undefined && this.isTooLarge(message)) return { kind: 'unsendable', reason: 'too_large' }
    return { message, provider }
  }

  // Versions never change, so the replica answers from memory but for the first of each.
  private async templatesOf(claimed: readonly Claimed[]): Promise<ReadonlyMap<string, Template | null>> {
    const { templates } = this.options
    const found = new Map<string, Template | null>()
    for (const one of claimed) {
      const { workspaceId, templateId, templateVersion: version } = one
      if (found.has(templateKey(one))) continue
      const template = await templates.version(workspaceId, templateId, version)
      found.set(templateKey(one), template ?? (await templates.ask({ workspaceId, templateId, version })))
    }
    return found
  }

  // ── Calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async sendAll(ready: readonly Ready<C>[], leaseFrom: number): Promise<void> {
    const limit = this.limits.begin(this.options.timeoutMs)
    const send = async (one: Ready<C>): Promise<void> => {
      try {
        await this.sendOne(one, leaseFrom, limit.signal)
      } catch (error) {
        // Its lease ends, and then its outcome is unknown.
        this.options.log.error({ provider: this.name, error: (error as Error).message }, 'an attempt failed in a way nobody foresaw')
      } finally {
        this.release(one.claimed)
      }
    }
    await Promise.all(ready.map(send))
    limit.end()
  }

  private async sendOne({ claimed, message, provider }: Ready<C>, leaseFrom: number, signal: AbortSignal): Promise<void> {
    const { timeoutMs, leaseMs, settle, onAttempt } = this.options
    const permit: Permit = {
      signal,
      mayBegin: () => performance.now() + timeoutMs < leaseFrom + leaseMs,
    }
    const startedAt = performance.now()
    // Not the time of the answer: a token registered again meanwhile is alive.
    const sinceMs = Date.now()
    const outcome = await this.breakers.run(claimed.workspaceId, () => provider.send(message, permit))
    // failpoint: after-provider-call
    onAttempt(this.name, outcome.kind, (performance.now() - startedAt) / 1_000)
    const { messageId, target, fence, workspaceId, userId, alone } = claimed
    const isDead = outcome.kind === 'rejected' && outcome.deadAddress
    const { sender } = provider
    const isRefused = outcome.kind === 'unwanted' && sender !== undefined
    settle([
      {
        kind: 'attempted',
        messageId,
        target,
        fence,
        outcome,
        alone,
        refused: isRefused ? { workspaceId, sender, address: message.address, atMs: claimed.nowMs } : null,
        dead: isDead ? { workspaceId, userId, address: message.address, sinceMs: outcome.deadSinceMs ?? sinceMs } : null,
      },
    ])
  }

  private track(attempt: Promise<void>): void {
    this.attempts.add(attempt)
    void attempt.finally(() => this.attempts.delete(attempt))
  }
}

type Template = Omit<TemplateVersion, 'archived'>

const templateKey = ({ workspaceId, templateId, templateVersion }: Claimed): string => `${workspaceId}/${templateId}/${templateVersion}`

function messageTo<C extends ChannelType>(claimed: Claimed, { target, address }: Address, content: ContentOf[C]): ProviderMessage<C> {
  const { workspaceId, messageId, userId } = claimed
  return { workspaceId, messageId, userId, target, address, content, timeToLiveMs: timeLeftInWindow(claimed) }
}

/** The window runs from the first `requested` or `unknown`; until then all of it is left (rule 24). Null: nothing follows. */
export function timeLeftInWindow({ windowMs, answer, nowMs }: Pick<Claimed, 'windowMs' | 'answer' | 'nowMs'>): number | null {
  if (windowMs === null) return null
  const isRunning = answer?.kind === 'requested' || answer?.kind === 'unknown'
  return Math.max(0, isRunning ? windowMs - (nowMs - answer.occurredAt) : windowMs)
}
