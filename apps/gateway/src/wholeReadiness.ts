// Whether the whole can do its work: the gateway and every service behind it, asked when someone asks.
import type { NotReady, Readiness } from '@stepcast/service'
import { services } from './services'
import type { Upstreams } from './upstreams'

export class WholeReadiness {
  // Many probes at once cost the services one.
  private static readonly keepMs = 1_000
  private last: { at: number; notReady: Promise<NotReady[]> } | null = null
  /** Called with each new answer. */
  onAnswer: (ready: boolean) => void = () => {}

  constructor(
    private readonly own: Readiness,
    private readonly upstreams: Upstreams,
  ) {}

  /** The services and parts that are not ready, and why as far as they say so, at most 1 s old; empty when all are. */
  notReady(): Promise<NotReady[]> {
    if (this.last === null || Date.now() - this.last.at >= WholeReadiness.keepMs) {
      this.last = { at: Date.now(), notReady: this.ask() }
    }
    return this.last.notReady
  }

  private async ask(): Promise<NotReady[]> {
    const [own, ...others] = await Promise.all([this.own.notReady(), ...services.map(({ name }) => this.notReadyOf(name))])
    const notReady = [...own!, ...others.flat()]
    this.onAnswer(notReady.length === 0)
    return notReady
  }

  private async notReadyOf(name: (typeof services)[number]['name']): Promise<NotReady[]> {
    try {
      // A service gives each of its parts 2 s.
      const { statusCode, body } = await this.upstreams
        .of(name)
        .probes.request({ method: 'GET', path: '/readyz', headersTimeout: 3_000, signal: AbortSignal.timeout(3_000) })
      if (statusCode === 200) {
        await body.dump()
        return []
      }
      return [{ part: name, detail: detailOf(await body.json()) }]
    } catch {
      return [{ part: name, detail: null }]
    }
  }
}

/** What a service says it waits for: `Not ready: kafka (…).` without its lead. */
function detailOf(problem: unknown): string | null {
  const { detail } = (problem ?? {}) as { detail?: unknown }
  return typeof detail === 'string'
    ? detail
        .replace(/^Not ready: /, '')
        .replace(/\.$/, '')
        .slice(0, 500)
    : null
}
