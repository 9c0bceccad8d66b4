// The last resort: what to do after a failure, so that one record that cannot be worked off never stops those behind it.
import { isOutage } from './outage'

/** What to do after a failure. */
export type AfterFailure =
  /** An outage: the same inputs again after the delay, for as long as it takes. */
  | { readonly next: 'wait'; readonly delayMs: number }
  /** Try again after the delay, with at most {@link LastResort.most} inputs. */
  | { readonly next: 'again'; readonly delayMs: number }
  /** The one input that was tried goes to the dead letters; then call {@link LastResort.wentAside} and go on behind it. */
  | { readonly next: 'setAside' }

/** Tries of the same inputs before the last resort: an error that passes by itself has mostly passed by the third. */
const triesOfAll = 3
/** Inputs that fail slowly are given up after this time even with fewer tries, but never at the first failure. */
const giveUpAfterMs = 10_000
// Where every input fails this bounds how fast they go aside: five a second, so that a bug is noticed before a topic has gone.
const tryAgainMs = 100
const firstWaitMs = 100
const maxWaitMs = 10_000

/**
 * Decides for one ordered stream of inputs (a partition, an outbox). An outage is waited out and never counted against the inputs. Any
 * other error is theirs: what fails three times, or for 10 s, is halved until a single input is left; that one, failing three times
 * itself, is set aside, and the size grows back. Pure: the caller tries, waits and sets aside.
 */
export class LastResort {
  /** How many inputs a try may take; grows back to any number after the last input that went aside. */
  private limit = Infinity
  /** The next so many inputs hold one that fails, as far as is known. */
  private suspects = 0
  private failures = 0
  private failingSince = 0
  private outages = 0

  /** How many inputs the next try may take, at least 1. */
  most(): number {
    return this.limit
  }

  /** A try of the next `taken` inputs failed at `now` (milliseconds). */
  failed(error: unknown, taken: number, now: number): AfterFailure {
    if (isOutage(error)) {
      this.failingSince = now
      return { next: 'wait', delayMs: Math.min(maxWaitMs, firstWaitMs * 2 ** Math.min(this.outages++, 10)) }
    }
    this.outages = 0
    if (this.failures++ === 0) this.failingSince = now
    const isEnough = this.failures >= triesOfAll || (this.failures > 1 && now - this.failingSince >= giveUpAfterMs)
    if (taken <= 1) return isEnough ? { next: 'setAside' } : { next: 'again', delayMs: tryAgainMs }
    // A part of what has failed is halved at once: only all of it and the single one are tried three times.
    if (isEnough || this.suspects > 0 || this.limit < Infinity) {
      this.suspects = taken
      this.limit = Math.floor(taken / 2)
      this.failures = 0
    }
    return { next: 'again', delayMs: tryAgainMs }
  }

  /** The next `taken` inputs are worked off. */
  succeeded(taken: number): void {
    this.outages = this.failures = 0
    if (this.limit === Infinity) return
    this.suspects = Math.max(0, this.suspects - taken)
    this.limit = this.suspects > 0 ? Math.max(1, Math.floor(this.suspects / 2)) : grown(this.limit)
  }

  /** The input is among the dead letters. Its neighbour may be of the same kind, so the size begins at 1 and doubles with every success. */
  wentAside(): void {
    this.outages = this.failures = this.suspects = 0
    this.limit = 1
  }
}

// Larger than any batch of the project: from here on there is no limit again.
const normalAgain = 4_096
const grown = (limit: number): number => (limit * 2 >= normalAgain ? Infinity : limit * 2)
