// The benchmark's arithmetic: rates, shares and rounding.

/** The value below which a share of the numbers lies; 0 of none. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

/** The largest number; 0 of none. */
export const largest = (numbers: readonly number[]): number => numbers.reduce((most, number) => Math.max(most, number), 0)

/** Whole items a second. */
export const perSecond = (count: number, ms: number): number => Math.round((count / ms) * 1_000)

/** A number with so many digits behind the point. */
export const round = (value: number, digits: number): number => Number(value.toFixed(digits))

/** One figure as a multiple of another, two digits; null where there is nothing to divide by. */
export const ratio = (of: number, by: number): number | null => (by > 0 ? round(of / by, 2) : null)

/** A rate for people: `4,101 /s (20,000 in 4.88 s)`. */
export const rate = (count: number, ms: number): string =>
  `${perSecond(count, ms).toLocaleString('en')} /s (${count.toLocaleString('en')} in ${(ms / 1_000).toFixed(2)} s)`
