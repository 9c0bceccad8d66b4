// Which inputs of a partition make its turns fail: all together at first, then kind by kind, fewer and fewer, until it is one.
import { LastResort, isOutage } from '@stepcast/contracts'

/** What a turn is made of: records of two topics, and what the database holds. */
export type Kind = 'sends' | 'reports' | 'timers' | 'jobs'

/** Numbers of inputs by kind. */
export type Counts = Readonly<Record<Kind, number>>

const kinds: readonly Kind[] = ['sends', 'reports', 'timers', 'jobs']
/** As much as there is. */
export const everything: Counts = { sends: Infinity, reports: Infinity, timers: Infinity, jobs: Infinity }
/** Nothing of any kind. */
export const nothing: Counts = { sends: 0, reports: 0, timers: 0, jobs: 0 }

/** What to do after a failure. */
export type AfterTurn =
  | { readonly next: 'again'; readonly delayMs: number }
  /** The first input of this kind goes aside, then {@link Suspicion.wentAside}. */
  | { readonly next: 'setAside'; readonly kind: Kind }

interface Apart {
  readonly resorts: Readonly<Record<Kind, LastResort>>
  /** Kinds that went well in one piece. */
  readonly cleared: Set<Kind>
  kind: Kind
  failedAt: number
}

// Nothing was taken that could go aside: the code is wrong, and only waiting is left.
const nobodysFaultMs = 1_000
const forgivenAfterMs = 60_000

/** The last resort of one partition. Pure: the caller tries, waits and sets aside. */
export class Suspicion {
  private together = new LastResort()
  private apart: Apart | null = null

  /** What the next turn may take, given which kinds have something waiting. */
  most(waits: ReadonlySet<Kind>, now: number): Counts {
    const { apart } = this
    if (apart === null) return everything
    const isOver = kinds.every((kind) => apart.resorts[kind].most() === Infinity && (apart.cleared.has(kind) || !waits.has(kind)))
    if (isOver || now - apart.failedAt > forgivenAfterMs) {
      this.together = new LastResort()
      this.apart = null
      return everything
    }
    // One after another, so that no kind waits for what is wrong with another.
    const from = kinds.indexOf(apart.kind) + 1
    apart.kind = [...kinds.slice(from), ...kinds.slice(0, from)].find((kind) => waits.has(kind)) ?? apart.kind
    return { ...nothing, [apart.kind]: apart.resorts[apart.kind].most() }
  }

  /** A turn that took so much failed, by an outage too: those are not counted. */
  failed(error: unknown, took: Counts, now: number): AfterTurn {
    const { apart } = this
    if (apart === null) {
      // Even one input is tried apart first: what fails may be of another kind.
      const answer = this.together.failed(error, Math.max(2, totalOf(took)), now)
      if (this.together.most() < Infinity) this.apart = { resorts: fresh(), cleared: new Set(), kind: 'jobs', failedAt: now }
      return { next: 'again', delayMs: answer.next === 'setAside' ? nobodysFaultMs : answer.delayMs }
    }
    if (!isOutage(error)) apart.failedAt = now
    const { kind } = apart
    if (took[kind] === 0) return { next: 'again', delayMs: nobodysFaultMs }
    apart.cleared.delete(kind)
    const answer = apart.resorts[kind].failed(error, took[kind], now)
    return answer.next === 'setAside' ? { next: 'setAside', kind } : { next: 'again', delayMs: answer.delayMs }
  }

  /** A turn that took so much is committed. */
  succeeded(took: Counts): void {
    const { apart } = this
    if (apart === null) return this.together.succeeded(totalOf(took))
    const resort = apart.resorts[apart.kind]
    resort.succeeded(took[apart.kind])
    if (resort.most() === Infinity) apart.cleared.add(apart.kind)
  }

  /** The input that was named is out of the way. */
  wentAside(kind: Kind): void {
    this.apart?.resorts[kind].wentAside()
  }
}

const fresh = (): Record<Kind, LastResort> => ({
  sends: new LastResort(),
  reports: new LastResort(),
  timers: new LastResort(),
  jobs: new LastResort(),
})
const totalOf = ({ sends, reports, timers, jobs }: Counts): number => sends + reports + timers + jobs
