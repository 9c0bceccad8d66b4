// A sleep that can be ended: loops wait for their next work without polling.

/** A sleep that nobody ends. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** One sleeper at a time. A wake-up without a sleeper ends the next sleep at once. */
export class Wake {
  private sleeper: (() => void) | null = null
  private isDue = false

  /** Ends the sleep. */
  now(): void {
    if (this.sleeper) this.sleeper()
    else this.isDue = true
  }

  /** Sleeps for `ms`, or until woken. */
  async sleep(ms: number): Promise<void> {
    if (!this.isDue && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.sleeper = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.sleeper = null
    this.isDue = false
  }
}
