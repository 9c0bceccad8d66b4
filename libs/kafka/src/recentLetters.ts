// Which dead letters this process wrote lately: a batch that is tried again does not write them again.

// A failed batch is tried again within seconds; halving one down to a single record takes some tries more.
const rememberedMs = 10 * 60_000
/** Some 100 bytes each. */
const rememberedAtMost = 50_000

/** Names of letters, each for ten minutes; the oldest go first. */
export class RecentLetters {
  private readonly writtenAt = new Map<string, number>()

  constructor(private readonly atMost = rememberedAtMost) {}

  has(name: string, now = Date.now()): boolean {
    const at = this.writtenAt.get(name)
    return at !== undefined && now - at < rememberedMs
  }

  add(name: string, now = Date.now()): void {
    // The order is that of writing.
    this.writtenAt.delete(name)
    this.writtenAt.set(name, now)
    for (const [oldest, at] of this.writtenAt) {
      if (this.writtenAt.size <= this.atMost && now - at < rememberedMs) return
      this.writtenAt.delete(oldest)
    }
  }
}
