// What a partition's next turn takes: read once, kept until a turn has committed it, and nothing that can go on waits for what cannot.
import { topics } from '@stepcast/contracts'
import type { RawIncoming, Waiting } from '@stepcast/kafka'
import type { Intake, Report, StartRequest } from './intake'
import { firstOf, restOf, withinBytes, type Portion } from './portion'
import { mayDisturb } from './quietHours'
import type { Counts, Kind } from './suspicion'

/** How long receipts, timers and cancels wait for a question that sends, or quiet hours, wait for: most are answered in 2 ms. */
const patienceMs = 50

// A turn's inputs: large enough that commit and publish cost little each, small enough to stay under about 200 ms.
const maxSends = 2_000
const maxEngagements = 4_000
// Bytes of their records: what a turn and its publishing hold is bounded, whatever variables and details say. 2,000 sends have some 600 kB.
const maxSendsBytes = 2 * 1024 * 1024
const maxEngagementsBytes = 4 * 1024 * 1024

/** What taking needs. */
export interface TakingOptions {
  readonly partition: number
  readonly intake: Pick<Intake, 'sends' | 'engagements'>
  /** The front of a mailbox, at most so many records. */
  readonly peek: (topic: string, most: number) => Waiting
  /** Answers when every change of a user that was acknowledged before this call can be read. */
  readonly usersCaughtUp: () => Promise<unknown>
}

/** Where the partition stands. */
export interface Offsets {
  readonly sendsOffset: number
  readonly engagementsOffset: number
}

/** Timers that may fire, if any do. */
export interface Firing {
  /** None of them was due before this instant. */
  readonly from: number
  readonly upTo: number
  readonly note: 'receipts_behind' | null
}

/** What a turn may take now. */
export interface Taken extends Offsets {
  readonly starts: readonly StartRequest[]
  readonly reports: readonly Report[]
  readonly firing: Firing | null
  /** Whether people whose quiet hours have changed are asked about. */
  readonly reconsiders: boolean
  /** What is known of quiet hours is of after these were taken. */
  readonly knowsQuietHours: boolean
  /** Something is left for later, since its question is not answered yet. */
  readonly waits: boolean
}

/** The inputs of one partition. */
export class Taking {
  private readonly sends: Line<StartRequest>
  private readonly engagements: Line<Report>
  /** The question for quiet hours, and for what it was asked. */
  private quiet: { readonly of: readonly unknown[]; readonly answer: Question<unknown> } | null = null

  constructor(private readonly options: TakingOptions) {
    const { partition, intake, peek } = options
    this.sends = new Line({
      peek: (most) => withinBytes(peek(topics.sends.name, Math.min(maxSends, most)), maxSendsBytes),
      read: (records) => intake.sends(partition, records),
    })
    this.engagements = new Line({
      peek: (most) => withinBytes(peek(topics.engagements.name, Math.min(maxEngagements, most)), maxEngagementsBytes),
      read: (records) => intake.engagements(partition, records),
    })
  }

  /** Everything is read again from the cursor. */
  forget(): void {
    this.sends.forget()
    this.engagements.forget()
    this.quiet = null
  }

  /**
   * What can be taken now, at most so many of each kind; `took` is told how many were, also when reading them fails.
   * `firing`: the timers that may fire in a turn that stores engagements up to an offset. `reconsiders`: somebody's quiet hours have changed.
   */
  async take(
    { sendsOffset, engagementsOffset }: Offsets,
    most: Counts,
    took: Record<Kind, number>,
    firing: (engagementsOffset: number) => Firing | null,
    reconsiders = false,
  ): Promise<Taken> {
    const { usersCaughtUp } = this.options
    // Both end before either's failure is told: nothing is read on behind its back.
    const [ofSends, ofEngagements] = await Promise.allSettled([
      this.sends.first(most.sends, patienceMs, (n) => (took.sends = n)),
      this.engagements.first(most.reports, null, (n) => (took.reports = n)),
    ])
    if (ofSends.status === 'rejected') throw ofSends.reason
    if (ofEngagements.status === 'rejected') throw ofEngagements.reason
    const starts = ofSends.value
    const reports = ofEngagements.value!
    const reached = Math.max(engagementsOffset, reports.nextOffset)
    const all: Omit<Taken, 'knowsQuietHours'> = {
      starts: starts?.inputs ?? [],
      reports: reports.inputs,
      firing: firing(reached),
      reconsiders,
      engagementsOffset: reached,
      sendsOffset: Math.max(sendsOffset, starts?.nextOffset ?? 0),
      waits: starts === null,
    }
    if (!mayDisturb(all)) return { ...all, knowsQuietHours: false }
    const of = [this.sends.identity, this.engagements.identity, all.firing?.upTo, reconsiders]
    // One question for the same inputs; what was taken after it was asked asks anew.
    if (!this.quiet?.of.every((one, index) => one === of[index])) this.quiet = { of, answer: new Question(usersCaughtUp()) }
    if ((await this.quiet!.answer.within(patienceMs)) !== null) return { ...all, knowsQuietHours: true }
    took.sends = 0
    const calm = { ...all, starts: [], firing: null, reconsiders: false, sendsOffset, knowsQuietHours: false, waits: true }
    if (!mayDisturb(calm)) return calm
    took.reports = 0
    return { ...calm, reports: [], engagementsOffset }
  }

  /** A turn has committed everything before these. */
  done({ sendsOffset, engagementsOffset }: Offsets): void {
    this.sends.done(sendsOffset)
    this.engagements.done(engagementsOffset)
  }

  /** The record that stands first in line; the one whose reading or turn fails when no other is taken. Null: none waits. */
  firstRecord(kind: 'sends' | 'reports'): RawIncoming | null {
    return this.lineOf(kind).firstRecord()
  }

  /** The record that stands first is dealt with elsewhere: its offset moves with the next turn, as that of any other. */
  pass(kind: 'sends' | 'reports'): void {
    this.lineOf(kind).pass()
  }

  private lineOf(kind: 'sends' | 'reports'): Line<StartRequest> | Line<Report> {
    return kind === 'sends' ? this.sends : this.engagements
  }
}

interface LineOptions<T> {
  readonly peek: (most: number) => Waiting
  readonly read: (records: readonly RawIncoming[]) => Promise<readonly T[]>
}

/** Records of one topic on their way. */
interface Batch<T> {
  readonly records: readonly RawIncoming[]
  readonly nextOffset: number
  readonly answer: Question<readonly T[]>
  /** What is left of it; null: it is not read yet. */
  portion: Portion<T> | null
}

/** One topic's records: read once, taken in portions. */
class Line<T extends { readonly record: RawIncoming }> {
  private batch: Batch<T> | null = null

  constructor(private readonly options: LineOptions<T>) {}

  /** The same as long as the same records are at hand. */
  get identity(): unknown {
    return this.batch === null || this.batch.records.length === 0 || this.batch
  }

  forget(): void {
    this.batch = null
  }

  /** The first inputs, at most so many; null: they are not read within the patience. */
  async first(most: number, withinMs: number | null, took: (n: number) => void): Promise<Portion<T> | null> {
    if (most === 0) return { inputs: [], nextOffset: 0 }
    // One that found nothing looks again.
    if (this.batch === null || this.batch.records.length === 0) this.batch = this.begin(most)
    const { batch } = this
    // Where reading fails, these are what failed.
    took(batch.records.length)
    if (batch.portion === null) {
      const read = await (withinMs === null ? batch.answer.ask : batch.answer.within(withinMs)).catch((error: unknown) => {
        if (this.batch === batch) this.batch = null
        throw error
      })
      if (read === null) {
        took(0)
        return null
      }
      batch.portion = { inputs: read, nextOffset: batch.nextOffset }
    }
    const portion = firstOf(batch.portion, most)
    took(portion.inputs.length)
    return portion
  }

  done(offset: number): void {
    const { batch } = this
    if (batch === null || batch.portion === null) return
    batch.portion = restOf(batch.portion, offset)
    if (batch.portion === null) this.batch = null
  }

  firstRecord(): RawIncoming | null {
    return this.batch?.portion?.inputs[0]?.record ?? this.options.peek(1).records[0] ?? null
  }

  pass(): void {
    const { batch } = this
    const first = this.firstRecord()
    if (first === null) return
    if (batch?.portion && batch.portion.inputs.length > 0)
      batch.portion = { inputs: batch.portion.inputs.slice(1), nextOffset: batch.portion.nextOffset }
    // It was never read: the next turn passes it alone.
    else
      this.batch = {
        records: [first],
        nextOffset: first.offset + 1,
        answer: new Question(Promise.resolve([])),
        portion: { inputs: [], nextOffset: first.offset + 1 },
      }
  }

  private begin(most: number): Batch<T> {
    const { records, nextOffset } = this.options.peek(most)
    return { records, nextOffset, answer: new Question(this.options.read(records)), portion: null }
  }
}

/** Something asked once, looked at again and again. */
class Question<T> {
  constructor(readonly ask: Promise<T>) {
    // Whoever looks is told of a failure.
    ask.catch(() => {})
  }

  /** The answer; null: there is none within this time. */
  async within(ms: number): Promise<T | null> {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<null>((resolve) => (timer = setTimeout(resolve, ms, null)))
    try {
      return await Promise.race([this.ask, patience])
    } finally {
      clearTimeout(timer)
    }
  }
}
