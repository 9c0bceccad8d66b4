// Numbers drawn from a seed: the same seed makes the same load and the same plan of faults.

/** A source of random numbers that a seed decides. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0
  }

  /** 0 ≤ x < 1 (Mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** Another source, independent of how much is drawn from this one later. */
  fork(): Random {
    return new Random(Math.floor(this.next() * 4_294_967_296))
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** A number of the range. */
  between(least: number, most: number): number {
    return least + this.next() * (most - least)
  }

  /** A whole number from 0 to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  /** One of them. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!
  }

  /** One of them, as often as its weight says. */
  weighted<T>(choices: readonly (readonly [T, number])[]): T {
    let left = this.next() * choices.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [choice, weight] of choices) if ((left -= weight) < 0) return choice
    return choices.at(-1)![0]
  }

  /** All of them in a random order. */
  shuffled<T>(all: readonly T[]): T[] {
    const left = [...all]
    for (let last = left.length - 1; last > 0; last--) {
      const other = this.below(last + 1)
      ;[left[last], left[other]] = [left[other]!, left[last]!]
    }
    return left
  }

  /** So many random bytes. */
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)))
  }
}
