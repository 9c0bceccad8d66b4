// Receipts first (rule 20): timers that are due wait until the engagements reported before them are stored, but not for ever. Pure.
import type { Firing } from './taking'

/** Timers due may fire once the engagements that were on the topic have been stored. */
export interface Barrier {
  /** Timers due at this instant of the database's clock fire. */
  readonly upTo: number
  /** The end of the partition's engagements, sampled after `upTo`. */
  readonly endOffset: number
  /** There was no timer before this instant when the others were found due. */
  readonly from: number
}

/** Without progress for so long, timers fire all the same, and say so. */
export const receiptsPatienceMs = 30_000

/** The barrier of a partition, if there is one; times are milliseconds of a clock of the caller's. */
export class ReceiptsBarrier {
  private barrier: Barrier | null = null
  private progressAt = 0

  /** Whether timers wait. */
  get isUp(): boolean {
    return this.barrier !== null
  }

  /** Timers due at this instant of the database's clock wait; 0: none. */
  get upTo(): number {
    return this.barrier?.upTo ?? 0
  }

  /** Puts it up, unless one is: then the timers due since are found when that one is down. */
  putUp(barrier: Barrier, now: number): void {
    if (this.barrier !== null) return
    this.barrier = barrier
    this.progressAt = now
  }

  /** Engagements were stored: patience begins anew. */
  progressed(now: number): void {
    this.progressAt = now
  }

  /** Its timers have fired, or the partition is another's. */
  takeDown(): void {
    this.barrier = null
  }

  /** Which timers may fire in a turn that stores engagements up to this offset, and with which note; null: none. */
  firing(engagementsOffset: number, now: number): Firing | null {
    if (this.barrier === null) return null
    const { from, upTo, endOffset } = this.barrier
    if (engagementsOffset >= endOffset) return { from, upTo, note: null }
    return now - this.progressAt >= receiptsPatienceMs ? { from, upTo, note: 'receipts_behind' } : null
  }
}
