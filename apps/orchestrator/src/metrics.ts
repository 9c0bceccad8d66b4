// What Prometheus learns of the engine.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Numbers of the turns of a process. */
export class EngineMetrics {
  private readonly inputs: Histogram
  private readonly seconds: Histogram
  private readonly lateness: Histogram
  private readonly changes: Counter
  private readonly recoveries: Counter
  private readonly position: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.inputs = new Histogram({ name: 'stepcast_turn_inputs', help: 'Inputs a turn.', buckets: [1, 10, 100, 1_000, 5_000], registers })
    this.seconds = new Histogram({ name: 'stepcast_turn_seconds', help: 'Duration of a turn, its wait for a permit included.', buckets: [0.005, 0.02, 0.05, 0.2, 1, 5], registers })
    this.lateness = new Histogram({
      name: 'stepcast_timer_lateness_seconds', help: 'From due to the turn that fired it, by the database clock.', buckets: [0.005, 0.02, 0.05, 0.2, 1, 10, 60], registers,
    })
    this.changes = new Counter({ name: 'stepcast_changes_total', help: 'Changes committed.', labelNames: ['partition'], registers })
    this.recoveries = new Counter({ name: 'stepcast_recoveries_total', help: 'Times a partition dropped its memory and began again from its cursor.', labelNames: ['partition'], registers })
    this.position = new Gauge({ name: 'stepcast_published_position', help: 'Last log position published.', labelNames: ['partition'], registers })
  }

  /** A turn was committed. */
  turned(partition: number, inputs: number, changes: number, ms: number, latenessMs: readonly number[]): void {
    this.inputs.observe(inputs)
    this.seconds.observe(ms / 1_000)
    if (changes > 0) this.changes.inc({ partition }, changes)
    for (const late of latenessMs) this.lateness.observe(Math.max(0, late) / 1_000)
  }

  /** Changes up to a position are on Kafka. */
  published(partition: number, position: number): void {
    this.position.set({ partition }, position)
  }

  /** A partition began again from its cursor. */
  recovered(partition: number): void {
    this.recoveries.inc({ partition })
  }
}
