// How much one workspace may send a second, so that its burst leaves the others' latency alone.

interface Bucket {
  tokens: number
  at: number
}

// 100 bytes each; the one unused longest goes first, and a full bucket is all it loses.
const maxWorkspaces = 10_000

/** A token bucket per workspace, holding at most one second's worth. Each process has its own. */
export class TokenBuckets {
  private readonly buckets = new Map<string, Bucket>()

  /**
   * @param perSecond tokens a second and at most
   * @param now a clock that never jumps, milliseconds
   */
  constructor(
    private readonly perSecond: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** How many messages a workspace may send now. */
  available(workspaceId: string): number {
    return Math.floor(this.filled(workspaceId).tokens)
  }

  /** Takes tokens that {@link available} answered; a negative number gives back. */
  take(workspaceId: string, count: number): void {
    this.filled(workspaceId).tokens -= count
  }

  /** Milliseconds until the next token; 0 when there is one. */
  waitMs(workspaceId: string): number {
    const { tokens } = this.filled(workspaceId)
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1_000) / this.perSecond)
  }

  private filled(workspaceId: string): Bucket {
    const now = this.now()
    const bucket = this.buckets.get(workspaceId) ?? { tokens: this.perSecond, at: now }
    // A rate below one a second still lets one message pass.
    bucket.tokens = Math.min(Math.max(1, this.perSecond), bucket.tokens + ((now - bucket.at) * this.perSecond) / 1_000)
    bucket.at = now
    this.buckets.delete(workspaceId)
    if (this.buckets.size >= maxWorkspaces) this.buckets.delete(this.buckets.keys().next().value!)
    this.buckets.set(workspaceId, bucket)
    return bucket
  }
}
