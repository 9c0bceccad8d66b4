// One provider's lane: claims what is due, fairly across workspaces, checks it once more, and lets the provider send.
import type { Pool } from 'pg'
import { userKey, type ChannelType } from '@stepcast/contracts'
import type { Log } from '@stepcast/kafka'
import type { TemplatesReplica, UsersReplica } from '@stepcast/replica'
import { render, type ContentOf, type TemplateVersion } from '@stepcast/template'
import { Breakers } from './breakers'
import type { Address, Recipient } from './intake'
import { begin, claim, dueWorkspaces, targetKey, type Claimed, type DueWorkspace } from './ledger'
import type { Outcome, Permit, Provider, ProviderMessage } from './provider'
import type { TokenBuckets } from './tokenBucket'
import type { Fact } from './transition'
import { Wake } from './wake'

/** What a lane is made of. */
export interface LaneOptions<C extends ChannelType> {
  readonly channel: C
  readonly provider: Provider<C>
  readonly pool: Pool
  readonly log: Log
  readonly users: UsersReplica<Recipient>
  readonly templates: TemplatesReplica
  readonly buckets: TokenBuckets
  /** Calls under way at a time. A crash leaves at most as many outcomes unknown. */
  readonly concurrency: number
  /** An attempt is given up after this; the lease is longer. */
  readonly timeoutMs: number
  readonly leaseMs: number
  readonly noAddress: string
  readonly settle: (facts: readonly Fact[]) => void
  readonly onAttempt: (provider: string, outcome: Outcome['kind'], seconds: number) => void
}

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
}

// Finds what another process left behind; everything else wakes the lane.
const maxSleepMs = 5_000
const retryAfterMs = 500
// While calls are under way the next claim waits this long, so that it takes many at once instead of one.
const gatherMs = 5
// What is due but held by another process's claim is asked for again, not in a tight loop.
const contendedMs = 50

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs until stopped. */
export class Lane<C extends ChannelType> {
  private readonly wake = new Wake()
  private readonly breakers = new Breakers()
  private readonly inFlight = new Map<string, number>()
  private readonly attempts = new Set<Promise<void>>()
  private underWay = 0
  /** Served last: the next deal begins after it. */
  private servedLast = ''
  private stopping = false
  private readonly givingUp = new AbortController()
  private loop: Promise<void> = Promise.resolve()

  constructor(private readonly options: LaneOptions<C>) {}

  /** What is under way and where breakers are open, for metrics. */
  get standing(): LaneStanding {
    return { provider: this.options.provider.name, underWay: this.underWay, openBreakers: this.breakers.open }
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
    const timer = setTimeout(() => this.givingUp.abort(), graceMs)
    await Promise.all(this.attempts)
    clearTimeout(timer)
    await this.options.provider.close()
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        await this.wake.sleep(await this.pass())
      } catch (error) {
        this.options.log.warn({ provider: this.options.provider.name, error: (error as Error).message }, 'could not claim, trying again')
        await sleep(retryAfterMs)
      }
    }
  }

  /** Claims once; answers how long to sleep. */
  private async pass(): Promise<number> {
    const { pool, provider, concurrency, leaseMs } = this.options
    if (this.underWay >= concurrency) return maxSleepMs
    const due = await dueWorkspaces(pool, provider.name)
    const shares = this.deal(due)
    if (shares.length === 0) return this.idleMs(due)
    const claimed = await claim(pool, provider.name, shares, leaseMs)
    if (claimed.length === 0) return contendedMs
    for (const { workspaceId } of claimed) this.count(workspaceId, 1)
    for (const [workspaceId, count] of countBy(claimed)) this.options.buckets.take(workspaceId, count)
    this.track(this.attempt(claimed))
    await sleep(gatherMs)
    return 0
  }

  /**
   * Deals the free places out: evenly, going around, and never more to one workspace than three quarters of all, so that
   * calls which hang for one leave places for the rest.
   */
  private deal(due: readonly DueWorkspace[]): { workspaceId: string; take: number }[] {
    const { concurrency, buckets } = this.options
    let free = concurrency - this.underWay
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
    const waits = due.map(({ workspaceId, dueInMs }) =>
      dueInMs > 0 ? dueInMs : Math.max(contendedMs, this.options.buckets.waitMs(workspaceId), this.breakers.waitMs(workspaceId)),
    )
    return Math.min(maxSleepMs, ...waits.map(Math.ceil))
  }

  private async attempt(claimed: readonly Claimed[]): Promise<void> {
    const left = new Map(claimed.map((one) => [targetKey(one), one]))
    const release = (one: Claimed): void => {
      if (left.delete(targetKey(one))) this.count(one.workspaceId, -1)
    }
    try {
      const ready = await this.check(claimed)
      for (const one of claimed) if (!ready.some((still) => still.claimed === one)) release(one)
      if (ready.length === 0) return
      const leaseFrom = performance.now()
      // failpoint: before-attempting
      const begun = await begin(
        this.options.pool,
        ready.map((one) => one.claimed),
        this.options.leaseMs,
      )
      // failpoint: after-attempting
      await Promise.all(
        ready.map(async (one) => {
          if (begun.has(targetKey(one.claimed))) await this.send(one, leaseFrom)
          release(one.claimed)
        }),
      )
    } catch (error) {
      // Nothing of this claim was begun, or its lease will tell: it comes free by itself.
      this.options.log.warn(
        { provider: this.options.provider.name, error: (error as Error).message, targets: left.size },
        'a claim could not begin',
      )
    } finally {
      for (const one of [...left.values()]) release(one)
    }
  }

  /** What is judged right before sending: the user's wishes as of now, the address as of now, the content. */
  private async check(claimed: readonly Claimed[]): Promise<Ready<C>[]> {
    const { users, settle } = this.options
    // After the claim, so that whoever recorded an opt-out before it is heard.
    await users.caughtUp()
    const recipients = await users.load(claimed)
    const ready: Ready<C>[] = []
    const facts: Fact[] = []
    for (const one of claimed) {
      const verdict = this.judge(one, recipients.get(userKey(one.workspaceId, one.userId)), await this.template(one))
      if ('message' in verdict) ready.push({ claimed: one, message: verdict.message })
      else facts.push({ ...verdict, messageId: one.messageId, target: one.target, fence: one.fence })
    }
    if (facts.length > 0) settle(facts)
    return ready
  }

  private judge(
    claimed: Claimed,
    recipient: Recipient | undefined,
    template: Template | null,
  ): { message: ProviderMessage<C> } | { kind: 'skipped' | 'unsendable'; reason: string } {
    const { channel, noAddress } = this.options
    if (recipient === undefined) return { kind: 'skipped', reason: 'no_user' }
    if (template === null) return { kind: 'unsendable', reason: 'no_such_template_version' }
    if (recipient.optOutChannels.includes(channel) || recipient.optOutCategories.includes(template.category))
      return { kind: 'skipped', reason: 'opted_out' }
    const address = recipient.addresses.find(({ target, provider }) => target === claimed.target && provider === this.options.provider.name)
    if (address === undefined) return { kind: 'skipped', reason: noAddress }
    const content = template.channels.find(({ channelType }) => channelType === channel)?.content as ContentOf[C] | undefined
    if (content === undefined) return { kind: 'unsendable', reason: 'no_content_for_channel' }
    return { message: messageTo(claimed, address, render(content, claimed.variables)) }
  }

  // Versions never change, so the replica answers from memory but for the first of each.
  private async template({ workspaceId, templateId, templateVersion }: Claimed): Promise<Template | null> {
    const { templates } = this.options
    return (
      (await templates.version(workspaceId, templateId, templateVersion)) ??
      (await templates.ask({ workspaceId, templateId, version: templateVersion }))
    )
  }

  private async send({ claimed, message }: Ready<C>, leaseFrom: number): Promise<void> {
    const { provider, timeoutMs, leaseMs, settle, onAttempt } = this.options
    const permit: Permit = {
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.givingUp.signal]),
      mayBegin: () => performance.now() + timeoutMs < leaseFrom + leaseMs,
    }
    const startedAt = performance.now()
    // Not the time of the answer: a token registered again meanwhile is alive.
    const sinceMs = Date.now()
    const outcome = await this.breakers.run(claimed.workspaceId, () => provider.send(message, permit))
    // failpoint: after-provider-call
    onAttempt(provider.name, outcome.kind, (performance.now() - startedAt) / 1_000)
    const { messageId, target, fence, workspaceId, userId } = claimed
    const isDead = outcome.kind === 'rejected' && outcome.deadAddress
    settle([
      {
        kind: 'attempted',
        messageId,
        target,
        fence,
        outcome,
        dead: isDead ? { workspaceId, userId, address: message.address, sinceMs } : null,
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
