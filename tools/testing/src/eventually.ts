// Waits for what becomes true by itself.

/** Asks again until the answer is truthy, and gives it; fails after `withinMs` (30 s) with the last error or answer. */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  { withinMs = 30_000, everyMs = 50 }: { withinMs?: number; everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + withinMs
  for (;;) {
    let last: unknown
    try {
      const answer = await ask()
      if (answer) return answer as NonNullable<T>
      last = answer
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) {
      if (last instanceof Error) throw last
      throw new Error(`not within ${withinMs} ms; the last answer was ${JSON.stringify(last)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
