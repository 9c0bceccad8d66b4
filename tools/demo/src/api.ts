// The product's HTTP API as its callers use it: credentials, an Idempotency-Key where it matters, and patience while a service restarts.
import { SignJWT } from 'jose'

/** Where the product is and what opens it. */
export interface Access {
  readonly url: string
  readonly apiKey: string
  readonly signingKid: string
  readonly signingSecret: string
}

/** One call. */
export interface Call {
  readonly body?: unknown
  readonly idempotencyKey?: string
  /** Whose call it is: the brand's backend by default, for itself or on behalf of a user; or a user with a token of their own. */
  readonly onBehalfOf?: string
  readonly token?: string
  /** How long to try again while the product is away; 60 s. */
  readonly patienceMs?: number
  readonly signal?: AbortSignal
}

/** The product refused, or was away for longer than a restart takes. */
export class CallFailed extends Error {
  constructor(
    readonly status: number | null,
    message: string,
  ) {
    super(message)
  }
}

// 503 and its kin pass; 409 of an Idempotency-Key means that the first try is still at it.
const passing = new Set([429, 502, 503, 504])
// A killed service is back within a few seconds; its supervisor waits up to 30 s after several crashes in a row.
const usualPatienceMs = 60_000
const timeoutMs = 20_000
// Two cores run the whole product beside us.
const callsAtOnce = 24

/** Calls the product. */
export class Api {
  private readonly turns = new Turns(callsAtOnce)

  constructor(readonly access: Access) {}

  /**
   * Makes a call until it is answered.
   * @returns the answer's JSON; undefined where there is none
   * @throws CallFailed with what the product said
   */
  async call<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const deadline = Date.now() + (call.patienceMs ?? usualPatienceMs)
    for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      // Whoever waits for a service to come back does not stand in the others' way.
      const answer = await this.turns
        .take(() => this.once(method, path, call))
        .catch((error: Error) => {
          call.signal?.throwIfAborted()
          return new CallFailed(null, `${method} ${path}: ${(error.cause as Error | undefined)?.message ?? error.message}`)
        })
      if (!(answer instanceof CallFailed)) return answer as T
      const passes = answer.status === null || passing.has(answer.status) || (answer.status === 409 && call.idempotencyKey !== undefined)
      if (!passes || Date.now() > deadline) throw answer
      await pause(waitMs, call.signal)
    }
  }

  /** Opens a stream of Server-Sent Events and gives their data, after a null once it is open; ends when the product ends it. */
  async *events(path: string, token: string, signal: AbortSignal): AsyncGenerator<string | null> {
    const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' }
    const response = await fetch(`${this.access.url}${path}`, { headers, signal })
    if (!response.ok || response.body === null) {
      throw new CallFailed(response.status, `GET ${path}: ${response.status} ${await response.text()}`)
    }
    yield null
    let text = ''
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (text + part).split('\n')
      text = lines.pop()!
      for (const line of lines) if (line.startsWith('data: ')) yield line.slice('data: '.length)
    }
  }

  /** A user's token, as a brand's backend would sign it for its app; good for an hour. */
  tokenOf(userId: string): Promise<string> {
    const { signingKid, signingSecret } = this.access
    return new SignJWT({})
      .setProtectedHeader({ alg: 'HS256', kid: signingKid })
      .setSubject(userId)
      .setExpirationTime('1h')
      .sign(Buffer.from(signingSecret))
  }

  private async once(method: string, path: string, { body, idempotencyKey, onBehalfOf, token, signal }: Call): Promise<unknown> {
    const timeout = AbortSignal.timeout(timeoutMs)
    const response = await fetch(`${this.access.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token ?? this.access.apiKey}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        ...(onBehalfOf !== undefined && { 'on-behalf-of': onBehalfOf }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    })
    const text = await response.text()
    if (!response.ok) return new CallFailed(response.status, `${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
}

/** Lets so many do their work at a time; the others wait in line. */
export class Turns {
  private readonly line: (() => void)[] = []

  constructor(private free: number) {}

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--
    else await new Promise<void>((go) => this.line.push(go))
    try {
      return await work()
    } finally {
      const next = this.line.shift()
      if (next === undefined) this.free++
      else next()
    }
  }
}

/** Waits so many milliseconds. @throws the signal's reason once it is aborted */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const abort = (): void => {
      clearTimeout(timer)
      fail(signal!.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      done()
    }, ms)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}
