// One provider's lane: claims what is due, fairly across workspaces, checks it once more, and lets the provider send.
import type { Pool } from 'pg'
import { userKey, type ChannelType } from '@stepcast/contracts'
import type { Log } from '@stepcast/kafka'
import type { TemplatesReplica, UsersReplica } from '@stepcast/replica'
import { render, type ContentOf, type TemplateVersion } from '@stepcast/template'
import type { Accounts, NoAccount } from './accounts'
import { Breakers } from './breakers'
import type { Address, Recipient } from './intake'
import { begin, claim, dueWorkspaces, targetKey, type Claimed, type DueWorkspace } from './ledger'
import type { Outcome, Permit, Provider, ProviderKind, ProviderMessage } from './provider'
import { TimeLimits } from './timeLimits'
import { TokenBuckets } from './tokenBucket'
import type { Fact } from './transition'
import { Wake } from './wake'

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
  readonly prepare: Prepare<C>
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
interface Ready<C extends ChannelType> {
  readonly claimed: Claimed
  readonly message: ProviderMessage<C>
  readonly provider: Provider<C>
}

// Finds what another process left behind; everything else wakes the lane.
const maxSleepMs = 5_000
const retryAfterMs = 500
// While half of the places are taken the next claim waits up to this long, so that it takes many at once instead of few: each claim
// costs six statements and a question to Kafka, however many it takes.
const gatherMs = 20
const gatherStepMs = 5
// What is due but held by another process's claim is asked for again, not in a tight loop.
const contendedMs = 50

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs until stopped. */
export class Lane<C extends ChannelType> {
  private readonly wake = new Wake()
  private readonly breakers = new Breakers()
  private readonly ownBucket: TokenBuckets
  private readonly inFlight = new Map<string, number>()
  private readonly attempts = new Set<Promise<void>>()
  private underWay = 0
  /** Served last: the next deal begins after it. */
  private servedLast = ''
  private stopping = false
  private readonly limits = new TimeLimits()
  private loop: Promise<void> = Promise.resolve()

  constructor(private readonly options: LaneOptions<C>) {
    this.ownBucket = new TokenBuckets(options.ratePerProvider)
  }

  private get name(): string {
    return this.options.kind.name
  }

  /** What is under way and where breakers are open, for metrics. */
  get standing(): LaneStanding {
    return { provider: this.name, underWay: this.underWay, openBreakers: this.breakers.open }
  }

  start(): void {
    this.loop = this.run()
  }

  /** There may be something to send now. */
  kick(): void {
    this.wake.now()
  }

  /** Begins nothing more; lets what is under way end within `graceMs`, then gives it up as unknown. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true
    this.wake.now()
    await this.loop
    const timer = setTimeout(() => this.limits.cut(), graceMs)
    await Promise.all(this.attempts)
    clearTimeout(timer)
  }

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
    const { pool, concurrency, leaseMs } = this.options
    if (this.underWay >= concurrency) return maxSleepMs
    const due = await dueWorkspaces(pool, this.name)
    const shares = this.deal(due)
    if (shares.length === 0) return this.idleMs(due)
    const claimed = await claim(pool, this.name, shares, leaseMs)
    if (claimed.length === 0) return contendedMs
    for (const { workspaceId } of claimed) this.count(workspaceId, 1)
    this.ownBucket.take(this.name, claimed.length)
    for (const [workspaceId, count] of countBy(claimed)) this.options.buckets.take(workspaceId, count)
    this.track(this.attempt(claimed))
    for (let waitedMs = 0; waitedMs < gatherMs; waitedMs += gatherStepMs) {
      await sleep(gatherStepMs)
      if (this.underWay <= concurrency / 2) break
    }
    return 0
  }

  /**
   * Deals the free places out: evenly, going around, and never more to one workspace than three quarters of all, so that
   * calls which hang for one leave places for the rest.
   */
  private deal(due: readonly DueWorkspace[]): { workspaceId: string; take: number }[] {
    const { concurrency, buckets } = this.options
    let free = Math.min(concurrency - this.underWay, this.ownBucket.available(this.name))
    const ready = due.filter(({ dueInMs }) => dueInMs <= 0).map(({ workspaceId }) => workspaceId)
    // In the order of their names, as the database gives them.
    const next = ready.findIndex((workspaceId) => workspaceId > this.servedLast)
    const turns = next < 1 ? ready : [...ready.slice(next), ...ready.slice(0, next)]
    const most = Math.max(1, Math.floor((concurrency * 3) / 4))
    const shares: { workspaceId: string; take: number }[] = []
    turns.forEach((workspaceId, i) => {
      const share = Math.ceil(free / (turns.length - i))
      const take = Math.min(
        share,
        most - (this.inFlight.get(workspaceId) ?? 0),
        buckets.available(workspaceId),
        this.breakers.admits(workspaceId),
      )
      if (take < 1) return
      shares.push({ workspaceId, take })
      this.servedLast = workspaceId
      free -= take
    })
    return shares
  }

  private idleMs(due: readonly DueWorkspace[]): number {
    const ownWaitMs = this.ownBucket.waitMs(this.name)
    const waits = due.map(({ workspaceId, dueInMs }) =>
      dueInMs > 0
        ? dueInMs
        : Math.max(contendedMs, ownWaitMs, this.options.buckets.waitMs(workspaceId), this.breakers.waitMs(workspaceId)),
    )
    return Math.min(maxSleepMs, ...waits.map(Math.ceil))
  }

  private async attempt(claimed: readonly Claimed[]): Promise<void> {
    const left = new Map(claimed.map((one) => [targetKey(one), one]))
    const release = (one: Claimed): void => {
      if (left.delete(targetKey(one))) this.count(one.workspaceId, -1)
    }
    try {
      const checked = await this.check(claimed)
      const stays = new Set(checked.map((one) => one.claimed))
      for (const one of claimed) if (!stays.has(one)) release(one)
      const ready = await this.prepared(checked)
      if (ready.length === 0) return
      const leaseFrom = performance.now()
      // failpoint: before-attempting
      const begun = await begin(
        this.options.pool,
        ready.map((one) => one.claimed),
        this.options.leaseMs,
      )
      // failpoint: after-attempting
      const limit = this.limits.begin(this.options.timeoutMs)
      const sends = ready.map(async (one) => {
        if (begun.has(targetKey(one.claimed))) await this.send(one, leaseFrom, limit.signal)
        release(one.claimed)
      })
      void Promise.allSettled(sends).then(limit.end)
      await Promise.all(sends)
    } catch (error) {
      // Nothing of this claim was begun, or its lease will tell: it comes free by itself.
      this.options.log.warn(
        { provider: this.name, error: (error as Error).message, targets: left.size },
        'a claim could not begin',
      )
    } finally {
      for (const one of [...left.values()]) release(one)
    }
  }

  /** What is judged right before sending: the user's wishes as of now, the address as of now, the content. */
  private async check(claimed: readonly Claimed[]): Promise<Ready<C>[]> {
    const { users, accounts, kind, settle } = this.options
    // After the claim, so that whoever recorded an opt-out before it is heard.
    await users.caughtUp()
    const [recipients, opened] = await Promise.all([
      users.load(claimed),
      accounts.open(kind.name, new Set(claimed.map(({ workspaceId }) => workspaceId))),
    ])
    const ready: Ready<C>[] = []
    const facts: Fact[] = []
    for (const one of claimed) {
      const recipient = recipients.get(userKey(one.workspaceId, one.userId))
      const verdict = this.judge(one, recipient, await this.template(one), opened.get(one.workspaceId)!)
      if ('message' in verdict) ready.push({ claimed: one, ...verdict })
      else facts.push({ ...verdict, messageId: one.messageId, target: one.target, fence: one.fence })
    }
    if (facts.length > 0) settle(facts)
    return ready
  }

  private async prepared(checked: readonly Ready<C>[]): Promise<readonly Ready<C>[]> {
    if (checked.length === 0) return checked
    const messages = await this.options.prepare(checked.map(({ message }) => message))
    return checked.map((one, i) => ({ ...one, message: messages[i]! }))
  }

  private judge(
    claimed: Claimed,
    recipient: Recipient | undefined,
    template: Template | null,
    provider: Provider<C> | NoAccount,
  ): Pick<Ready<C>, 'message' | 'provider'> | { kind: 'skipped' | 'unsendable'; reason: string } {
    const { channel, noAddress } = this.options
    if (recipient === undefined) return { kind: 'skipped', reason: 'no_user' }
    if (template === null) return { kind: 'unsendable', reason: 'no_such_template_version' }
    if (recipient.optOutChannels.includes(channel) || recipient.optOutCategories.includes(template.category))
      return { kind: 'skipped', reason: 'opted_out' }
    const address = recipient.addresses.find((one) => one.target === claimed.target && one.provider === this.name)
    if (address === undefined) return { kind: 'skipped', reason: noAddress }
    if (typeof provider === 'string') return { kind: 'skipped', reason: provider }
    const content = template.channels.find(({ channelType }) => channelType === channel)?.content as ContentOf[C] | undefined
    if (content === undefined) return { kind: 'unsendable', reason: 'no_content_for_channel' }
    return { message: messageTo(claimed, address, render(content, claimed.variables)), provider }
  }

  // Versions never change, so the replica answers from memory but for the first of each.
  private async template({ workspaceId, templateId, templateVersion }: Claimed): Promise<Template | null> {
    const { templates } = this.options
    return (
      (await templates.version(workspaceId, templateId, templateVersion)) ??
      (await templates.ask({ workspaceId, templateId, version: templateVersion }))
    )
  }

  private async send({ claimed, message, provider }: Ready<C>, leaseFrom: number, signal: AbortSignal): Promise<void> {
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
    const { messageId, target, fence, workspaceId, userId } = claimed
    const isDead = outcome.kind === 'rejected' && outcome.deadAddress
    settle([
      {
        kind: 'attempted',
        messageId,
        target,
        fence,
        outcome,
        dead: isDead ? { workspaceId, userId, address: message.address, sinceMs: outcome.deadSinceMs ?? sinceMs } : null,
      },
    ])
  }

  private count(workspaceId: string, change: number): void {
    const count = (this.inFlight.get(workspaceId) ?? 0) + change
    if (count === 0) this.inFlight.delete(workspaceId)
    else this.inFlight.set(workspaceId, count)
    this.underWay += change
    if (change < 0) this.wake.now()
  }

  private track(attempt: Promise<void>): void {
    this.attempts.add(attempt)
    void attempt.finally(() => this.attempts.delete(attempt))
  }
}

type Template = Omit<TemplateVersion, 'archived'>

const countBy = (claimed: readonly Claimed[]): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const { workspaceId } of claimed) counts.set(workspaceId, (counts.get(workspaceId) ?? 0) + 1)
  return counts
}

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
