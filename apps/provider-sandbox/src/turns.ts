// Turns: so many at a time, the others wait in a line.

/** A line in front of `places` places. */
export class Turns {
  private readonly line: (() => void)[] = []
  private busy = 0

  constructor(private readonly places: number) {}

  /** Does the work when its turn comes. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    // A place that is given up goes to the next in line without becoming free in between.
    if (this.busy >= this.places) await new Promise<void>((resolve) => this.line.push(resolve))
    else this.busy += 1
    try {
      return await work()
    } finally {
      const next = this.line.shift()
      if (next === undefined) this.busy -= 1
      else next()
    }
  }
}
