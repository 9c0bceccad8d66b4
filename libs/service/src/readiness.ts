// Whether a service can do its work now: asked of its parts when someone asks.

/** Ready, not ready, or not ready with the reason in a few words, which name no person. */
export type PartAnswer = boolean | string

/** A part that is not ready. */
export interface NotReady {
  /** The name an operator knows it by. */
  readonly part: string
  readonly detail: string | null
}

/** The parts a service needs. Alive is not ready: `/healthz` says the first, `/readyz` the second. */
export class Readiness {
  // A part that does not answer a probe within 2 s would not serve a request either.
  private static readonly timeoutMs = 2_000
  private readonly checks = new Map<string, () => Promise<PartAnswer> | PartAnswer>()
  private stopping = false

  /** Adds a part by the name an operator knows it by. A check that rejects or takes over 2 s counts as not ready. */
  add(name: string, check: () => Promise<PartAnswer> | PartAnswer): void {
    this.checks.set(name, check)
  }

  /** From now on not ready: the process is going away. */
  stop(): void {
    this.stopping = true
  }

  /** Whether this process can answer, whatever its parts do: for load balancers, which could only send the request to another one. */
  get canAnswer(): boolean {
    return !this.stopping
  }

  /** The parts that are not ready; empty when all are. */
  async notReady(): Promise<NotReady[]> {
    if (this.stopping) return [stopping]
    const answers = await Promise.all([...this.checks].map(async ([part, check]) => ({ part, answer: await this.ask(check) })))
    return answers.flatMap(({ part, answer }) => (answer === true ? [] : [{ part, detail: answer === false ? null : answer }]))
  }

  private async ask(check: () => Promise<PartAnswer> | PartAnswer): Promise<PartAnswer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, Readiness.timeoutMs, false)
    })
    const answer = Promise.resolve()
      .then(check)
      .catch(() => false)
    return Promise.race([answer, late]).finally(() => clearTimeout(timer))
  }
}

/** The process is going away. */
export const stopping: NotReady = { part: 'stopping', detail: null }
