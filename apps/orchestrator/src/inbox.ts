// What waits for a home partition in its mailboxes, read once: it stays here until a turn has stored it.
import { errorClass, topics } from '@stepcast/contracts'
import type { KafkaConnection, Mailboxes, RawIncoming } from '@stepcast/kafka'
import type { Intake, Report, StartRequest } from './intake'
import { LettersWritten } from './lettersWritten'
import { firstOf, restOf, withinBytes, type Portion } from './portion'
import type { Counts } from './suspicion'

/** What an inbox needs. */
export interface InboxOptions {
  readonly connection: KafkaConnection
  readonly intake: Intake
  readonly mailboxes: () => Mailboxes
}

/** How far the partition's topics are stored. */
export interface Reached {
  readonly sendsOffset: number
  readonly engagementsOffset: number
}

const sends = topics.sends.name
const engagements = topics.engagements.name

// A turn's inputs: large enough that commit and publish cost little each, small enough to stay under about 200 ms.
const maxSends = 2_000
const maxEngagements = 4_000
// Bytes of their records: what a turn and its publishing hold is bounded, whatever variables and details say. 2,000 sends have some 600 kB.
const maxSendsBytes = 2 * 1024 * 1024
const maxEngagementsBytes = 4 * 1024 * 1024

/** The records of one home partition, from mailbox to turn. */
export class Inbox {
  readonly lettersWritten = new LettersWritten()
  private starts: Portion<StartRequest> | null = null
  private reports: Portion<Report> | null = null

  constructor(private readonly partition: number, private readonly options: InboxOptions) {}

  /** Whether there is anything of sends. */
  get hasSends(): boolean {
    return this.options.mailboxes().behind(this.partition, sends)
  }

  /** Whether there is anything of engagements. */
  get hasReports(): boolean {
    return this.options.mailboxes().behind(this.partition, engagements)
  }

  /** How many records wait. */
  get waiting(): number {
    const mailboxes = this.options.mailboxes()
    return mailboxes.waiting(this.partition, sends) + mailboxes.waiting(this.partition, engagements)
  }

  /** When the oldest record that waits was written, by its own timestamp (milliseconds); null: none waits. */
  get oldestAt(): number | null {
    const mailboxes = this.options.mailboxes()
    const first = [sends, engagements].flatMap((topic) => mailboxes.peek(this.partition, topic, 1).records)
    return first.length === 0 ? null : Math.min(...first.map(({ timestamp }) => timestamp))
  }

  /**
   * As many inputs as the next turn may take: read now, or found read by a turn that failed. `took` is told how many, and when reading
   * fails, of how many records.
   */
  async take(at: Reached, most: Counts, took: { sends: number; reports: number }): Promise<{ starts: Portion<StartRequest>; reports: Portion<Report> }> {
    const { intake } = this.options
    const takeStarts = async (): Promise<Portion<StartRequest>> => {
      if (most.sends === 0) return { inputs: [], nextOffset: at.sendsOffset }
      const waiting = this.front(sends, Math.min(maxSends, most.sends), maxSendsBytes)
      if (this.starts === null) took.sends = waiting.records.length
      this.starts ??= { inputs: await intake.sends(this.partition, waiting.records), nextOffset: waiting.nextOffset }
      return firstOf(this.starts, most.sends)
    }
    const takeReports = async (): Promise<Portion<Report>> => {
      if (most.reports === 0) return { inputs: [], nextOffset: at.engagementsOffset }
      const waiting = this.front(engagements, Math.min(maxEngagements, most.reports), maxEngagementsBytes)
      if (this.reports === null) took.reports = waiting.records.length
      this.reports ??= { inputs: await intake.engagements(this.partition, waiting.records), nextOffset: waiting.nextOffset }
      return firstOf(this.reports, most.reports)
    }
    // Both end before either's failure is told: nothing is read on behind its back.
    const [starts, reports] = await Promise.allSettled([takeStarts(), takeReports()])
    if (starts.status === 'rejected') throw starts.reason
    if (reports.status === 'rejected') throw reports.reason
    took.sends = starts.value.inputs.length
    took.reports = reports.value.inputs.length
    return { starts: starts.value, reports: reports.value }
  }

  /** A turn has stored everything before these offsets. */
  stored({ sendsOffset, engagementsOffset }: Reached): void {
    this.starts = restOf(this.starts, sendsOffset)
    this.reports = restOf(this.reports, engagementsOffset)
    this.lettersWritten.passed(sends, sendsOffset)
    this.lettersWritten.passed(engagements, engagementsOffset)
    const mailboxes = this.options.mailboxes()
    mailboxes.done(this.partition, sends, sendsOffset)
    mailboxes.done(this.partition, engagements, engagementsOffset)
  }

  /** The mailboxes are emptied: what was read of them is void. */
  forget(): void {
    this.starts = this.reports = null
  }

  /** The first record of a kind goes to the dead letters; its offset moves with the next turn, as that of any other. */
  async setAside(kind: 'sends' | 'reports', error: Error): Promise<void> {
    if (kind === 'sends') this.starts = await this.withoutFirst(this.starts, sends, error)
    else this.reports = await this.withoutFirst(this.reports, engagements, error)
  }

  private async withoutFirst<T extends { readonly record: RawIncoming }>(portion: Portion<T> | null, topic: string, error: Error): Promise<Portion<T>> {
    // Nothing is read where reading fails.
    const record = portion === null ? this.front(topic, 1, Infinity).records[0]! : portion.inputs[0]!.record
    await this.lettersWritten.write(this.options.connection, [{ record, reason: 'unprocessable', detail: `no turn can work it off: ${errorClass(error)}` }])
    return portion === null ? { inputs: [], nextOffset: record.offset + 1 } : { inputs: portion.inputs.slice(1), nextOffset: portion.nextOffset }
  }

  private front(topic: string, most: number, maxBytes: number): ReturnType<typeof withinBytes> {
    return withinBytes(this.options.mailboxes().peek(this.partition, topic, most), maxBytes)
  }
}
