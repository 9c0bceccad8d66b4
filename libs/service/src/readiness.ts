// Whether a service can do its work now: asked of its parts when someone asks, never by a timer.

/** The parts a service needs. Alive is not ready: `/healthz` says the first, `/readyz` the second. */
export class Readiness {
  // A part that does not answer a probe within 2 s would not serve a request either.
  private static readonly timeoutMs = 2_000
  private readonly checks = new Map<string, () => Promise<boolean> | boolean>()
  private stopping = false

  /** Adds a part by the name an operator knows it by. A check that rejects or takes over 2 s counts as not ready. */
  add(name: string, check: () => Promise<boolean> | boolean): void {
    this.checks.set(name, check)
  }

  /** From now on not ready: the process is going away. */
  stop(): void {
    this.stopping = true
  }

  /** The names of the parts that are not ready; empty when all are. */
  async notReady(): Promise<string[]> {
    if (this.stopping) return ['stopping']
    const answers = await Promise.all([...this.checks].map(async ([name, check]) => ({ name, ready: await this.ask(check) })))
    return answers.filter((answer) => !answer.ready).map((answer) => answer.name)
  }

  private async ask(check: () => Promise<boolean> | boolean): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => { timer = setTimeout(resolve, Readiness.timeoutMs, false) })
    const answer = Promise.resolve().then(check).catch(() => false)
    return Promise.race([answer, late]).finally(() => clearTimeout(timer))
  }
}
