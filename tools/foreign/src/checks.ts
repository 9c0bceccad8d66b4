// What is checked, one line each: passed, or failed with what was seen instead.

/** Tells of checks as they end, and counts them. */
export class Checks {
  passed = 0
  failed = 0
  private readonly begin = Date.now()

  constructor(private readonly print: (line: string) => void) {}

  /** A line of progress. */
  say(line: string): void {
    this.print(`${((Date.now() - this.begin) / 1_000).toFixed(0).padStart(4)} s  ${line}`)
  }

  /** Runs a check: it holds unless it throws. @returns what it answered; undefined when it failed */
  async that<T>(what: string, check: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await check()
      this.passed++
      this.say(`PASS  ${what}`)
      return answer
    } catch (error) {
      this.failed++
      this.say(`FAIL  ${what}: ${(error as Error).message}`)
      return undefined
    }
  }

  /** The line that `.ci/run` counts. */
  get summary(): string {
    return `Tests: ${this.passed} passed, ${this.failed} failed`
  }
}

/** @throws Error when two values are not the same */
export function expectSame(what: string, seen: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`)
}
