// A home partition in this process: taken over, turned again and again, published behind, recovered in one way.
import { topics } from '@stepcast/contracts'
import type { KafkaConnection, Mailboxes, StartOffsets } from '@stepcast/kafka'
import { inTransaction } from '@stepcast/postgres'
import type { Intake } from './intake'
import type { EngineMetrics } from './metrics'
import { publishChanges, republish } from './publish'
import type { Permits } from './permits'
import { insertCursor, lockCursor, raiseEpoch, type Cursor } from './sql/cursor'
import { CursorMoved, PartitionLost, takeTurn, type CachedSequence, type TurnOptions, type TurnResult } from './turn'

/** What the partitions of a process share. */
export interface PartitionOptions {
  readonly turn: TurnOptions
  readonly intake: Intake
  readonly mailboxes: () => Mailboxes
  readonly clusterId: string
  /** At most three turns per process hold a transaction. */
  readonly permits: Permits
  readonly metrics: EngineMetrics
  /** A turn set a timer, or more may be due: look at the agenda by this instant (milliseconds of the database's clock; 0: now). */
  readonly lookAgainAt: (dueAt: number) => void
  /** A turn has set a timer for this instant; 0: the partition was taken over, and its timers are not known. */
  readonly timerSet: (partition: number, dueAt: number) => void
}

/** Timers due may fire once the engagements that were on the topic have been stored (receipts first, rule 20). */
export interface Barrier {
  /** Timers due at this instant of the database's clock fire. */
  readonly upTo: number
  /** The end of the partition's engagements, sampled after `upTo`. */
  readonly endOffset: number
  /** There was no timer before this instant when the others were found due. */
  readonly from: number
}

/** This database belongs to another Kafka cluster, or the cluster lost data: refuses to go on and names the way out. */
export class WrongCluster extends Error {
  readonly retriable = false
}

const sends = topics.sends.name
const engagements = topics.engagements.name

// A turn's inputs: large enough that commit and publish cost little each, small enough to stay under about 200 ms.
const maxSends = 2_000
const maxEngagements = 4_000
/** Tiny turns would cost a commit each: wait this long for company, unless this much is there already. */
const lingerMs = 10
const lingerUnless = 500
// About 1 kB each, 12 partitions: some 100 MB at most.
const maxCached = 8_000
/** At this many unpublished turns the partition takes no more input. */
const maxUnpublished = 2
const receiptsPatienceMs = 30_000
const maxBackoffMs = 5_000
/** Variables are personal: with no other turn by then, those of ended sequences go in one of their own. */
const forgetWithinMs = 1_000
/** A process hears of a rebalance with its next heartbeat, 2 s at most. */
const fencedPatienceMs = 3_000

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface Owned {
  readonly epoch: number
  logPosition: number
  publishedPosition: number
  engagementsOffset: number
  sendsOffset: number
}

/** One home partition. */
export class HomePartition {
  private owned: Owned | null = null
  private cache = new Map<string, CachedSequence>()
  private looping = false
  private again = false
  private stopped = false
  private barrier: Barrier | null = null
  private barrierProgressAt = 0
  private hasJobs = false
  private publishing: Promise<void> = Promise.resolve()
  private unpublished = 0
  private publishError: Error | null = null
  /** Sequences whose end is published: their variables go with the next turn. */
  private forget: string[] = []
  private forgetTimer: NodeJS.Timeout | null = null
  private mustForget = false
  private failures = 0
  /** How often Kafka has given the partition to another process. */
  private losses = 0
  /** Taking over and recovering, one after another: the later must not be overwritten by the earlier. */
  private owning: Promise<unknown> = Promise.resolve()

  constructor(readonly partition: number, private readonly options: PartitionOptions) {}

  /** Whether timers of this partition are ours to fire. */
  get isOwned(): boolean {
    return this.owned !== null
  }

  /** Whether due timers wait for receipts to be stored first. */
  get awaitsReceipts(): boolean {
    return this.barrier !== null
  }

  /** Where it stands, for metrics; null: it is not ours. */
  get standing(): Readonly<Owned> | null {
    return this.owned
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
   * Fenced: another process has taken the partition over, and as a rule Kafka is about to say so. If it does not, the other one was
   * late and has lost it again: then it is ours to take over once more, or it would stand still until the next rebalance.
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
    if (this.barrier !== null) return
    this.barrier = barrier
    this.barrierProgressAt = Date.now()
    this.kick()
  }

  /** A cancel job waits. */
  jobsWait(): void {
    this.hasJobs = true
    this.kick()
  }

  /** Lets the turn at hand and its publishing finish. */
  async stop(): Promise<void> {
    this.stopped = true
    while (this.looping) await sleep(5)
    await this.publishing.catch(() => {})
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.owning.then(work)
    this.owning = done.catch(() => {})
    return done
  }

  private forgetAll(): void {
    this.cache = new Map()
    this.barrier = null
    this.hasJobs = false
    this.publishError = null
    this.forgetThese([])
  }

  private forgetThese(sequenceIds: string[]): void {
    if (this.forgetTimer) clearTimeout(this.forgetTimer)
    this.forgetTimer = null
    this.mustForget = false
    this.forget = sequenceIds
    this.forgetSoon()
  }

  private forgetSoon(): void {
    if (this.forget.length === 0 || this.forgetTimer !== null) return
    this.forgetTimer = setTimeout(() => {
      this.mustForget = true
      this.kick()
    }, forgetWithinMs).unref()
  }

  // One way for a new owner (`epoch` null: raise it) and for recovery after any error (keep it, or find the partition lost).
  private async own(epoch: number | null): Promise<StartOffsets> {
    const { turn: { pool, connection }, clusterId } = this.options
    await this.publishing.catch(() => {})
    this.forgetAll()
    const bounds = await boundsOf(connection, this.partition)
    // A statement of its own: uncommitted, the row of a process that stands still would hold up its successor, who has no patience here.
    await insertCursor(pool, this.partition, clusterId, { sends: bounds.sends.low, engagements: bounds.engagements.low })
    const cursor = await inTransaction(pool, async (tx): Promise<Cursor> => {
      const locked = (await lockCursor(pool, tx, this.partition))!
      if (epoch === null) return { ...locked, ownerEpoch: await raiseEpoch(tx, this.partition) }
      if (locked.ownerEpoch !== epoch) throw new PartitionLost(`partition ${this.partition} has another owner`)
      return locked
    })
    mustBeOurs(cursor, clusterId, this.partition, bounds)
    this.forgetThese([...(await republish(connection, pool, this.partition, cursor.publishedPosition, cursor.logPosition))])
    const sendsOffset = this.skipTrimmed(sends, cursor.sendsOffset, bounds.sends.low)
    const engagementsOffset = this.skipTrimmed(engagements, cursor.engagementsOffset, bounds.engagements.low)
    this.owned = { epoch: cursor.ownerEpoch, logPosition: cursor.logPosition, publishedPosition: cursor.logPosition, sendsOffset, engagementsOffset }
    this.unpublished = 0
    this.options.timerSet(this.partition, 0)
    this.options.lookAgainAt(0)
    return { [sends]: sendsOffset, [engagements]: engagementsOffset }
  }

  private skipTrimmed(topic: string, stored: number, low: number): number {
    if (stored >= low) return stored
    this.options.turn.connection.log.error({ topic, partition: this.partition, from: stored, to: low }, 'records were deleted by retention before they were read')
    return low
  }

  private async loop(): Promise<void> {
    while (this.again && this.owned !== null && !this.stopped) {
      this.again = false
      while (this.owned !== null && !this.stopped && (this.publishError !== null || this.hasWork())) {
        const { owned } = this
        try {
          if (this.publishError) throw this.publishError
          await this.linger()
          // Taken over anew, or lost, meanwhile.
          if (this.owned !== owned) continue
          // A cancel is answered when its job has begun: by then every command decided before it is on its topic.
          if (this.unpublished >= maxUnpublished || (this.hasJobs && this.unpublished > 0)) {
            await this.publishing
            continue
          }
          await this.turn(owned)
          this.failures = 0
        } catch (error) {
          await this.recover(error as Error, owned)
        }
      }
    }
  }

  private hasWork(): boolean {
    const mailboxes = this.options.mailboxes()
    return this.hasJobs || this.mustForget || mailboxes.behind(this.partition, sends) || mailboxes.behind(this.partition, engagements) || this.firing(this.owned!.engagementsOffset) !== null
  }

  /** Whether timers may fire in a turn that stores engagements up to this offset, and with which note. */
  private firing(engagementsOffset: number): { from: number; upTo: number; note: 'receipts_behind' | null } | null {
    if (this.barrier === null) return null
    const { from, upTo, endOffset } = this.barrier
    if (engagementsOffset >= endOffset) return { from, upTo, note: null }
    if (Date.now() - this.barrierProgressAt >= receiptsPatienceMs) return { from, upTo, note: 'receipts_behind' }
    return null
  }

  private async linger(): Promise<void> {
    const mailboxes = this.options.mailboxes()
    const waiting = mailboxes.waiting(this.partition, sends) + mailboxes.waiting(this.partition, engagements)
    // Timers are late already: they do not wait for company.
    if (waiting > 0 && waiting < lingerUnless && this.barrier === null) await sleep(lingerMs)
  }

  private async turn(owned: Owned): Promise<void> {
    const { turn, intake, mailboxes: boxes, permits, metrics } = this.options
    const mailboxes = boxes()
    const { hasJobs } = this
    const sendsWaiting = mailboxes.peek(this.partition, sends, maxSends)
    const engagementsWaiting = mailboxes.peek(this.partition, engagements, maxEngagements)
    const [starts, reports] = await Promise.all([
      intake.sends(this.partition, sendsWaiting.records), intake.engagements(this.partition, engagementsWaiting.records),
    ])
    const sendsOffset = Math.max(owned.sendsOffset, sendsWaiting.nextOffset)
    const engagementsOffset = Math.max(owned.engagementsOffset, engagementsWaiting.nextOffset)
    const firing = this.firing(engagementsOffset)
    // As of now: a publish that ends during the turn adds to the list, and what this turn does not delete must stay on it.
    const forget = [...this.forget]
    const startedAt = performance.now()
    const result = await permits.run(() => takeTurn(turn, this.partition, { ownerEpoch: owned.epoch, logPosition: owned.logPosition }, this.cache, {
      starts, reports, sendsOffset, engagementsOffset, fireFrom: firing?.from ?? 0, fireUpTo: firing?.upTo ?? null, note: firing?.note ?? null, hasJobs,
      publishedPosition: owned.publishedPosition, forget,
    }))
    metrics.turned(this.partition, starts.length + reports.length, result.changes.length, performance.now() - startedAt, result.latenessMs)
    if (firing?.note) metrics.receiptsBehind(this.partition, result.latenessMs.length)
    if (this.owned !== owned) return
    this.committed(owned, result, { sendsOffset, engagementsOffset, fired: firing !== null, tookJobs: hasJobs, forgotten: forget.length })
    mailboxes.done(this.partition, sends, sendsOffset)
    mailboxes.done(this.partition, engagements, engagementsOffset)
  }

  private committed(owned: Owned, result: TurnResult, done: { sendsOffset: number; engagementsOffset: number; fired: boolean; tookJobs: boolean; forgotten: number }): void {
    if (done.engagementsOffset > owned.engagementsOffset) this.barrierProgressAt = Date.now()
    owned.logPosition = result.logPosition
    owned.sendsOffset = done.sendsOffset
    owned.engagementsOffset = done.engagementsOffset
    this.forgetThese(this.forget.slice(done.forgotten))
    this.remember(result.remembered)
    if (result.nextDueAt !== null) this.options.timerSet(this.partition, result.nextDueAt)
    if (done.fired) this.barrier = null
    if (done.tookJobs) this.hasJobs = result.more
    if (done.fired) this.options.lookAgainAt(0)
    else if (result.nextDueAt !== null) this.options.lookAgainAt(result.nextDueAt)
    this.publish(owned, result)
  }

  private remember(sequences: readonly CachedSequence[]): void {
    for (const sequence of sequences) {
      // Set anew, so that the oldest stand first.
      this.cache.delete(sequence.head.sequenceId)
      this.cache.set(sequence.head.sequenceId, sequence)
    }
    for (const oldest of this.cache.keys()) {
      if (this.cache.size <= maxCached) break
      this.cache.delete(oldest)
    }
  }

  // Behind the turn, one at a time, so that the next transaction runs meanwhile.
  private publish(owned: Owned, { changes, logPosition }: TurnResult): void {
    if (changes.length === 0) return
    this.unpublished++
    this.publishing = this.publishing.then(async () => {
      if (this.publishError) return
      // failpoint: before-publish
      await publishChanges(this.options.turn.connection, this.partition, changes)
      // failpoint: after-publish
      owned.publishedPosition = logPosition
      for (const change of changes) if (change.ended && change.variables) this.forget.push(change.head.sequenceId)
      this.forgetSoon()
    }).catch((error: Error) => {
      this.publishError = error
    }).finally(() => {
      this.unpublished--
      if (this.publishError) this.kick()
    })
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
    this.options.turn.connection.log.warn({ partition: this.partition, attempt, delayMs, error: error.message, stack: error.stack }, `${what} failed, trying again`)
    await sleep(delayMs)
  }
}

interface Bounds {
  readonly sends: { readonly low: number; readonly end: number }
  readonly engagements: { readonly low: number; readonly end: number }
}

async function boundsOf(connection: KafkaConnection, partition: number): Promise<Bounds> {
  const [ofSends, ofEngagements] = await Promise.all([connection.offsets(sends), connection.offsets(engagements)])
  const nothing = { low: 0, end: 0 }
  return { sends: ofSends.get(partition) ?? nothing, engagements: ofEngagements.get(partition) ?? nothing }
}

function mustBeOurs(cursor: Cursor, clusterId: string, partition: number, bounds: Bounds): void {
  const wayOut = 'Point KAFKA_BROKERS at the cluster this database belongs to, or DATABASE_URL at a database of this cluster (a new one will do); `npm run reset` deletes the local ones.'
  if (cursor.clusterId !== clusterId) {
    throw new WrongCluster(`the database was filled from Kafka cluster ${cursor.clusterId}, this is cluster ${clusterId}: offsets mean nothing here. ${wayOut}`)
  }
  for (const [topic, stored, { end }] of [[sends, cursor.sendsOffset, bounds.sends], [engagements, cursor.engagementsOffset, bounds.engagements]] as const) {
    if (stored > end) {
      throw new WrongCluster(`partition ${partition} of ${topic} ends at ${end}, but was read to ${stored}: the cluster has lost records, or is another one. ${wayOut}`)
    }
  }
}
