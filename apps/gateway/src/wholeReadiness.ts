// Whether the whole can do its work: the gateway and every service behind it, asked when someone asks.
import type { Readiness } from '@stepcast/service'
import { services } from './services'
import type { Upstreams } from './upstreams'

export class WholeReadiness {
  // Many probes at once cost the services one.
  private static readonly keepMs = 1_000
  private last: { at: number; notReady: Promise<string[]> } | null = null
  /** Called with each new answer. */
  onAnswer: (ready: boolean) => void = () => {}

  constructor(
    private readonly own: Readiness,
    private readonly upstreams: Upstreams,
  ) {}

  /** Names of the services and parts that are not ready, at most 1 s old; empty when all are. */
  notReady(): Promise<string[]> {
    if (this.last === null || Date.now() - this.last.at >= WholeReadiness.keepMs) {
      this.last = { at: Date.now(), notReady: this.ask() }
    }
    return this.last.notReady
  }

  private async ask(): Promise<string[]> {
    const answers = await Promise.all(services.map(async ({ name }) => ({ name, ready: await this.isReady(name) })))
    const notReady = [...(await this.own.notReady()), ...answers.filter(({ ready }) => !ready).map(({ name }) => name)]
    this.onAnswer(notReady.length === 0)
    return notReady
  }

  private async isReady(name: (typeof services)[number]['name']): Promise<boolean> {
    try {
      // A service gives each of its parts 2 s.
      const { statusCode, body } = await this.upstreams
        .of(name)
        .requests.request({ method: 'GET', path: '/readyz', headersTimeout: 3_000, signal: AbortSignal.timeout(3_000) })
      await body.dump()
      return statusCode === 200
    } catch {
      return false
    }
  }
}
