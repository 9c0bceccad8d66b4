// Circuit breakers: a workspace whose calls to a provider keep failing is asked once in a while instead of always.
import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleWhenResult,
  isBrokenCircuitError,
  type CircuitBreakerPolicy,
} from 'cockatiel'
import type { Outcome } from './provider'

// Ten in a row are no accident; one trial call every 5 s finds a provider's return soon enough.
const failuresInARow = 10
const openMs = 5_000
const maxWorkspaces = 10_000

interface Breaker {
  policy: CircuitBreakerPolicy
  openedAt: number
  isTrying: boolean
}

/** One breaker per workspace for one provider: an outage of the provider opens each, a workspace's own trouble only its own. */
export class Breakers {
  private readonly breakers = new Map<string, Breaker>()

  /** How many workspaces are held back. */
  get open(): number {
    return [...this.breakers.values()].filter(({ policy }) => policy.state !== CircuitState.Closed).length
  }

  /** How many calls a workspace may begin now: any number, one trial, or none. */
  admits(workspaceId: string): number {
    const { policy, openedAt, isTrying } = this.of(workspaceId)
    if (policy.state === CircuitState.Closed) return Infinity
    return !isTrying && Date.now() - openedAt >= openMs ? 1 : 0
  }

  /** Milliseconds until a trial call may be made; 0 when calls are admitted. */
  waitMs(workspaceId: string): number {
    const { policy, openedAt } = this.of(workspaceId)
    return policy.state === CircuitState.Closed ? 0 : Math.max(0, openedAt + openMs - Date.now())
  }

  /** Makes a call and learns from its outcome. A breaker that opened meanwhile answers `retry`: nothing was sent. */
  async run(workspaceId: string, call: () => Promise<Outcome>): Promise<Outcome> {
    const breaker = this.of(workspaceId)
    const isTrial = breaker.policy.state !== CircuitState.Closed
    if (isTrial) breaker.isTrying = true
    try {
      return await breaker.policy.execute(call)
    } catch (error) {
      if (isBrokenCircuitError(error as Error)) return { kind: 'retry', reason: 'circuit_open', afterMs: openMs }
      throw error
    } finally {
      if (isTrial) breaker.isTrying = false
    }
  }

  private of(workspaceId: string): Breaker {
    const known = this.breakers.get(workspaceId)
    if (known) return known
    if (this.breakers.size >= maxWorkspaces) this.breakers.delete(this.breakers.keys().next().value!)
    const policy = circuitBreaker(
      handleWhenResult((outcome) => ['retry', 'unknown'].includes((outcome as Outcome).kind)),
      { halfOpenAfter: openMs, breaker: new ConsecutiveBreaker(failuresInARow) },
    )
    const breaker: Breaker = { policy, openedAt: 0, isTrying: false }
    policy.onBreak(() => (breaker.openedAt = Date.now()))
    this.breakers.set(workspaceId, breaker)
    return breaker
  }
}
