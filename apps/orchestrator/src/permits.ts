// A fixed number of permits, handed out in order of asking.

/** Lets at most `count` pieces of work run at once. */
export class Permits {
  private readonly queue: (() => void)[] = []

  constructor(private free: number) {}

  /** Runs the work when a permit is free. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.free === 0) await new Promise<void>((resolve) => this.queue.push(resolve))
    else this.free--
    try {
      return await work()
    } finally {
      const next = this.queue.shift()
      if (next) next()
      else this.free++
    }
  }
}
