// The product's HTTP API as a patient caller uses it: what a restart or a wrong clock refuses for a while is asked again.
import { sleep } from '@stepcast/stack'

/** One call. */
export interface Call {
  readonly body?: unknown
  readonly idempotencyKey?: string
  readonly onBehalfOf?: string
  /** How long to try again, milliseconds; 90 s unless told: longer than any fault lasts. */
  readonly patienceMs?: number
}

/** The product refused. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

// 401 and 403: a service whose clock is off does not believe the gateway's context, which lasts a minute. 404 is an answer.
const passing = new Set([401, 403, 409, 429, 500, 502, 503, 504])
const timeoutMs = 15_000

/** Calls the product with the key of one workspace. */
export class Api {
  constructor(
    private readonly url: string,
    private readonly key: string,
  ) {}

  /**
   * Makes a call until it is answered.
   * @throws Refused with what the product said, or the last error when patience ended
   */
  async call<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const deadline = Date.now() + (call.patienceMs ?? 90_000)
    for (;;) {
      const answer = await this.once(method, path, call).catch((error: Error) => error)
      if (!(answer instanceof Error)) return answer as T
      const isOver = answer instanceof Refused && !passing.has(answer.status)
      if (isOver || Date.now() > deadline) throw answer
      await sleep(300)
    }
  }

  private async once(method: string, path: string, { body, idempotencyKey, onBehalfOf }: Call): Promise<unknown> {
    const response = await fetch(this.url + path, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        ...(onBehalfOf !== undefined && { 'on-behalf-of': onBehalfOf }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Refused(response.status, `${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
}
