// New messages that find free places go straight to their lanes: stored as being attempted, and sent once that is committed.
import { userKey, type ChannelType } from '@stepcast/contracts'
import { sameOffsets, type UsersReplica } from '@stepcast/replica'
import type { NewMessage, Recipient, Recipients } from './intake'
import type { Lane, Ready } from './lane'
import { firstFence, targetKey, type Claimed } from './ledger'

/** What the hand-over of a channel is made of. */
export interface HandOverOptions<C extends ChannelType> {
  readonly users: UsersReplica<Recipient>
  readonly lanes: readonly Lane<C>[]
  /** Stores messages with the targets among theirs (by {@link targetKey}) that are being attempted; answers the messages that were new. */
  readonly store: (messages: readonly NewMessage[], attempting: ReadonlySet<string>) => Promise<ReadonlySet<string>>
}

/** Messages without an answer, taken together from their topic. */
export interface Batch {
  readonly messages: readonly NewMessage[]
  readonly recipients: Recipients
  /** The database's clock, milliseconds. */
  readonly nowMs: () => number
}

/** What became of a batch. */
export interface HandedOver {
  /** Those that are stored now. */
  readonly stored: ReadonlySet<NewMessage>
  /** Whether targets of theirs wait to be claimed. */
  readonly waits: boolean
}

interface Open extends Batch {
  readonly stored: Set<NewMessage>
  waits: boolean
  end(error: Error | null): void
}

interface Candidate<C extends ChannelType> {
  readonly batch: Open
  readonly message: NewMessage
  readonly targets: readonly { readonly lane: Lane<C>; readonly target: string }[]
  isTaken: boolean
}

interface Granted<C extends ChannelType> {
  readonly lane: Lane<C>
  readonly claimed: Claimed
}

// While few places are free a portion waits up to this long: stored and claimed later, each message costs twice as much.
const gatherMs = 50
const gatherStepMs = 5
// While one portion waits for the database the next is judged.
const portionsAtOnce = 2
// 500 messages are about 20 ms of PostgreSQL: places are filled little by little, not all at once.
const maxPortion = 500

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * The short way of new messages. The long one (stored, claimed, begun) costs two more writes of each target and is for whatever has to
 * wait: no place is free, its workspace is held back or has older messages waiting, an attempt is repeated, its process died.
 */
export class HandOver<C extends ChannelType> {
  private readonly lanes: ReadonlyMap<string, Lane<C>>
  private waiting: Candidate<C>[] = []
  /** How many places those who wait can use, by lane and workspace. */
  private wanted = new Map<Lane<C>, Map<string, number>>()
  private readonly underWay = new Set<Promise<void>>()
  private running: Promise<void> | null = null

  constructor(private readonly options: HandOverOptions<C>) {
    this.lanes = new Map(options.lanes.map((lane) => [lane.name, lane]))
  }

  /**
   * Hands over as many as find places, in portions with those of other batches, as long as places come free. What is not stored by then is
   * left to the caller. Rejects when the database does.
   */
  run(batch: Batch): Promise<HandedOver> {
    return new Promise((resolve, reject) => {
      const stored = new Set<NewMessage>()
      const open: Open = {
        ...batch,
        stored,
        waits: false,
        end: (error) => (error === null ? resolve({ stored, waits: open.waits }) : reject(error)),
      }
      if (batch.messages.length === 0) return open.end(null)
      for (const message of batch.messages) this.add(open, message)
      this.start()
    })
  }

  private start(): void {
    this.running ??= this.portions().finally(() => {
      this.running = null
      if (this.waiting.length > 0) this.start()
    })
  }

  private add(batch: Open, message: NewMessage): void {
    const targets = message.targets.filter(({ isServed }) => isServed).map(({ provider, target }) => ({ lane: this.lanes.get(provider)!, target }))
    for (const { lane } of targets) {
      if (!this.wanted.has(lane)) this.wanted.set(lane, new Map())
      add(this.wanted.get(lane)!, message.command.workspaceId, 1)
    }
    this.waiting.push({ batch, message, targets, isTaken: false })
  }

  private async portions(): Promise<void> {
    while (this.waiting.length > 0) {
      while (this.underWay.size >= portionsAtOnce) await Promise.race(this.underWay)
      const portion = await this.portion()
      if (portion.length === 0) {
        this.giveBack()
        return
      }
      const handing = this.hand(portion).finally(() => this.underWay.delete(handing))
      this.underWay.add(handing)
    }
  }

  /** Those that find a place for each of their targets. */
  private async portion(): Promise<readonly Candidate<C>[]> {
    const lanes = [...this.wanted.keys()]
    for (let waitedMs = 0; waitedMs < gatherMs && !lanes.some(({ hasRoom }) => hasRoom); waitedMs += gatherStepMs) await sleep(gatherStepMs)
    const offered = lanes.map((lane) => [lane, new Map(lane.offer(this.wanted.get(lane)!).map(({ workspaceId, take }) => [workspaceId, take]))] as const)
    const places = new Map(offered)
    const portion: Candidate<C>[] = []
    for (const candidate of this.waiting) {
      if (portion.length === maxPortion) break
      const { workspaceId } = candidate.message.command
      if (!candidate.targets.every(({ lane }) => (places.get(lane)!.get(workspaceId) ?? 0) > 0)) continue
      for (const { lane } of candidate.targets) {
        add(places.get(lane)!, workspaceId, -1)
        add(this.wanted.get(lane)!, workspaceId, -1)
      }
      candidate.isTaken = true
      portion.push(candidate)
    }
    this.waiting = this.waiting.filter(({ isTaken }) => !isTaken)
    return portion
  }

  /** No place came free: whoever waits is stored to be claimed. */
  private giveBack(): void {
    const batches = new Set(this.waiting.map(({ batch }) => batch))
    this.waiting = []
    this.wanted = new Map()
    void Promise.allSettled(this.underWay).then(() => batches.forEach((batch) => batch.end(null)))
  }

  private async hand(portion: readonly Candidate<C>[]): Promise<void> {
    const batches = new Set(portion.map(({ batch }) => batch))
    try {
      const attempting = await this.handOver(portion)
      for (const { batch, message, targets } of portion) {
        batch.stored.add(message)
        batch.waits ||= targets.some(({ target }) => !attempting.has(targetKey({ messageId: message.command.messageId, target })))
        if (batch.stored.size === batch.messages.length) batch.end(null)
      }
    } catch (error) {
      // Each batch is taken again as a whole, and finds what was stored of it.
      for (const batch of batches) batch.end(error as Error)
    }
  }

  private async handOver(portion: readonly Candidate<C>[]): Promise<ReadonlySet<string>> {
    const granted = portion.flatMap(({ batch, message, targets }) =>
      targets.map(({ lane, target }) => ({ lane, claimed: claimedOf(message, target, lane.name, batch.nowMs) })),
    )
    const messages = portion.map(({ message }) => message)
    for (const [lane, claimed] of byLane(granted)) lane.take(claimed)
    const taken = new Set(granted)
    try {
      const ready = await this.judged(granted, portion)
      const attempting = new Set([...ready.values()].flatMap((ones) => ones.map((one) => targetKey(one.claimed))))
      const leaseFrom = performance.now()
      // failpoint: before-attempting
      const isNew = await this.options.store(messages, attempting)
      // failpoint: after-attempting
      for (const one of granted) if (isNew.has(one.claimed.messageId) && attempting.has(targetKey(one.claimed))) taken.delete(one)
      for (const [lane, ones] of ready) {
        lane.send(
          ones.filter(({ claimed }) => isNew.has(claimed.messageId)),
          leaseFrom,
        )
      }
      return attempting
    } finally {
      for (const { lane, claimed } of taken) lane.release(claimed)
    }
  }

  /** Those to be sent to. The others are stored like whatever waits, and judged again when claimed. */
  private async judged(
    granted: readonly Granted<C>[],
    portion: readonly Candidate<C>[],
  ): Promise<ReadonlyMap<Lane<C>, readonly Ready<C>[]>> {
    const recipients = await this.recipients(portion)
    const judged = new Map<Lane<C>, readonly Ready<C>[]>()
    for (const [lane, claimed] of byLane(granted)) judged.set(lane, (await lane.judge(claimed, recipients)).ready)
    return judged
  }

  /** Asked for every portion, so that whoever recorded an opt-out just before the call is heard. */
  private async recipients(portion: readonly Candidate<C>[]): Promise<ReadonlyMap<string, Recipient>> {
    const { users } = this.options
    const now = await users.caughtUp()
    const isStale = ({ upTo }: Recipients): boolean => upTo === null || !sameOffsets(upTo, now)
    const stale = new Set([...new Set(portion.map(({ batch }) => batch))].filter(({ recipients }) => isStale(recipients)))
    const recipients = new Map<string, Recipient>()
    for (const { batch, message } of portion) {
      const key = userKey(message.command.workspaceId, message.command.userId)
      const known = stale.has(batch) ? undefined : batch.recipients.known.get(key)
      if (known !== undefined) recipients.set(key, known)
    }
    const asked = portion.filter(({ batch }) => stale.has(batch)).map(({ message }) => message.command)
    for (const [key, recipient] of await users.load(asked)) recipients.set(key, recipient)
    return recipients
  }
}

const add = (counts: Map<string, number>, workspaceId: string, count: number): void =>
  void counts.set(workspaceId, (counts.get(workspaceId) ?? 0) + count)

function byLane<C extends ChannelType>(granted: readonly Granted<C>[]): ReadonlyMap<Lane<C>, Claimed[]> {
  const lanes = new Map<Lane<C>, Claimed[]>()
  for (const { lane, claimed } of granted) {
    const others = lanes.get(lane)
    if (others) others.push(claimed)
    else lanes.set(lane, [claimed])
  }
  return lanes
}

function claimedOf({ command, traceparent, targets }: NewMessage, target: string, provider: string, nowMs: () => number): Claimed {
  const { messageId, workspaceId, userId, templateId, templateVersion, variables, windowMs } = command
  const alone = targets.length === 1 ? { provider, workspaceId, traceparent, nowMs } : null
  const asClaimed = { fence: firstFence, answer: null, nowMs: nowMs(), alone }
  return { messageId, target, workspaceId, userId, templateId, templateVersion, variables, windowMs, ...asClaimed }
}
