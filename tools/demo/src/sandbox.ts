// The provider sandbox as the demo uses it: the log of every request that arrived, and the phones that report what people do.
import { pause } from './api'

/** One request that arrived at a provider. */
export interface Arrival {
  readonly messageId: string | null
  /** RFC 3339. */
  readonly at: string
  /** `200`, or the status with the provider's error code. */
  readonly answer: string
}

/** A phone is told again while the product restarts: 502 from the sandbox. */
const patienceMs = 60_000
const retryMs = 500

/** Talks to the sandbox. */
export class Sandbox {
  constructor(private readonly url: string) {}

  /** Lets the phones of the workspace report with this key. Ours stay silent until told: their tokens do not begin with `sim_`. */
  async register(workspaceId: string, apiKey: string): Promise<void> {
    await this.call('POST', '/phones', { workspaceId, apiKey })
  }

  /** Every push that arrived since, oldest first, also those refused. */
  async arrivals(since: Date): Promise<Arrival[]> {
    const answer = await this.call('GET', `/log?provider=fcm&since=${since.toISOString()}`)
    return ((await answer.json()) as { items: Arrival[] }).items
  }

  /** The phone that got this message reports what its owner did; answers once the product has it. */
  async phone(messageId: string, report: 'delivered' | 'clicked'): Promise<void> {
    await this.call('POST', `/phones/${messageId}/${report}`)
  }

  private async call(method: string, path: string, body?: unknown): Promise<Response> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const answer = await fetch(this.url + path, {
        method, signal: AbortSignal.timeout(20_000),
        ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      }).catch((error: Error) => error)
      if (answer instanceof Response && answer.ok) return answer
      const passes = answer instanceof Error || answer.status >= 500
      if (!passes || Date.now() > deadline) {
        const why = answer instanceof Error ? answer.message : `${answer.status} ${await answer.text()}`
        throw new Error(`sandbox ${method} ${path}: ${why}`)
      }
      await pause(retryMs)
    }
  }
}
