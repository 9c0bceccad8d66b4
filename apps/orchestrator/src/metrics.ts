// What Prometheus learns of the engine; docs/operations.md says what each number means and what to do about it.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { gaugeAtScrape, type Reading } from '@stepcast/service'

/** Where a partition of this process stands, for numbers read at a scrape. */
export interface Standing {
  readonly partition: number
  /** Last position written. */
  readonly logPosition: number
  /** Last position that Kafka has acknowledged. */
  readonly publishedPosition: number
}

/** What the numbers read at a scrape are read from. */
export interface EngineReadings {
  /** The partitions that this process owns. */
  standings(): readonly Standing[]
  /** Seconds since the oldest timer of these partitions was due; 0: none is. */
  overdueSeconds(): Promise<number>
}

/** Numbers of the turns of a process. */
export class EngineMetrics {
  private readonly inputs: Histogram
  private readonly seconds: Histogram
  private readonly lateness: Histogram
  private readonly changes: Counter
  private readonly recoveries: Counter
  private readonly takeOvers: Counter
  private readonly fences: Counter
  private readonly behind: Counter
  private readonly turnFailures: Counter
  private readonly asides: Counter
  private readonly refusals: Counter
  private readonly houseKept: Gauge
  private readonly houseFailures: Counter

  constructor(private readonly registry: Registry) {
    const registers = [registry]
    const labelNames = ['partition']
    this.inputs = new Histogram({
      name: 'stepcast_turn_inputs',
      help: 'Sends and engagements a turn.',
      buckets: [1, 10, 100, 1_000, 5_000],
      registers,
    })
    this.seconds = new Histogram({
      name: 'stepcast_turn_seconds',
      help: 'Duration of a turn, its wait for a permit included.',
      buckets: [0.005, 0.02, 0.05, 0.2, 1, 5],
      registers,
    })
    this.lateness = new Histogram({
      name: 'stepcast_timer_lateness_seconds',
      help: 'From due to the turn that fired it, by the database clock.',
      buckets: [0.005, 0.02, 0.05, 0.2, 1, 10, 60, 600],
      registers,
    })
    this.changes = new Counter({ name: 'stepcast_changes_total', help: 'Changes committed.', labelNames, registers })
    this.recoveries = new Counter({
      name: 'stepcast_recoveries_total',
      help: 'Times a partition dropped its memory and began again from its cursor.',
      labelNames,
      registers,
    })
    this.takeOvers = new Counter({
      name: 'stepcast_take_overs_total',
      help: 'Times this process became the owner of a partition.',
      labelNames,
      registers,
    })
    this.fences = new Counter({
      name: 'stepcast_fenced_total',
      help: 'Times a turn found that another process had taken its partition over, and rolled back.',
      labelNames,
      registers,
    })
    this.behind = new Counter({
      name: 'stepcast_receipts_behind_total',
      help: 'Timers fired although engagements reported before them were not stored yet.',
      labelNames,
      registers,
    })
    this.turnFailures = new Counter({
      name: 'stepcast_turn_failures_total',
      help: 'Turns that failed by their inputs, and were tried again with fewer.',
      labelNames,
      registers,
    })
    this.asides = new Counter({
      name: 'stepcast_set_aside_total',
      help: 'Inputs that no turn could work off, and that were put out of the way of the others.',
      labelNames: ['kind'],
      registers,
    })
    this.refusals = new Counter({
      name: 'stepcast_publish_refused_total',
      help: 'Times that committed changes could not be published for another reason than an outage.',
      labelNames,
      registers,
    })
    this.houseKept = new Gauge({
      name: 'stepcast_housekeeping_last_success_timestamp_seconds',
      help: 'When a task of housekeeping last succeeded, Unix time.',
      labelNames: ['task'],
      registers,
    })
    this.houseFailures = new Counter({
      name: 'stepcast_housekeeping_failures_total',
      help: 'Times a task of housekeeping failed.',
      labelNames: ['task'],
      registers,
    })
  }

  /** Registers what is read at a scrape. */
  readFrom(readings: EngineReadings): void {
    const gauge = (name: string, help: string, of: (standing: Standing) => number): void =>
      gaugeAtScrape(this.registry, { name, help, labelNames: ['partition'] }, () =>
        readings.standings().map((standing): Reading => ({ labels: { partition: standing.partition }, value: of(standing) })),
      )
    gauge('stepcast_log_position', 'Last log position written.', ({ logPosition }) => logPosition)
    gauge('stepcast_published_position', 'Last log position that Kafka has acknowledged.', ({ publishedPosition }) => publishedPosition)
    gauge(
      'stepcast_unpublished_changes',
      'Changes committed and not acknowledged by Kafka yet.',
      ({ logPosition, publishedPosition }) => logPosition - publishedPosition,
    )
    gaugeAtScrape(this.registry, { name: 'stepcast_owned_partitions', help: 'Home partitions that this process owns.' }, () => [
      { value: readings.standings().length },
    ])
    gaugeAtScrape(
      this.registry,
      { name: 'stepcast_timer_overdue_seconds', help: 'Since the oldest timer that has not fired was due; 0: none is due.' },
      async () => [{ value: await readings.overdueSeconds() }],
    )
  }

  /** A turn was committed. */
  turned(partition: number, inputs: number, changes: number, ms: number, latenessMs: readonly number[]): void {
    this.inputs.observe(inputs)
    this.seconds.observe(ms / 1_000)
    if (changes > 0) this.changes.inc({ partition }, changes)
    for (const late of latenessMs) this.lateness.observe(Math.max(0, late) / 1_000)
  }

  /** A partition began again from its cursor. */
  recovered(partition: number): void {
    this.recoveries.inc({ partition })
  }

  /** This process became the owner of a partition. */
  tookOver(partition: number): void {
    this.takeOvers.inc({ partition })
  }

  /** A turn found another owner. */
  fenced(partition: number): void {
    this.fences.inc({ partition })
  }

  /** Timers fired without waiting any longer for receipts. */
  receiptsBehind(partition: number, timers: number): void {
    this.behind.inc({ partition }, timers)
  }

  /** A turn failed by its inputs. */
  turnFailed(partition: number): void {
    this.turnFailures.inc({ partition })
  }

  /** An input of this kind was set aside. */
  setAside(kind: string): void {
    this.asides.inc({ kind })
  }

  /** What is committed could not be published, and no outage is the reason. */
  publishRefused(partition: number): void {
    this.refusals.inc({ partition })
  }

  /** A task of housekeeping succeeded or failed. */
  houseKeptBy(task: string, succeeded: boolean): void {
    if (succeeded) this.houseKept.set({ task }, Date.now() / 1_000)
    else this.houseFailures.inc({ task })
  }
}
