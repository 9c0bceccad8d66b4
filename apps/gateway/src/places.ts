// Places at a service, so many at a time; whoever has waited too long for one is told to come again instead of being served when nobody waits.

/** There was no place in time. */
export class NoPlace extends Error {}

interface Waiting {
  readonly take: () => void
  readonly until: NodeJS.Timeout
}

/** A bounded number of places with a line before them. */
export class Places {
  private taken = 0
  private readonly line = new Set<Waiting>()

  /**
   * @param most places
   * @param longest line
   * @param withinMs how long anyone stands in it
   */
  constructor(private readonly most: number, private readonly longest: number, private readonly withinMs: number) {}

  /** How many are in the line. */
  get waiting(): number {
    return this.line.size
  }

  /**
   * Takes a place; answers what gives it back, once and only once however often it is called.
   * @throws NoPlace at once when the line is full, or after the time
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.taken < this.most && this.line.size === 0) this.taken++
    else await this.wait(signal)
    let given = false
    return () => {
      if (given) return
      given = true
      this.giveBack()
    }
  }

  private wait(signal: AbortSignal): Promise<void> {
    if (this.line.size >= this.longest) throw new NoPlace('the line is full')
    return new Promise((resolve, reject) => {
      const leave = (error: unknown): void => {
        clearTimeout(waiting.until)
        signal.removeEventListener('abort', gone)
        this.line.delete(waiting)
        if (error === null) resolve()
        else reject(error instanceof Error ? error : new Error(String(error)))
      }
      const gone = (): void => leave(signal.reason)
      const waiting: Waiting = { take: () => leave(null), until: setTimeout(() => leave(new NoPlace(`no place within ${this.withinMs} ms`)), this.withinMs) }
      signal.addEventListener('abort', gone, { once: true })
      this.line.add(waiting)
    })
  }

  // The place goes from hand to hand: nobody who comes just now is served before those in the line.
  private giveBack(): void {
    const [next] = this.line
    if (next === undefined) this.taken--
    else next.take()
  }
}
