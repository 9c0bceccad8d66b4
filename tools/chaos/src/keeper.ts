// Brings back whatever ends, soon and always: what a supervisor of a real installation does.
import { sleep } from '@stepcast/stack'

/** A process that is kept running: a service, the broker, the database. */
export interface Kept {
  readonly name: string
  readonly pid: number | undefined
  kill(signal?: NodeJS.Signals): void
  ended(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

const noticeMs = 300
const againMs = 1_000

/** Restarts everything that ends until it is told to stop. */
export class Keeper {
  private over = false
  private readonly held = new Set<string>()
  private readonly down = new Set<string>()

  constructor(private readonly parts: readonly Kept[]) {
    for (const part of parts) void this.keep(part)
  }

  /** Whether every one of these is up and ready. */
  isUp(names: readonly string[]): boolean {
    return names.every((name) => !this.down.has(name) && !this.held.has(name))
  }

  /** Whether all are. */
  get isAllUp(): boolean {
    return this.down.size === 0 && this.held.size === 0
  }

  part(name: string): Kept {
    const found = this.parts.find((part) => part.name === name)
    if (found === undefined) throw new Error(`nothing is called ${name}`)
    return found
  }

  /** Leaves these alone while the work goes on, even when they end; afterwards they are brought back. */
  async holding<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    names.forEach((name) => this.held.add(name))
    try {
      return await work()
    } finally {
      names.forEach((name) => this.held.delete(name))
    }
  }

  stop(): void {
    this.over = true
  }

  private async keep(part: Kept): Promise<void> {
    while (!this.over) {
      await part.ended()
      this.down.add(part.name)
      await sleep(noticeMs)
      if (this.over || this.held.has(part.name)) continue
      try {
        await part.restart()
        this.down.delete(part.name)
      } catch {
        // It needs something else that is down: that comes back, too.
        await sleep(againMs)
      }
    }
  }
}
