// The product as seen from outside: receipts of apps, callbacks of providers, links people open.
import { setMaxListeners } from 'node:events'
import { Agent, request } from 'undici'
import { mayBeCalledBack } from './productUrl'
import { Turns } from './turns'

/** What became of a report. */
export type ReportAnswer =
  | { readonly kind: 'reported' }
  | { readonly kind: 'no_such_message' }
  | { readonly kind: 'no_credential'; readonly workspaceId: string }
  | { readonly kind: 'no_link'; readonly detail: string }
  | { readonly kind: 'refused'; readonly status: number | null; readonly detail: string }

/** A POST or GET to the product, or to whatever address a callback was asked for. */
export interface ProductCall {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

// Many phones, but one small process plays them all.
const callsAtATime = 64
const timeoutMs = 10_000
// Whoever has no network tries again; 5 tries cover a gateway's restart of half a minute. (Solapi: 5 tries; Twilio itself tries once.)
const triesAfterMs = [0, 1_000, 3_000, 8_000, 20_000] as const

/** Calls the product. */
export class Product {
  private readonly turns = new Turns(callsAtATime)
  private readonly agent = new Agent({ connections: callsAtATime, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
  private readonly stopping = new AbortController()
  private readonly waits = new Map<NodeJS.Timeout, () => void>()
  /** Scheme, host and port. */
  readonly origin: string

  /**
   * @param url the product's public address, STEPCAST_PUBLIC_URL
   * @param way where that is reached from here
   */
  constructor(
    readonly url: string,
    private readonly way: string = url,
  ) {
    this.origin = new URL(url).origin
    setMaxListeners(callsAtATime * 2, this.stopping.signal)
  }

  /** Whether an address is the product's own: a tracked link, not where it leads. */
  owns(url: string): boolean {
    return URL.canParse(url) && new URL(url).origin === this.origin
  }

  /** Whether a provider may be told to call it back: see {@link mayBeCalledBack}. */
  mayCall(url: string): boolean {
    return mayBeCalledBack(url, this.url)
  }

  private reached(url: string): string {
    return this.way !== this.url && this.owns(url) && url.startsWith(this.url) ? this.way + url.slice(this.url.length) : url
  }

  /** One call. Redirects are answers: nobody follows a link to its shop here. */
  call({ method, url, headers, body }: ProductCall): Promise<ReportAnswer> {
    return this.turns.take(async () => {
      try {
        const answer = await request(this.reached(url), {
          method,
          headers: { ...headers },
          body,
          dispatcher: this.agent,
          signal: this.stopping.signal,
        })
        const detail = await answer.body.text()
        return answer.statusCode < 400 ? { kind: 'reported' } : { kind: 'refused', status: answer.statusCode, detail: detail.slice(0, 500) }
      } catch (cause) {
        return { kind: 'refused', status: null, detail: `the product is out of reach: ${(cause as Error).message}` }
      }
    })
  }

  /** The body of a GET, parsed; null when the product refuses, is away or says no JSON. */
  async read(path: string, apiKey: string): Promise<unknown> {
    try {
      const headers = { authorization: `Bearer ${apiKey}` }
      const answer = await request(this.way + path, { headers, dispatcher: this.agent, signal: this.stopping.signal })
      const body = await answer.body.text()
      return answer.statusCode === 200 ? JSON.parse(body) : null
    } catch {
      return null
    }
  }

  /** Calls until it is taken: again after 1, 3, 8 and 20 s where the product is away, answers 5xx or 429; a 4xx is final. */
  async callUntilTaken(call: () => Promise<ReportAnswer>): Promise<ReportAnswer> {
    let answer: ReportAnswer = { kind: 'refused', status: null, detail: 'never called' }
    for (const waitMs of triesAfterMs) {
      if (!(await this.pause(waitMs))) break
      answer = await call()
      if (answer.kind !== 'refused' || (answer.status !== null && answer.status < 500 && answer.status !== 429)) break
    }
    return answer
  }

  /** Waits; false when the sandbox stops meanwhile. */
  pause(ms: number): Promise<boolean> {
    if (this.stopping.signal.aborted) return Promise.resolve(false)
    if (ms <= 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.waits.delete(timer)
        resolve(true)
      }, ms)
      this.waits.set(timer, () => resolve(false))
    })
  }

  /** Ends calls and waits. */
  async stop(): Promise<void> {
    this.stopping.abort()
    for (const [timer, stopped] of this.waits) {
      clearTimeout(timer)
      stopped()
    }
    this.waits.clear()
    await this.agent.destroy()
  }
}
