// The provider sandbox as the demo uses it: the log of every request that arrived, and the phones that report what people do.
import { pause, type Access } from './api'
import type { Arrived } from './ledger'

/** One request that arrived at a provider. */
export interface Arrival extends Arrived {
  readonly messageId: string | null
  /** RFC 3339. */
  readonly at: string
}

/** How often one message arrived for one target. */
export interface ArrivalCount {
  readonly provider: string
  readonly messageId: string
  readonly arrived: number
  readonly accepted: number
}

/** Who the phones of a workspace report as. */
export interface Registration extends Pick<Access, 'apiKey' | 'signingKid' | 'signingSecret'> {
  readonly workspaceId: string
}

/** A phone is told again while the product restarts: 502 from the sandbox. */
const patienceMs = 60_000
const retryMs = 500

/** Talks to the sandbox. */
export class Sandbox {
  constructor(private readonly url: string) {}

  /**
   * Lets the phones of the workspace report with its API key, and the sandbox's page show feeds. Our phones stay silent until told: their
   * addresses are not simulated ones.
   */
  async register({ workspaceId, apiKey, signingKid, signingSecret }: Registration): Promise<void> {
    await this.call('POST', '/phones', { workspaceId, apiKey, signingKid, signingSecret })
  }

  /** Every message that arrived at any provider since, oldest first, also those refused. */
  async arrivals(since: Date): Promise<Arrival[]> {
    const answer = await this.call('GET', `/log?since=${since.toISOString()}`)
    return ((await answer.json()) as { items: Arrival[] }).items
  }

  /** How often each message arrived since, as the provider itself counted. */
  async counts(since: Date, provider: 'twilio' | 'solapi'): Promise<ArrivalCount[]> {
    const answer = await this.call('GET', `/log/counts?provider=${provider}&since=${since.toISOString()}`)
    return ((await answer.json()) as { items: ArrivalCount[] }).items
  }

  /** The tracked links in a message, as the phone at this number holds it. */
  async linksOf(messageId: string, number: string): Promise<string[]> {
    const answer = await this.call('GET', `/phones?to=${encodeURIComponent(number)}&limit=100`)
    const { items } = (await answer.json()) as { items: { messageId: string; links: { url: string; tracked: boolean }[] }[] }
    const links = items.find((message) => message.messageId === messageId)?.links ?? []
    return links.flatMap(({ url, tracked }) => (tracked ? [url] : []))
  }

  /** The phone that got this message reports what its owner did; answers once the product has it. */
  async phone(messageId: string, report: 'delivered' | 'clicked'): Promise<void> {
    await this.call('POST', `/phones/${messageId}/${report}`)
  }

  private async call(method: string, path: string, body?: unknown): Promise<Response> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const answer = await fetch(this.url + path, {
        method,
        signal: AbortSignal.timeout(20_000),
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
