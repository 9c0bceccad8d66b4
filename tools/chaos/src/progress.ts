// Whether the product works again: every partition has started a sequence, and had a command answered, since a moment.
import { partitionOf, type SequenceChanged } from '@stepcast/contracts'
import { answers } from './history'

/** What has to work before a fault counts as recovered from. */
export type Work = 'sequences' | 'in_app' | 'push' | 'sms' | 'kakao'

/** Follows the log. */
export class Progress {
  private readonly startedAt = new Map<number, number>()
  private readonly answeredAt = new Map<string, number>()
  private readonly commandedAt = new Map<string, number>()
  private readonly open = new Set<string>()
  /** A change may be read again after the end: when topics are delivered twice, a start is copied whose end came too late to be. */
  private readonly ended = new Set<string>()

  constructor(private readonly partitions: number) {}

  /** Sequences started and not ended. */
  get running(): number {
    return this.open.size
  }

  readonly onChange = ({ sequenceId, recordedAt, events }: SequenceChanged): void => {
    const partition = partitionOf(sequenceId, this.partitions)
    for (const event of events) {
      switch (event.type) {
        case 'SequenceStarted':
          if (!this.ended.has(sequenceId)) this.open.add(sequenceId)
          this.startedAt.set(partition, Math.max(this.startedAt.get(partition) ?? 0, recordedAt))
          break
        case 'StepCommanded':
          for (const channel of event.channels) this.commandedAt.set(`${sequenceId}.${event.step}.${channel}`, event.commandedAt)
          break
        case 'EngagementRecorded':
          if ((answers as readonly string[]).includes(event.kind)) this.answered(partition, event.channelType, event.messageId)
          break
        case 'SequenceEnded':
          this.open.delete(sequenceId)
          this.ended.add(sequenceId)
          break
        case 'StepDeferred':
        case 'StepEnded':
        case 'EscalationRegretted':
          break
      }
    }
  }

  /** The partitions in which this does not work again, judged by what was begun after that moment. */
  missing(work: Work, since: number): readonly number[] {
    return Array.from({ length: this.partitions }, (_, partition) => partition).filter(
      (partition) => ((work === 'sequences' ? this.startedAt.get(partition) : this.answeredAt.get(`${partition} ${work}`)) ?? 0) <= since,
    )
  }

  /** Whether this works in every partition again. */
  works(work: Work, since: number): boolean {
    return this.missing(work, since).length === 0
  }

  private answered(partition: number, channelType: string, messageId: string): void {
    const place = `${partition} ${channelType}`
    this.answeredAt.set(place, Math.max(this.answeredAt.get(place) ?? 0, this.commandedAt.get(messageId) ?? 0))
  }
}
