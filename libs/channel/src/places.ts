// The places of a lane: calls under way are bounded, and free places are dealt out fairly across workspaces.
import type { Breakers } from './breakers'
import { TokenBuckets } from './tokenBucket'

/** What bounds a lane. */
export interface PlacesOptions {
  /** Calls under way at a time. */
  readonly concurrency: number
  /** Calls a second of all workspaces together. */
  readonly ratePerSecond: number
  /** Each workspace's, shared by the lanes. */
  readonly buckets: TokenBuckets
  readonly breakers: Breakers
}

/** How many places a workspace gets. */
export interface Share {
  readonly workspaceId: string
  readonly take: number
}

const own = 'own'

/** Who may begin a call now. */
export class Places {
  /** Calls claimed or under way. */
  underWay = 0
  private readonly inFlight = new Map<string, number>()
  private readonly ownBucket: TokenBuckets
  /** Given places last: the next deal begins after it. */
  private servedLast = ''

  constructor(private readonly options: PlacesOptions) {
    this.ownBucket = new TokenBuckets(options.ratePerSecond)
  }

  /** Places nobody has taken. */
  get free(): number {
    return this.options.concurrency - this.underWay
  }

  /** Whether so many are free that a batch for them is worth its statements. */
  isWorthwhile(part: number): boolean {
    return this.free >= this.options.concurrency * part
  }

  /**
   * Deals free places out: evenly, going around, and never more to one workspace than three quarters of all, so that calls which hang for
   * one leave places for the rest.
   * @param workspaceIds in the order of their names
   * @param wanted how many a workspace can use; a share nobody uses goes to the next
   */
  deal(workspaceIds: readonly string[], wanted: (workspaceId: string) => number = () => Infinity): Share[] {
    const { concurrency, buckets, breakers } = this.options
    let free = Math.min(this.free, this.ownBucket.available(own))
    const next = workspaceIds.findIndex((workspaceId) => workspaceId > this.servedLast)
    const turns = next < 1 ? workspaceIds : [...workspaceIds.slice(next), ...workspaceIds.slice(0, next)]
    const most = Math.max(1, Math.floor((concurrency * 3) / 4))
    const shares: Share[] = []
    turns.forEach((workspaceId, i) => {
      const take = Math.min(
        Math.ceil(free / (turns.length - i)),
        wanted(workspaceId),
        most - (this.inFlight.get(workspaceId) ?? 0),
        buckets.available(workspaceId),
        breakers.admits(workspaceId),
      )
      if (take < 1) return
      shares.push({ workspaceId, take })
      free -= take
    })
    return shares
  }

  /** Takes places. */
  take(shares: readonly Share[]): void {
    for (const { workspaceId, take } of shares) {
      this.count(workspaceId, take)
      this.ownBucket.take(own, take)
      this.options.buckets.take(workspaceId, take)
      this.servedLast = workspaceId
    }
  }

  /** Gives places back that nobody used: as if they had not been taken. */
  giveBack(shares: readonly Share[]): void {
    for (const { workspaceId, take } of shares) {
      this.count(workspaceId, -take)
      this.ownBucket.take(own, -take)
      this.options.buckets.take(workspaceId, -take)
    }
  }

  /** The call that had a place has ended. */
  release(workspaceId: string): void {
    this.count(workspaceId, -1)
  }

  /** Milliseconds until a workspace may be dealt a place again, as far as rates and breakers tell; 0: now. */
  waitMs(workspaceId: string): number {
    const { buckets, breakers } = this.options
    return Math.max(this.ownBucket.waitMs(own), buckets.waitMs(workspaceId), breakers.waitMs(workspaceId))
  }

  private count(workspaceId: string, change: number): void {
    const count = (this.inFlight.get(workspaceId) ?? 0) + change
    if (count === 0) this.inFlight.delete(workspaceId)
    else this.inFlight.set(workspaceId, count)
    this.underWay += change
  }
}

/** How many of each workspace there are. */
export function sharesOf(workspaceIds: Iterable<string>): readonly Share[] {
  const counts = new Map<string, number>()
  for (const workspaceId of workspaceIds) counts.set(workspaceId, (counts.get(workspaceId) ?? 0) + 1)
  return [...counts].map(([workspaceId, take]) => ({ workspaceId, take }))
}
