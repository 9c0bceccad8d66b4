// Faults on demand: what a provider does wrong, to which share of its requests, and how often.
import { z } from 'zod'
import { providerNames, type ProviderName } from './arrivals'

/**
 * - `429`: refused for its rate, with Retry-After where `retryAfterS` says so;
 * - `500`: refused with an internal error;
 * - `hang`: taken, never answered;
 * - `slow`: answered as usual after `delayMs`;
 * - `accept-then-reset`: accepted, then the connection is reset instead of an answer;
 * - `reject`: refused for good.
 */
export const faultModes = ['429', '500', 'hang', 'slow', 'accept-then-reset', 'reject'] as const

/** A fault as it is set: at most `count` times (absent: until deleted), to a share `rate` of the requests. */
export const faultSchema = z.strictObject({
  provider: z.enum(providerNames),
  mode: z.enum(faultModes),
  rate: z.number().min(0).max(1),
  count: z.int().min(1).max(1_000_000_000).optional(),
  delayMs: z.int().min(0).max(600_000).optional(),
  retryAfterS: z.int().min(0).max(86_400).optional(),
})
/** One fault. */
export type Fault = z.output<typeof faultSchema>

// Nobody needs more at a time; a runaway test would otherwise slow every request down.
const maxFaults = 100

/** The faults now set, asked in the order they were set. */
export class Faults {
  private active: { fault: Fault; left: number }[] = []

  /** @param random 0 ≤ x < 1; Math.random unless a spec brings its own. */
  constructor(private readonly random: () => number = Math.random) {}

  /** Sets one more; the oldest goes when there are 100. */
  set(fault: Fault): void {
    this.active = [...this.active, { fault, left: fault.count ?? Infinity }].slice(-maxFaults)
  }

  /** Those still to strike, with what is left of their count. */
  list(): Fault[] {
    return this.active.map(({ fault, left }) => (fault.count === undefined ? fault : { ...fault, count: left }))
  }

  clear(): void {
    this.active = []
  }

  /** The fault that strikes this request, if any; counted. */
  strike(provider: ProviderName): Fault | null {
    const struck = this.active.find(({ fault }) => fault.provider === provider && this.random() < fault.rate)
    if (struck === undefined) return null
    struck.left -= 1
    if (struck.left === 0) this.active = this.active.filter((other) => other !== struck)
    return struck.fault
  }
}
