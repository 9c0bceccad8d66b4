// What a home partition shares with the others of its process, and what it tells of itself.
import type { Mailboxes } from '@stepcast/kafka'
import type { Intake } from './intake'
import type { EngineMetrics } from './metrics'
import type { Permits } from './permits'
import type { TurnOptions } from './turn'

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
  /** Answers when every cancel that was there when it was asked is recorded. */
  readonly cancelsFirst: () => Promise<void>
  /** A partition has begun: variables that were to be forgotten are known to nobody any more. */
  readonly sweepSoon: () => void
  /** A turn has set a timer for this instant; 0: the partition was taken over, and its timers are not known. */
  readonly timerSet: (partition: number, dueAt: number) => void
}

/** Where an owned partition stands, for metrics. */
export interface PartitionStanding {
  readonly epoch: number
  readonly logPosition: number
  readonly publishedPosition: number
  readonly engagementsOffset: number
  readonly sendsOffset: number
}
