// Faults on demand: what a provider does wrong, to which share of its requests, and how often.
import { z } from 'zod'
import { providerNames, type ProviderName } from './arrivals'

/**
 * What can go wrong with a request:
 * - `429`: refused for its rate, with Retry-After where `retryAfterS` says so;
 * - `500`: refused with an internal error;
 * - `hang`: never answered, and nothing reaches the phone;
 * - `slow`: answered as usual after `delayMs` (2 s);
 * - `accept-then-reset`: accepted, then reset instead of an answer: over HTTP/1 the connection, over HTTP/2 the stream, or with
 *   `connection: true` the whole connection;
 * - `reject`: refused for good;
 * - `goaway`: over HTTP/2 the connection says GOAWAY before this request, which is not taken, and ends when the earlier ones are done;
 *   over HTTP/1 the answer comes as usual and the connection is closed.
 */
export const requestFaults = ['429', '500', 'hang', 'slow', 'accept-then-reset', 'reject', 'goaway'] as const

/**
 * What can go wrong with the status callbacks of a message (Twilio, Solapi):
 * - `duplicate-callbacks`: each comes twice, at the same time;
 * - `reordered-callbacks`: the last comes first; one that is alone comes `delayMs` (1 s) later, after those of other messages;
 * - `late-callbacks`: each comes `delayMs` (30 s) later.
 */
export const callbackFaults = ['duplicate-callbacks', 'reordered-callbacks', 'late-callbacks'] as const

/** Everything that can go wrong. */
const faultModes = [...requestFaults, ...callbackFaults] as const
type RequestFaultMode = (typeof requestFaults)[number]
type CallbackFaultMode = (typeof callbackFaults)[number]

const hasCallbacks = (provider: ProviderName): boolean => provider === 'twilio' || provider === 'solapi'
const isOfCallbacks = (mode: string): mode is CallbackFaultMode => (callbackFaults as readonly string[]).includes(mode)

/** A fault as it is set: at most `count` times (absent: until deleted), to a share `rate` of the requests or, of callbacks, messages. */
export const faultSchema = z
  .strictObject({
    provider: z.enum(providerNames),
    mode: z.enum(faultModes),
    rate: z.number().min(0).max(1),
    count: z.int().min(1).max(1_000_000_000).optional(),
    delayMs: z.int().min(0).max(600_000).optional(),
    retryAfterS: z.int().min(0).max(86_400).optional(),
    connection: z.boolean().optional(),
  })
  .refine(({ provider, mode }) => hasCallbacks(provider) || !isOfCallbacks(mode), {
    path: ['mode'],
    error: 'is of status callbacks, which only "twilio" and "solapi" make',
  })
/** One fault. */
export type Fault = z.output<typeof faultSchema>
/** A fault of a request. */
export type RequestFault = Fault & { readonly mode: RequestFaultMode }
/** A fault of a message's callbacks. */
export type CallbackFault = Fault & { readonly mode: CallbackFaultMode }

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
  strike(provider: ProviderName): RequestFault | null {
    return this.struck(provider, (mode) => !isOfCallbacks(mode)) as RequestFault | null
  }

  /** The fault that strikes the callbacks of an accepted message, if any; counted. */
  strikeCallbacks(provider: ProviderName): CallbackFault | null {
    return this.struck(provider, isOfCallbacks) as CallbackFault | null
  }

  private struck(provider: ProviderName, isAsked: (mode: string) => boolean): Fault | null {
    if (this.active.length === 0) return null
    const struck = this.active.find(({ fault }) => fault.provider === provider && isAsked(fault.mode) && this.random() < fault.rate)
    if (struck === undefined) return null
    struck.left -= 1
    if (struck.left === 0) this.active = this.active.filter((other) => other !== struck)
    return struck.fault
  }
}
