// New messages that find free places go straight to their lanes: stored as being attempted, and sent once that is committed.
import type { ChannelType } from '@stepcast/contracts'
import { sameOffsets, type UsersReplica } from '@stepcast/replica'
import { servedBy, type NewMessage, type Recipient, type Recipients } from './intake'
import type { Lane, Ready } from './lane'
import { firstFence, targetKey, type Claimed } from './ledger'

/** What the hand-over of a channel is made of. */
export interface HandOverOptions<C extends ChannelType> {
  readonly users: UsersReplica<Recipient>
  readonly lanes: readonly Lane<C>[]
}

/** Stores messages with the targets among theirs (by {@link targetKey}) that are being attempted; answers the messages that were new. */
export type Store = (messages: readonly NewMessage[], attempting: ReadonlySet<string>) => Promise<ReadonlySet<string>>

interface Granted<C extends ChannelType> {
  readonly lane: Lane<C>
  readonly claimed: Claimed
}

// While few places are free a portion waits up to this long: stored and claimed later, each message costs twice as much.
const gatherMs = 50
const gatherStepMs = 5

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * The short way of new messages. The long one (stored, claimed, begun) costs two more writes of each target and is for whatever has to
 * wait: no place is free, its workspace is held back or has older messages waiting, an attempt is repeated, its process died.
 */
export class HandOver<C extends ChannelType> {
  private readonly lanes: ReadonlyMap<string, Lane<C>>
  private last: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: HandOverOptions<C>) {
    this.lanes = new Map(options.lanes.map((lane) => [lane.name, lane]))
  }

  /**
   * Hands over as many unanswered messages as find places, portion by portion, as long as places come free. What is not stored by then is
   * left to the caller. One batch at a time, so that portions are large.
   */
  run(messages: readonly NewMessage[], recipients: Recipients, nowMs: () => number, store: Store): Promise<void> {
    const result = this.last.then(() => this.portions(messages, recipients, nowMs, store))
    this.last = result.catch(() => {})
    return result
  }

  private async portions(messages: readonly NewMessage[], recipients: Recipients, nowMs: () => number, store: Store): Promise<void> {
    let left = messages
    while (left.length > 0) {
      const portion = await this.portion(left)
      if (portion.size === 0) return
      await this.handOver([...portion], recipients, nowMs(), store)
      left = left.filter((message) => !portion.has(message))
    }
  }

  /** Those of the messages that find a place for each of their targets. */
  private async portion(candidates: readonly NewMessage[]): Promise<ReadonlySet<NewMessage>> {
    const lanes = [...this.lanes.values()].filter(({ name }) => candidates.some(({ targets }) => targets.some(({ provider }) => provider === name)))
    for (let waitedMs = 0; waitedMs < gatherMs && !lanes.some(({ hasRoom }) => hasRoom); waitedMs += gatherStepMs) await sleep(gatherStepMs)
    const offered = new Map(lanes.map((lane) => [lane.name, this.offered(lane, candidates)]))
    const portion = new Set<NewMessage>()
    for (const message of candidates) {
      const { workspaceId } = message.command
      const places = servedBy(message).map(({ provider }) => offered.get(provider)!)
      if (!places.every((place) => (place.get(workspaceId) ?? 0) > 0)) continue
      for (const place of places) place.set(workspaceId, place.get(workspaceId)! - 1)
      portion.add(message)
    }
    return portion
  }

  private offered(lane: Lane<C>, messages: readonly NewMessage[]): Map<string, number> {
    const wanted = new Map<string, number>()
    for (const message of messages) {
      const { workspaceId } = message.command
      const count = servedBy(message).filter(({ provider }) => provider === lane.name).length
      if (count > 0) wanted.set(workspaceId, (wanted.get(workspaceId) ?? 0) + count)
    }
    return new Map(lane.offer(wanted).map(({ workspaceId, take }) => [workspaceId, take]))
  }

  private async handOver(messages: readonly NewMessage[], recipients: Recipients, nowMs: number, store: Store): Promise<void> {
    const granted = messages.flatMap((message) =>
      servedBy(message).map(({ provider, target }) => ({ lane: this.lanes.get(provider)!, claimed: claimedOf(message, target, nowMs) })),
    )
    for (const [lane, claimed] of byLane(granted)) lane.take(claimed)
    const taken = new Set(granted)
    try {
      const ready = await this.judged(granted, recipients)
      const attempting = new Set([...ready.values()].flatMap((ones) => ones.map((one) => targetKey(one.claimed))))
      const leaseFrom = performance.now()
      // failpoint: before-attempting
      const isNew = await store(messages, attempting)
      // failpoint: after-attempting
      for (const one of granted) if (isNew.has(one.claimed.messageId) && attempting.has(targetKey(one.claimed))) taken.delete(one)
      for (const [lane, ones] of ready) {
        lane.send(
          ones.filter(({ claimed }) => isNew.has(claimed.messageId)),
          leaseFrom,
        )
      }
    } finally {
      for (const { lane, claimed } of taken) lane.release(claimed)
    }
  }

  /** Those to be sent to. The others are stored like whatever waits, and judged again when claimed. */
  private async judged(granted: readonly Granted<C>[], { known, upTo }: Recipients): Promise<ReadonlyMap<Lane<C>, readonly Ready<C>[]>> {
    const { users } = this.options
    // Once more for every portion, so that whoever recorded an opt-out just before the call is heard.
    const now = await users.caughtUp()
    const recipients = upTo !== null && sameOffsets(upTo, now) ? known : await users.load(granted.map(({ claimed }) => claimed))
    const judged = new Map<Lane<C>, readonly Ready<C>[]>()
    for (const [lane, claimed] of byLane(granted)) judged.set(lane, (await lane.judge(claimed, recipients)).ready)
    return judged
  }
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

const claimedOf = ({ command }: NewMessage, target: string, nowMs: number): Claimed => {
  const { messageId, workspaceId, userId, templateId, templateVersion, variables, windowMs } = command
  return { messageId, target, fence: firstFence, workspaceId, userId, templateId, templateVersion, variables, windowMs, answer: null, nowMs }
}
