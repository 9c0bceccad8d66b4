// Waiting: for a while, and until something holds.

/** Waits the given time. */
export function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}

/**
 * Asks again and again until the answer is yes.
 *
 * @param holds the question; an error it throws counts as no
 * @param limits `everyMs` between two questions, `timeoutMs` in all
 * @returns false when the time is over or `abandon` says that waiting is pointless
 */
export async function until(
  holds: () => Promise<boolean>,
  limits: { everyMs: number; timeoutMs: number; abandon?: () => boolean },
): Promise<boolean> {
  const deadline = Date.now() + limits.timeoutMs
  for (;;) {
    if (limits.abandon?.()) return false
    if (await holds().catch(() => false)) return true
    if (Date.now() >= deadline) return false
    await sleep(limits.everyMs)
  }
}
