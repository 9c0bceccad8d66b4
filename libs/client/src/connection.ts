// Calls over HTTP with the user's token, which is asked for again when the server no longer takes it.
import { problemOf, StepcastProblem, StepcastUnreachable } from './errors'

/** What calls need. */
export interface ConnectionOptions {
  readonly url: string
  readonly token: string | (() => Promise<string>)
  readonly onBehalfOf?: string
  readonly fetch?: typeof globalThis.fetch
}

/** A call; without `signal` it is given up after 30 s. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

// The gateway gives a service 60 s; a person looking at a screen has less patience.
const answerWithinMs = 30_000

/** Calls of one user. */
export class Connection {
  private readonly base: string
  private token: Promise<string> | null = null

  constructor(private readonly options: ConnectionOptions) {
    this.base = options.url.replace(/\/+$/, '')
  }

  /** Calls and reads the JSON answered; undefined for 204. Throws {@link StepcastProblem} or {@link StepcastUnreachable}. */
  async json<T>(call: Call): Promise<T> {
    const response = await this.open({ ...call, signal: call.signal ?? AbortSignal.timeout(answerWithinMs) })
    try {
      return (response.status === 204 ? undefined : await response.json()) as T
    } catch (error) {
      throw new StepcastUnreachable('The answer broke off', { cause: error })
    }
  }

  /** Calls and answers as soon as the server does; a refusal is thrown. A token that is not taken is renewed once. */
  async open(call: Call): Promise<Response> {
    const asked = (this.token ??= this.ask())
    const response = await this.send(call, await asked)
    if (response.ok) return response
    const problem = await problemOf(response)
    if (problem.status !== 401 || typeof this.options.token === 'string') throw problem
    // Whoever finds the token refused first asks for the next; others under way find that one.
    if (this.token === asked) this.token = null
    const again = await this.send(call, await (this.token ??= this.ask()))
    if (!again.ok) throw await problemOf(again)
    return again
  }

  private ask(): Promise<string> {
    const { token } = this.options
    if (typeof token === 'string') return Promise.resolve(token)
    const asked = token().catch((error: unknown) => {
      if (this.token === asked) this.token = null
      throw error
    })
    return asked
  }

  private async send({ method, path, body, headers, signal }: Call, token: string): Promise<Response> {
    const { onBehalfOf } = this.options
    // Called as a plain function: browsers refuse a fetch whose `this` is not the window.
    const fetch = this.options.fetch ?? globalThis.fetch
    try {
      return await fetch(this.base + path, {
        method,
        headers: {
          ...headers,
          authorization: `Bearer ${token}`,
          ...(onBehalfOf === undefined ? {} : { 'on-behalf-of': bytesOf(onBehalfOf) }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        // The token alone says who is calling.
        credentials: 'omit',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (error) {
      throw new StepcastUnreachable(`${method} ${path} was not answered`, { cause: error })
    }
  }
}

// Headers carry bytes, and fetch refuses characters beyond U+00FF: a userId travels as UTF-8, a byte a character.
const bytesOf = (text: string): string => String.fromCharCode(...new TextEncoder().encode(text))

/** Whether the credentials are refused, which no repetition mends. */
export const isRefused = (error: unknown): boolean => error instanceof StepcastProblem && error.status < 500 && error.status !== 429
