// Places at a service, so many at a time: nobody takes more than a share of them, and whoever has waited too long is told to come again instead
// of being served when nobody waits any longer.

/** There was no place in time. */
export class NoPlace extends Error {}

/** How many places there are, and who may have how many. */
export interface PlacesOptions {
  /** Places in all. */
  readonly most: number
  /** Places of one owner: what is left is for the others. */
  readonly mostOfOne: number
  /** How many stand in the line, in all and of one owner. */
  readonly line: number
  readonly lineOfOne: number
  /** How long anyone stands in it. */
  readonly withinMs: number
}

interface Waiting {
  readonly owner: string
  readonly take: () => void
}

/** A bounded number of places with a line before them. */
export class Places {
  private readonly taken = new Count()
  private readonly inLine = new Count()
  private readonly line = new Set<Waiting>()

  constructor(private readonly options: PlacesOptions) {}

  /** How many are in the line. */
  get waiting(): number {
    return this.line.size
  }

  /**
   * Takes a place for an owner; answers what gives it back, once and only once however often it is called.
   * @throws NoPlace at once when the line is full, or after the time
   */
  async take(owner: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.mayTake(owner) && this.inLine.of(owner) === 0) this.taken.add(owner, 1)
    else await this.wait(owner, signal)
    let given = false
    return () => {
      if (given) return
      given = true
      this.taken.add(owner, -1)
      this.serve()
    }
  }

  private mayTake(owner: string): boolean {
    return this.taken.all < this.options.most && this.taken.of(owner) < this.options.mostOfOne
  }

  private wait(owner: string, signal: AbortSignal): Promise<void> {
    const { line, lineOfOne, withinMs } = this.options
    if (this.line.size >= line || this.inLine.of(owner) >= lineOfOne) throw new NoPlace('the line is full')
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(until)
        signal.removeEventListener('abort', gone)
        this.line.delete(waiting)
        this.inLine.add(owner, -1)
      }
      const gone = (): void => {
        leave()
        reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
      }
      const until = setTimeout(() => {
        leave()
        reject(new NoPlace(`no place within ${withinMs} ms`))
      }, withinMs)
      const waiting: Waiting = {
        owner,
        take: () => {
          leave()
          this.taken.add(owner, 1)
          resolve()
        },
      }
      signal.addEventListener('abort', gone, { once: true })
      this.line.add(waiting)
      this.inLine.add(owner, 1)
    })
  }

  // The first in the line whose owner has not got his share yet; nobody who comes just now is served before those of the same owner.
  private serve(): void {
    for (const waiting of this.line) {
      if (!this.mayTake(waiting.owner)) continue
      waiting.take()
      if (this.taken.all >= this.options.most) return
    }
  }
}

/** How many of whom. */
export class Count {
  private readonly byOwner = new Map<string, number>()
  /** Of everybody. */
  all = 0

  of(owner: string): number {
    return this.byOwner.get(owner) ?? 0
  }

  add(owner: string, more: number): void {
    const count = this.of(owner) + more
    if (count === 0) this.byOwner.delete(owner)
    else this.byOwner.set(owner, count)
    this.all += more
  }
}
