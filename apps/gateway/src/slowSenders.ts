// Who sends slowly waits for himself; of those who wait there may be so many of one address and of one caller.
import { Problem } from '@stepcast/service'
import { Count } from './places'

// Bodies of a megabyte at most that were not here after a second. A phone on a bad line has one; a proxy in front of us brings bodies whole.
const mostOfAddress = 128
const mostOfCaller = 32

/** Bodies that are on their way for longer than a second. */
export class SlowSenders {
  private readonly ofAddresses = new Count()
  private readonly ofCallers = new Count()

  /**
   * One more of an address and a caller (null: nobody is known).
   * @returns what says that it is here, or gone
   * @throws Problem 429 when there are too many
   */
  enter(address: string, caller: string | null): () => void {
    if (this.ofAddresses.of(address) >= mostOfAddress || (caller !== null && this.ofCallers.of(caller) >= mostOfCaller)) {
      throw new Problem({
        status: 429,
        detail: 'Too many requests of yours have begun and do not end: send each body without pauses.',
        headers: { 'retry-after': '10', connection: 'close' },
      })
    }
    this.ofAddresses.add(address, 1)
    if (caller !== null) this.ofCallers.add(caller, 1)
    return () => {
      this.ofAddresses.add(address, -1)
      if (caller !== null) this.ofCallers.add(caller, -1)
    }
  }
}
