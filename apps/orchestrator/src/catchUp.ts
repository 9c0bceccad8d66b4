// The pace of catching up: after an outage timers that are long due go out at a bounded rate, not all at once.

// A tenth of a second's worth may go at once, so that the pace is even.
const burst = 0.1

/** Counts timers against a rate; what was taken beyond it is paid back by waiting. */
export class Pace {
  private tokens: number
  private at: number

  /**
   * @param perSecond timers a second
   * @param now a clock that never jumps, milliseconds
   */
  constructor(
    private readonly perSecond: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.tokens = this.most
    this.at = now()
  }

  /** How many timers may go now; 0: wait {@link waitMs}. */
  available(): number {
    this.fill()
    return Math.max(0, Math.floor(this.tokens))
  }

  /** These many went. */
  take(count: number): void {
    this.fill()
    this.tokens -= count
  }

  /** Milliseconds until at least one may go; 0: now. */
  waitMs(): number {
    this.fill()
    return this.tokens >= 1 ? 0 : Math.ceil(((1 - this.tokens) * 1_000) / this.perSecond)
  }

  private get most(): number {
    return Math.max(1, this.perSecond * burst)
  }

  private fill(): void {
    const now = this.now()
    this.tokens = Math.min(this.most, this.tokens + ((now - this.at) * this.perSecond) / 1_000)
    this.at = now
  }
}
