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
   * one leave places for the rest. None stays free that somebody can use.
   * @param workspaceIds in the order of their names
   * @param wanted how many a workspace can use
   */
  deal(workspaceIds: readonly string[], wanted: (workspaceId: string) => number = () => Infinity): Share[] {
    let free = Math.min(this.free, this.ownBucket.available(own))
    if (free < 1) return []
    const next = workspaceIds.findIndex((workspaceId) => workspaceId > this.servedLast)
    const turns = next < 1 ? workspaceIds : [...workspaceIds.slice(next), ...workspaceIds.slice(0, next)]
    const shares = turns.map((workspaceId) => ({ workspaceId, take: 0, most: Math.min(wanted(workspaceId), this.mostOf(workspaceId)) }))
    let able = shares.filter(({ most }) => most >= 1)
    // Round after round: what somebody cannot use is left for those who can. What does not divide evenly goes to the first in turn.
    while (free > 0 && able.length > 0) {
      const each = Math.max(1, Math.floor(free / able.length))
      for (const share of able) {
        const more = Math.min(each, share.most - share.take, free)
        share.take += more
        free -= more
      }
      able = able.filter(({ take, most }) => take < most)
    }
    return shares.filter(({ take }) => take > 0).map(({ workspaceId, take }) => ({ workspaceId, take }))
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

  /** How many calls a workspace may begin now, were all places free that it does not hold. */
  private mostOf(workspaceId: string): number {
    const { concurrency, buckets, breakers } = this.options
    const most = Math.max(1, Math.floor((concurrency * 3) / 4))
    return Math.min(most - (this.inFlight.get(workspaceId) ?? 0), buckets.available(workspaceId), breakers.admits(workspaceId))
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
