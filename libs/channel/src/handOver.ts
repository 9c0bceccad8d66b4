// New messages that find free places go straight to their lanes: stored as being attempted, and sent once that is committed.
import { userKey, type ChannelType } from '@stepcast/contracts'
import { sameOffsets, type UsersReplica } from '@stepcast/replica'
import type { Lane, Ready } from './lane'
import { firstFence, targetKey, type Claimed } from './ledger'
import type { NewMessage, Recipient, Recipients } from './message'
import { sleep } from './wake'

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
  /** Its messages that wait or are being handed over. */
  inHand: number
  readonly since: number
  readonly end: (error: Error | null) => void
}

interface Candidate<C extends ChannelType> {
  readonly batch: Open
  readonly message: NewMessage
  readonly targets: readonly { readonly lane: Lane<C>; readonly target: string }[]
}

interface Granted<C extends ChannelType> {
  readonly lane: Lane<C>
  readonly claimed: Claimed
}

// While few places are free a portion waits up to this long: stored and claimed later, each message costs twice as much.
const gatherMs = 50
const gatherStepMs = 5
// A workspace that found no place for this long is held back somehow, and its messages wait in the ledger: their partitions read nothing
// new meanwhile. So does the rest of a batch that took this long in all.
const stuckMs = 500
const batchMs = 2_000
// 100 bytes each; who is forgotten is only waited for once more.
const maxStuck = 10_000
// While one portion waits for the database the next is judged.
const portionsAtOnce = 2
// 500 messages are about 20 ms of PostgreSQL: places are filled little by little, not all at once.
const maxPortion = 500

/**
 * The short way of new messages. The long one (stored, claimed, begun) costs two more writes of each target and is for whatever has to
 * wait: no place is free, its workspace is held back or has older messages waiting, an attempt is repeated, its process died.
 */
export class HandOver<C extends ChannelType> {
  private readonly lanes: ReadonlyMap<string, Lane<C>>
  private waiting: Candidate<C>[] = []
  /** How many places those who wait can use, by lane and workspace. */
  private wanted = new Map<Lane<C>, Map<string, number>>()
  /** Those that wait or are being handed over, by messageId: a repeated command is not handed over beside itself. */
  private readonly inHand = new Set<string>()
  /** Workspaces whose messages found no place, since when. */
  private readonly stuckSince = new Map<string, number>()
  private readonly underWay = new Set<Promise<void>>()
  private running: Promise<void> | null = null
  private stopping = false

  constructor(private readonly options: HandOverOptions<C>) {
    this.lanes = new Map(options.lanes.map((lane) => [lane.name, lane]))
  }

  /**
   * Hands over as many as find places, in portions with those of other batches, as long as places come free. What is not stored by then is
   * left to the caller. Rejects when the database does: the batch may be given again as a whole.
   */
  run(batch: Batch): Promise<HandedOver> {
    return new Promise((resolve, reject) => {
      const stored = new Set<NewMessage>()
      const open: Open = {
        ...batch,
        stored,
        waits: false,
        inHand: 0,
        since: performance.now(),
        end: (error) => (error === null ? resolve({ stored, waits: open.waits }) : reject(error)),
      }
      if (!this.stopping) for (const message of batch.messages) this.add(open, message)
      if (open.inHand === 0) return open.end(null)
      this.start()
    })
  }

  /** Hands nothing over any more; whoever waits is left to its caller. */
  stop(): void {
    this.stopping = true
  }

  private add(batch: Open, message: NewMessage): void {
    const { messageId, workspaceId } = message.command
    if (this.inHand.has(messageId)) return
    const targets = message.targets
      .filter(({ isServed }) => isServed)
      .map(({ provider, target }) => ({ lane: this.lanes.get(provider)!, target }))
    for (const { lane } of targets) {
      if (!this.wanted.has(lane)) this.wanted.set(lane, new Map())
      add(this.wanted.get(lane)!, workspaceId, 1)
    }
    this.inHand.add(messageId)
    batch.inHand++
    this.waiting.push({ batch, message, targets })
  }

  private start(): void {
    this.running ??= this.portions()
      .catch((error: Error) => this.letGo(() => true, error))
      .finally(() => {
        this.running = null
        if (this.waiting.length > 0) this.start()
      })
  }

  private async portions(): Promise<void> {
    while (this.waiting.length > 0) {
      while (this.underWay.size >= portionsAtOnce) await Promise.race(this.underWay)
      await this.gathered()
      const portion = this.portion()
      this.letGo((candidate) => this.stopping || this.isLate(candidate), null)
      if (portion.length === 0) {
        await sleep(gatherStepMs)
        continue
      }
      const handing = this.hand(portion).finally(() => this.underWay.delete(handing))
      this.underWay.add(handing)
    }
  }

  private async gathered(): Promise<void> {
    const hasRoom = (): boolean => [...this.wanted.keys()].some((lane) => lane.hasRoom)
    for (let waitedMs = 0; waitedMs < gatherMs && !this.stopping && !hasRoom(); waitedMs += gatherStepMs) await sleep(gatherStepMs)
  }

  /** Those that find a place for each of their targets. */
  private portion(): readonly Candidate<C>[] {
    if (this.stopping) return []
    const places = new Map<Lane<C>, Map<string, number>>()
    for (const [lane, wanted] of this.wanted) {
      places.set(lane, new Map(lane.offer(wanted).map(({ workspaceId, take }) => [workspaceId, take])))
    }
    const portion: Candidate<C>[] = []
    for (const candidate of this.waiting) {
      if (portion.length === maxPortion) break
      const { message, targets } = candidate
      const { workspaceId } = message.command
      if (!targets.every(({ lane }) => (places.get(lane)!.get(workspaceId) ?? 0) > 0)) continue
      for (const { lane } of targets) add(places.get(lane)!, workspaceId, -1)
      portion.push(candidate)
    }
    this.takeOut(portion)
    this.noteStuck(portion)
    return portion
  }

  private noteStuck(portion: readonly Candidate<C>[]): void {
    for (const { message } of portion) this.stuckSince.delete(message.command.workspaceId)
    if (portion.length === maxPortion) return
    const placed = new Set(portion.map(({ message }) => message.command.workspaceId))
    for (const { message } of this.waiting) {
      const { workspaceId } = message.command
      if (placed.has(workspaceId) || this.stuckSince.has(workspaceId)) continue
      if (this.stuckSince.size >= maxStuck) this.stuckSince.clear()
      this.stuckSince.set(workspaceId, performance.now())
    }
  }

  private isLate({ batch, message }: Candidate<C>): boolean {
    const now = performance.now()
    return now - batch.since > batchMs || now - (this.stuckSince.get(message.command.workspaceId) ?? now) > stuckMs
  }

  private takeOut(candidates: readonly Candidate<C>[]): void {
    if (candidates.length === 0) return
    for (const candidate of candidates) {
      for (const { lane } of candidate.targets) add(this.wanted.get(lane)!, candidate.message.command.workspaceId, -1)
    }
    for (const [lane, wanted] of this.wanted) if (wanted.size === 0) this.wanted.delete(lane)
    const out = new Set(candidates)
    this.waiting = this.waiting.filter((candidate) => !out.has(candidate))
  }

  /** Some of those who wait are stored to be claimed, by their callers. */
  private letGo(isMeant: (candidate: Candidate<C>) => boolean, error: Error | null): void {
    const gone = this.waiting.filter(isMeant)
    this.takeOut(gone)
    this.settle(gone, error)
  }

  /** They are out of hand. A batch ends with the last of its messages; after an error at once, and the others wait no more. */
  private settle(candidates: readonly Candidate<C>[], error: Error | null): void {
    for (const { batch, message } of candidates) {
      this.inHand.delete(message.command.messageId)
      batch.inHand--
    }
    const batches = new Set(candidates.map(({ batch }) => batch))
    for (const batch of batches) if (error !== null || batch.inHand === 0) batch.end(error)
    if (error === null) return
    const others = this.waiting.filter(({ batch }) => batches.has(batch))
    this.takeOut(others)
    this.settle(others, null)
  }

  private async hand(portion: readonly Candidate<C>[]): Promise<void> {
    try {
      const attempting = await this.handOver(portion)
      for (const { batch, message, targets } of portion) {
        batch.stored.add(message)
        batch.waits ||= targets.some(({ target }) => !attempting.has(targetKey({ messageId: message.command.messageId, target })))
      }
      this.settle(portion, null)
    } catch (error) {
      // Each batch is taken again as a whole, and finds what was stored of it.
      this.settle(portion, error as Error)
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
    const late = portion.filter(({ batch, message }) => message.command.expiresAt <= batch.nowMs())
    const expired = new Set(late.map(({ message }) => message.command.messageId))
    if (expired.size > 0)
      for (const [lane, ready] of judged)
        judged.set(
          lane,
          ready.filter(({ claimed }) => !expired.has(claimed.messageId)),
        )
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

function add(counts: Map<string, number>, workspaceId: string, change: number): void {
  const count = (counts.get(workspaceId) ?? 0) + change
  if (count === 0) counts.delete(workspaceId)
  else counts.set(workspaceId, count)
}

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
  const asClaimed = { fence: firstFence, answer: null, nowMs: nowMs(), isAskedFor: false, alone }
  return { messageId, target, workspaceId, userId, templateId, templateVersion, variables, windowMs, ...asClaimed }
}
