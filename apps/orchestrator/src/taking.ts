// What a partition's next turn takes: asked for once, kept until a turn has committed it, and nothing that can go on waits for what cannot.
import { topics } from '@stepcast/contracts'
import type { Waiting } from '@stepcast/kafka'
import type { Intake, Report, StartRequest } from './intake'
import { mayDisturb } from './quietHours'

/** How long receipts, timers and cancels wait for a question that sends, or quiet hours, wait for: most are answered in 2 ms. */
const patienceMs = 50

/** What taking needs. */
export interface TakingOptions {
  readonly partition: number
  readonly intake: Pick<Intake, 'sends' | 'engagements'>
  /** The front of a mailbox. */
  readonly peek: (topic: string) => Waiting
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
  readonly upTo: number
  readonly note: 'receipts_behind' | null
}

/** What a turn may take now. */
export interface Taken extends Offsets {
  readonly starts: readonly StartRequest[]
  readonly reports: readonly Report[]
  readonly firing: Firing | null
  /** What is known of quiet hours is of after these were taken. */
  readonly knowsQuietHours: boolean
  /** Something is left for later, since its question is not answered yet. */
  readonly waits: boolean
}

/** Records of one topic on their way. */
interface Batch<T> {
  readonly isEmpty: boolean
  readonly nextOffset: number
  readonly answer: Question<readonly T[]>
}

/** The inputs of one partition. */
export class Taking {
  private sends: Batch<StartRequest> | null = null
  private engagements: Batch<Report> | null = null
  /** The question for quiet hours, and for what it was asked. */
  private quiet: { readonly of: readonly unknown[]; readonly answer: Question<unknown> } | null = null

  constructor(private readonly options: TakingOptions) {}

  /** Everything is read again from the cursor. */
  forget(): void {
    this.sends = this.engagements = this.quiet = null
  }

  /** What can be taken now. `firing`: the timers that may fire in a turn that stores engagements up to an offset. */
  async take({ sendsOffset, engagementsOffset }: Offsets, firing: (engagementsOffset: number) => Firing | null): Promise<Taken> {
    const { partition, intake, peek, usersCaughtUp } = this.options
    if (this.sends === null || this.sends.isEmpty) this.sends = batchOf(peek(topics.sends.name), (records) => intake.sends(partition, records))
    if (this.engagements === null || this.engagements.isEmpty) {
      this.engagements = batchOf(peek(topics.engagements.name), (records) => intake.engagements(partition, records))
    }
    const { sends, engagements } = this
    const [starts, reports] = await Promise.all([sends.answer.within(patienceMs), engagements.answer.ask])
    const reached = Math.max(engagementsOffset, engagements.nextOffset)
    const all: Omit<Taken, 'knowsQuietHours'> = {
      starts: starts ?? [], reports, firing: firing(reached), engagementsOffset: reached,
      sendsOffset: starts === null ? sendsOffset : Math.max(sendsOffset, sends.nextOffset), waits: starts === null,
    }
    if (!mayDisturb(all)) return { ...all, knowsQuietHours: false }
    const of = [sends.isEmpty || sends, engagements.isEmpty || engagements, all.firing?.upTo]
    // One question for the same inputs; what was taken after it was asked asks anew.
    if (!this.quiet?.of.every((one, index) => one === of[index])) this.quiet = { of, answer: new Question(usersCaughtUp()) }
    if ((await this.quiet!.answer.within(patienceMs)) !== null) return { ...all, knowsQuietHours: true }
    const calm = { ...all, starts: [], firing: null, sendsOffset, knowsQuietHours: false, waits: true }
    return mayDisturb(calm) ? { ...calm, reports: [], engagementsOffset } : calm
  }

  /** A turn has committed everything before these. */
  done({ sendsOffset, engagementsOffset }: Offsets): void {
    if (this.sends && sendsOffset >= this.sends.nextOffset) this.sends = null
    if (this.engagements && engagementsOffset >= this.engagements.nextOffset) this.engagements = null
  }
}

const batchOf = <T>({ records, nextOffset }: Waiting, take: (records: Waiting['records']) => Promise<T[]>): Batch<T> =>
  ({ isEmpty: records.length === 0, nextOffset, answer: new Question(take(records)) })

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
