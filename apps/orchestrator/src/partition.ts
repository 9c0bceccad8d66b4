// A home partition in this process: taken over, turned again and again, published behind, recovered in one way.
import { errorClass, isOutage, topics } from '@stepcast/contracts'
import type { StartOffsets } from '@stepcast/kafka'
import { WrongCluster } from './cluster'
import { ownPartition } from './ownership'
import type { PartitionOptions, PartitionStanding } from './partitionOptions'
import { Publisher } from './publisher'
import { ReceiptsBarrier, type Barrier } from './receiptsBarrier'
import type { Remembered } from './sequenceCache'
import { framesOf, setAside } from './setAside'
import { maxReached } from './sql/cancels'
import { nothing, Suspicion, type Counts, type Kind } from './suspicion'
import { Taking } from './taking'
import { CursorMoved, maxTimers, PartitionLost, takeTurn, type TurnResult } from './turn'

const sends = topics.sends.name
const engagements = topics.engagements.name

/** Tiny turns would cost a commit each: wait this long for company, unless this much is there already. */
const lingerMs = 10
const lingerUnless = 500
/** At this many unpublished turns the partition takes no more input. */
const maxUnpublished = 2
const maxBackoffMs = 5_000
/** Variables are personal: with no other turn by then, those of ended sequences go in one of their own. */
const forgetWithinMs = 500
/** A process hears of a rebalance with its next heartbeat, 2 s at most. */
const fencedPatienceMs = 3_000

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface Owned {
  readonly epoch: number
  readonly publisher: Publisher
  logPosition: number
  engagementsOffset: number
  sendsOffset: number
}

/** One home partition. */
export class HomePartition {
  private owned: Owned | null = null
  private looping = false
  private again = false
  private stopped = false
  private readonly barrier = new ReceiptsBarrier()
  private hasJobs = false
  private reconsiders = false
  /** The publisher of the last ownership: the next begins when it has ended. */
  private publisher: Publisher | null = null
  private forgetTimer: NodeJS.Timeout | null = null
  private mustForget = false
  private failures = 0
  /** How often Kafka has given the partition to another process. */
  private losses = 0
  /** Taking over and recovering, one after another: the later must not be overwritten by the earlier. */
  private owning: Promise<unknown> = Promise.resolve()
  private readonly taking: Taking
  private readonly suspicion = new Suspicion()
  /** What the turn at hand has taken. */
  private took: Record<Kind, number> = { ...nothing }

  constructor(
    readonly partition: number,
    private readonly options: PartitionOptions,
    private readonly cache: Remembered,
  ) {
    const {
      intake,
      turn: { users },
      mailboxes,
    } = options
    this.taking = new Taking({
      partition,
      intake,
      usersCaughtUp: () => users.caughtUp(),
      peek: (topic, most) => mailboxes().peek(partition, topic, most),
    })
  }

  /** Whether timers of this partition are ours to fire. */
  get isOwned(): boolean {
    return this.owned !== null
  }

  /** Whether due timers wait for receipts to be stored first. */
  get awaitsReceipts(): boolean {
    return this.barrier.isUp
  }

  /** Where it stands, for metrics; null: it is not ours. */
  get standing(): PartitionStanding | null {
    if (this.owned === null) return null
    const { epoch, logPosition, publisher, engagementsOffset, sendsOffset } = this.owned
    return { epoch, logPosition, publishedPosition: publisher.all.position, engagementsOffset, sendsOffset }
  }

  /** Makes this process the owner and publishes what the one before left unpublished; answers where to read from. */
  takeOver(): Promise<StartOffsets | null> {
    const { losses } = this
    return this.inTurn(() => this.takeOverNow(losses))
  }

  // Lost since it was asked for: whoever has the partition now must not be fenced by a takeover that comes late.
  private async takeOverNow(losses: number): Promise<StartOffsets | null> {
    this.owned = null
    for (let attempt = 0; !this.stopped && this.losses === losses; attempt++) {
      try {
        const offsets = await this.own(null)
        if (this.losses === losses) return offsets
        this.owned = null
      } catch (error) {
        if (error instanceof WrongCluster) throw error
        await this.backOff('taking over', attempt, error as Error)
      }
    }
    return null
  }

  /** The partition is another process's now. */
  lose(): void {
    this.losses++
    this.giveUp()
  }

  private giveUp(): void {
    this.owned = null
    this.forgetAll()
  }

  /**
   * Fenced: another process has taken the partition over, and as a rule Kafka is about to say so. If the group says instead that it is
   * still ours, the other one was late and has lost it again: then it is taken over once more, or it would stand still until the next rebalance.
   */
  private fenced(): void {
    this.options.turn.connection.log.info({ partition: this.partition }, 'partition given up: it has another owner')
    this.options.metrics.fenced(this.partition)
    this.giveUp()
    setTimeout(() => {
      if (this.owned === null && !this.stopped) this.options.mailboxes().takeOverAgain(this.partition)
    }, fencedPatienceMs).unref()
  }

  /** Something waits. */
  kick(): void {
    this.again = true
    if (this.looping || this.owned === null || this.stopped) return
    this.looping = true
    void this.loop().finally(() => {
      this.looping = false
      if (this.again && this.owned !== null && !this.stopped) this.kick()
    })
  }

  /** Timers are due. */
  timersDue(barrier: Barrier): void {
    if (this.barrier.isUp) return
    this.barrier.putUp(barrier, Date.now())
    this.kick()
  }

  /** A cancel job waits. */
  jobsWait(): void {
    this.hasJobs = true
    this.kick()
  }

  /** Somebody's quiet hours have changed. */
  peopleWait(): void {
    this.reconsiders = true
    this.kick()
  }

  /** These have ended, but their variables are still kept. */
  forgetAlso(sequenceIds: readonly string[]): void {
    if (sequenceIds.length > 0) this.owned?.publisher.alsoEnded(sequenceIds)
  }

  /** Lets the turn at hand and its publishing finish, and forgets what has ended. */
  async stop(): Promise<void> {
    this.stopped = true
    while (this.looping) await sleep(5)
    await this.publisher?.settled()
    // What is not forgotten now is found by the sweep of whoever comes next.
    for (let turns = 0; turns < 10 && this.owned !== null && this.owned.publisher.all.ended.length > 0; turns++) {
      const done = await this.turn(this.owned, nothing).catch(() => false)
      if (!done) break
    }
    if (this.forgetTimer) clearTimeout(this.forgetTimer)
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.owning.then(work)
    this.owning = done.catch(() => {})
    return done
  }

  private forgetAll(): void {
    this.cache.clear()
    this.barrier.takeDown()
    this.hasJobs = false
    this.reconsiders = false
    this.taking.forget()
  }

  private forgetSoon(): void {
    if (this.forgetTimer !== null || this.owned === null || this.owned.publisher.all.ended.length === 0) return
    this.forgetTimer = setTimeout(() => {
      this.forgetTimer = null
      this.mustForget = true
      this.kick()
    }, forgetWithinMs).unref()
  }

  // One way for a new owner (`epoch` null: raise it) and for recovery after any error (keep it, or find the partition lost).
  private async own(epoch: number | null): Promise<StartOffsets> {
    const {
      turn: { pool, connection },
      clusterId,
      metrics,
    } = this.options
    const before = this.publisher
    await before?.settled()
    this.forgetAll()
    if (epoch === null) await this.options.cancelsFirst()
    const { cursor, sendsOffset, engagementsOffset } = await ownPartition(this.options.turn, this.partition, clusterId, epoch)
    // Ended stays ended: under the same ownership what was to be forgotten still is.
    const publisher = await Publisher.begin(
      {
        pool,
        connection,
        partition: this.partition,
        mayForget: () => this.forgetSoon(),
        failed: () => this.kick(),
        refused: () => metrics.publishRefused(this.partition),
      },
      cursor,
      epoch === null ? [] : (before?.all.ended ?? []),
    )
    this.publisher = publisher
    this.owned = { epoch: cursor.ownerEpoch, publisher, logPosition: cursor.logPosition, sendsOffset, engagementsOffset }
    this.forgetSoon()
    this.options.sweepSoon()
    this.options.timerSet(this.partition, 0)
    this.options.lookAgainAt(0)
    return { [sends]: sendsOffset, [engagements]: engagementsOffset }
  }

  private async loop(): Promise<void> {
    while (this.again && this.owned !== null && !this.stopped) {
      this.again = false
      while (this.owned !== null && !this.stopped && (this.owned.publisher.error !== null || this.hasWork(this.owned))) {
        const { owned } = this
        const { publisher } = owned
        try {
          if (publisher.error) throw publisher.error
          await this.linger()
          // Taken over anew, or lost, meanwhile.
          if (this.owned !== owned) continue
          // A cancel is answered when its job has begun: by then every command decided before it is on its topic.
          if (publisher.unpublished >= maxUnpublished || (this.hasJobs && publisher.unpublished > 0)) {
            await publisher.settled()
            continue
          }
          if (!(await this.turn(owned, this.suspicion.most(this.waits(owned), Date.now())))) continue
          this.failures = 0
          this.suspicion.succeeded(this.took)
        } catch (error) {
          await this.failed(error as Error, owned)
        }
      }
    }
  }

  private hasWork(owned: Owned): boolean {
    return this.mustForget || this.waits(owned).size > 0
  }

  private waits(owned: Owned): ReadonlySet<Kind> {
    const mailboxes = this.options.mailboxes()
    const waits = new Set<Kind>()
    if (mailboxes.behind(this.partition, sends)) waits.add('sends')
    if (mailboxes.behind(this.partition, engagements)) waits.add('reports')
    if (this.hasJobs || this.reconsiders) waits.add('jobs')
    if (this.barrier.firing(owned.engagementsOffset, Date.now()) !== null) waits.add('timers')
    return waits
  }

  private async linger(): Promise<void> {
    const mailboxes = this.options.mailboxes()
    const waiting = mailboxes.waiting(this.partition, sends) + mailboxes.waiting(this.partition, engagements)
    // Timers are late already: they do not wait for company.
    if (waiting > 0 && waiting < lingerUnless && !this.barrier.isUp) await sleep(lingerMs)
  }

  /** Answers whether a turn was committed: it is not where everything waits for a question, or the partition was lost meanwhile. */
  private async turn(owned: Owned, most: Counts): Promise<boolean> {
    const { turn, mailboxes: boxes, permits, metrics } = this.options
    const mailboxes = boxes()
    const took = (this.took = { ...nothing })
    const hasJobs = this.hasJobs && most.jobs > 0
    const taken = await this.taking.take(
      owned,
      most,
      took,
      (offset) => (most.timers > 0 ? this.barrier.firing(offset, Date.now()) : null),
      this.reconsiders && most.jobs > 0,
    )
    if (this.owned !== owned) return false
    const { starts, reports, sendsOffset, engagementsOffset, firing, reconsiders, knowsQuietHours, waits } = taken
    // Nothing but what waits for a question: asked again at once, which waits a little.
    const isIdle =
      sendsOffset === owned.sendsOffset &&
      engagementsOffset === owned.engagementsOffset &&
      firing === null &&
      !hasJobs &&
      !reconsiders &&
      !this.mustForget
    if (waits && isIdle) return false
    const startedAt = performance.now()
    const { result, published } = await permits.run(async () => {
      // One value, taken now: what is published and what has ended by then belong together.
      const { published } = owned.publisher
      const result = await takeTurn(turn, this.partition, { ownerEpoch: owned.epoch, logPosition: owned.logPosition }, this.cache, {
        starts,
        reports,
        sendsOffset,
        engagementsOffset,
        fireFrom: firing?.from ?? 0,
        fireUpTo: firing?.upTo ?? null,
        note: firing?.note ?? null,
        hasJobs,
        reconsiders,
        knowsQuietHours,
        published,
        most: { timers: Math.min(maxTimers, most.timers), jobs: Math.min(maxReached, most.jobs) },
        took,
      })
      return { result, published }
    })
    metrics.turned(this.partition, starts.length + reports.length, result.changes.length, performance.now() - startedAt, result.latenessMs)
    if (firing?.note) metrics.receiptsBehind(this.partition, result.latenessMs.length)
    if (this.owned !== owned) return false
    owned.publisher.stored(published)
    // A turn may have left sends for the next one.
    const reached = { sendsOffset: result.sendsOffset, engagementsOffset }
    this.committed(owned, result, { ...reached, fired: firing !== null, tookJobs: hasJobs, reconsidered: reconsiders })
    this.taking.done(reached)
    mailboxes.done(this.partition, sends, reached.sendsOffset)
    mailboxes.done(this.partition, engagements, reached.engagementsOffset)
    return true
  }

  private committed(
    owned: Owned,
    result: TurnResult,
    done: { sendsOffset: number; engagementsOffset: number; fired: boolean; tookJobs: boolean; reconsidered: boolean },
  ): void {
    if (done.engagementsOffset > owned.engagementsOffset) this.barrier.progressed(Date.now())
    owned.logPosition = result.logPosition
    owned.sendsOffset = done.sendsOffset
    owned.engagementsOffset = done.engagementsOffset
    this.mustForget = false
    this.forgetSoon()
    this.cache.remember(result.remembered)
    if (result.nextDueAt !== null) this.options.timerSet(this.partition, result.nextDueAt)
    if (done.fired) this.barrier.takeDown()
    if (done.tookJobs) this.hasJobs = result.more
    if (done.reconsidered) this.reconsiders = result.moreReconsider
    if (done.fired) this.options.lookAgainAt(0)
    else if (result.nextDueAt !== null) this.options.lookAgainAt(result.nextDueAt)
    owned.publisher.publish(result.changes, result.logPosition)
  }

  // An outage, and whatever leaves it open what was committed, is answered by beginning again. Any other error is the inputs': its
  // transaction was rolled back, so the same ones are tried again, and fewer and fewer, until the one is found.
  private async failed(error: Error, owned: Owned): Promise<void> {
    if (this.owned !== owned) return
    if (error instanceof PartitionLost || error instanceof CursorMoved || error === owned.publisher.error) return this.recover(error, owned)
    const answer = this.suspicion.failed(error, this.took, Date.now())
    if (isOutage(error)) return this.recover(error, owned)
    this.cache.clear()
    const {
      turn: { connection },
      metrics,
    } = this.options
    connection.log.warn(
      { partition: this.partition, errorClass: errorClass(error), took: this.took, at: framesOf(error) },
      'a turn failed by its inputs, trying again',
    )
    metrics.turnFailed(this.partition)
    if (answer.next === 'again') return sleep(answer.delayMs)
    try {
      const { partition, taking, barrier } = this
      await setAside(answer.kind, error, {
        partition,
        ownerEpoch: owned.epoch,
        turn: this.options.turn,
        metrics,
        taking,
        firedUpTo: barrier.upTo,
      })
      this.suspicion.wentAside(answer.kind)
    } catch (failure) {
      await this.recover(failure as Error, owned)
    }
  }

  // A failure concerns the ownership that its turn ran under: after a rebalance this process may be its own successor.
  private async recover(error: Error, owned: Owned): Promise<void> {
    if (this.owned !== owned) return
    const { epoch } = owned
    if (error instanceof PartitionLost) return this.fenced()
    if (!(error instanceof CursorMoved)) await this.backOff('a turn', this.failures++, error)
    while (!this.stopped && this.owned?.epoch === epoch) {
      try {
        return await this.inTurn(() => this.beginAgain(epoch))
      } catch (failure) {
        if (failure instanceof PartitionLost) return this.fenced()
        if (failure instanceof WrongCluster) return this.options.turn.connection.fatal(failure)
        await this.backOff('recovering', this.failures++, failure as Error)
      }
    }
  }

  private async beginAgain(epoch: number): Promise<void> {
    // Taken over anew meanwhile: there is nothing left to recover.
    if (this.owned?.epoch !== epoch) return
    const offsets = await this.own(epoch)
    this.options.mailboxes().reset(this.partition, offsets)
    this.options.metrics.recovered(this.partition)
  }

  private async backOff(what: string, attempt: number, error: Error): Promise<void> {
    const delayMs = Math.min(maxBackoffMs, 100 * 2 ** attempt)
    this.options.turn.connection.log.warn(
      { partition: this.partition, attempt, delayMs, error: error.message, stack: error.stack },
      `${what} failed, trying again`,
    )
    await sleep(delayMs)
  }
}
