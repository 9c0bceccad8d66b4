// How long the oldest record that a reader has not worked off has been waiting, told from samples of a topic's ends: no record is read for it.

interface Sample {
  readonly end: number
  /** When the partition was first seen to reach there. */
  readonly at: number
}

// While a reader stands, each sample of a busy topic adds one: at one every 15 s this is a quarter of an hour, then every second goes.
const samplesKept = 64

/** The samples of one topic, for one of its readers. */
export class LagAge {
  private readonly samples = new Map<number, Sample[]>()

  /** The ends of the topic's partitions as they were at `now`, milliseconds. */
  sample(ends: ReadonlyMap<number, number>, now: number): void {
    for (const [partition, end] of ends) {
      const samples = this.samples.get(partition) ?? []
      this.samples.set(partition, samples)
      // A topic made anew begins anew.
      if ((samples.at(-1)?.end ?? -1) > end) samples.length = 0
      if (samples.at(-1)?.end === end) continue
      samples.push({ end, at: now })
      // The first one stays: it tells of the record that waits longest.
      if (samples.length > samplesKept)
        this.samples.set(
          partition,
          samples.filter((_sample, i) => i === 0 || i % 2 === 0),
        )
    }
  }

  /**
   * Milliseconds that the record at `offset`, the next to be worked off, has been there at least: since the first sample that reached
   * beyond it. What was there before the first sample counts from that one. 0: no sample knows of such a record.
   */
  ageMs(partition: number, offset: number, now: number): number {
    const samples = this.samples.get(partition) ?? []
    const first = samples.findIndex(({ end }) => end > offset)
    // What is behind the reader is of no use any more; the last sample is what the next one is compared with.
    samples.splice(0, first === -1 ? samples.length - 1 : first)
    return first === -1 ? 0 : Math.max(0, now - samples[0]!.at)
  }
}
