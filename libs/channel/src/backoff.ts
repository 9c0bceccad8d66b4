// When to try again: exponential with jitter, and never before the provider said.

/** FCM asks for 10 s before the first retry; a sixth of a minute, so that shortened minutes shorten it too. */
const firstShare = 1 / 6
const growth = 2
/** Minutes; beyond that a provider that has come back waits for us. */
const maxMinutes = 5

/**
 * Milliseconds until the next attempt.
 * @param attempts made so far, 1 or more
 * @param afterMs what the provider asked for (Retry-After), obeyed to the millisecond as the least
 * @param minuteMs length of a minute
 * @param random 0 ≤ x < 1
 */
export function backoffMs(attempts: number, afterMs: number | null, minuteMs: number, random: () => number = Math.random): number {
  const full = minuteMs * Math.min(maxMinutes, firstShare * growth ** Math.min(20, Math.max(0, attempts - 1)))
  // Jitter upwards only, by up to a half: a crowd refused together does not come back together.
  const jitter = 1 + random() / 2
  return Math.round(afterMs === null ? full * jitter : afterMs + Math.min(afterMs, full) * (jitter - 1))
}
