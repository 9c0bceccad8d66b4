// What the world outside does with Stepcast: HTTP calls with keys and tokens, an event stream, phones and the log of the provider.
import { SignJWT } from 'jose'
import { connectProviders } from '@stepcast/local'
import { eventually } from '@stepcast/testing'

/** An answer, whatever its status. Bodies are `any`: the specs read them as an outsider's untyped program would. */
export interface Answer {
  readonly status: number
  readonly contentType: string | null
  readonly body: any
}

/** Makes HTTP calls with one credential. */
export class Caller {
  constructor(
    private readonly url: string,
    private readonly credential: string | null,
  ) {}

  /** Any call; refusals are answers too. */
  async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(this.credential !== null && { authorization: `Bearer ${this.credential}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    const contentType = response.headers.get('content-type')
    return { status: response.status, contentType, body: contentType?.includes('json') ? JSON.parse(text) : text }
  }

  /** The body of a success; throws the refusal in full. */
  async take(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<any> {
    const answer = await this.ask(method, path, body, headers)
    if (answer.status >= 200 && answer.status < 300) return answer.body
    throw new Error(`${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  }

  get(path: string): Promise<any> {
    return this.take('GET', path)
  }

  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<any> {
    return this.take('POST', path, body, headers)
  }

  put(path: string, body: unknown): Promise<any> {
    return this.take('PUT', path, body)
  }

  /** Opens an event stream; `events` grows as they come. */
  async stream(path: string): Promise<{ events: { event: string; data: any }[]; close(): void }> {
    const ending = new AbortController()
    const headers = { authorization: `Bearer ${this.credential}`, accept: 'text/event-stream' }
    const response = await fetch(this.url + path, { headers, signal: ending.signal })
    if (!response.ok) throw new Error(`GET ${path} was answered ${response.status}: ${await response.text()}`)
    const events: { event: string; data: any }[] = []
    void readEvents(response.body!, events).catch((error: Error) => {
      if (error.name !== 'AbortError') throw error
    })
    return { events, close: () => ending.abort() }
  }
}

async function readEvents(body: ReadableStream<Uint8Array>, events: { event: string; data: any }[]): Promise<void> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    const blocks = (text + decoder.decode(chunk, { stream: true })).split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      const field = (name: string): string | undefined => block.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1]
      const data = field('data')
      if (data !== undefined) events.push({ event: field('event') ?? 'message', data: JSON.parse(data) })
    }
  }
}

/** A workspace as its owner holds it. */
export interface Workspace {
  readonly workspaceId: string
  /** With all scopes. */
  readonly server: Caller
  /** The app of one of its users, with a token signed by the workspace's key. */
  app(userId: string): Promise<Caller>
  /** Another server key, with these scopes only. */
  serverWith(...scopes: string[]): Promise<Caller>
}

/**
 * Makes a workspace with the root key, and registers its phones at the sandbox.
 * @param isConnected whether it gets an account of every provider
 */
export async function makeWorkspace(
  url: string,
  rootKey: string,
  sandbox: Sandbox,
  workspaceId: string,
  isConnected = true,
): Promise<Workspace> {
  const { apiKey, signingKey } = await new Caller(url, rootKey).post('/v1/workspaces', { workspaceId })
  await sandbox.register(workspaceId, apiKey.key)
  if (isConnected) await connectProviders({ url, workspaceId, apiKey: apiKey.key, sandboxUrl: sandbox.url })
  const server = new Caller(url, apiKey.key)
  const secret = new TextEncoder().encode(signingKey.secret)
  return {
    workspaceId,
    server,
    async app(userId) {
      const token = new SignJWT().setProtectedHeader({ alg: 'HS256', kid: signingKey.kid }).setSubject(userId).setExpirationTime('1h')
      return new Caller(url, await token.sign(secret))
    },
    async serverWith(...scopes) {
      return new Caller(url, (await server.post('/v1/workspace/api-keys', { name: scopes.join(), scopes })).key)
    },
  }
}

/** A request that arrived at a provider. */
export interface Arrival {
  readonly messageId: string
  readonly to: string
  readonly answer: string
  readonly accepted: boolean
}

/** The provider sandbox: what arrived there, what goes wrong there, and the phones. */
export class Sandbox {
  private readonly caller: Caller

  constructor(readonly url: string) {
    this.caller = new Caller(url, null)
  }

  /** Requests that arrived for a message, also those refused. */
  async arrivals(messageId: string): Promise<Arrival[]> {
    return (await this.caller.get(`/log?messageId=${encodeURIComponent(messageId)}`)).items
  }

  /** The next push hangs: it arrives, and is never answered. */
  hangNextPush(): Promise<void> {
    return this.fault('fcm', 'hang', { count: 1 })
  }

  /** From now on this goes wrong at a provider, for everybody. */
  fault(provider: string, mode: string, more: object = {}): Promise<void> {
    return this.caller.post('/faults', { provider, mode, rate: 1, ...more })
  }

  /** All is well again. */
  async mend(): Promise<void> {
    await this.caller.take('DELETE', '/faults')
  }

  register(workspaceId: string, apiKey: string): Promise<void> {
    return this.caller.post('/phones', { workspaceId, apiKey })
  }

  /** What an account's requests must be signed with from now on. */
  registerAccount(account: object): Promise<void> {
    return this.caller.post('/accounts', account)
  }

  /** The person taps the notification or opens the link; again and again while the product restarts, as a phone would. */
  tap(messageId: string): Promise<unknown> {
    return this.phone(messageId, 'clicked')
  }

  /** The phone received the message: its app or its carrier says so. */
  deliver(messageId: string): Promise<unknown> {
    return this.phone(messageId, 'delivered')
  }

  /** The owner of a number answers whoever texted it last. */
  async answers(number: string, word: 'stop' | 'start'): Promise<void> {
    await this.caller.take('POST', `/phones/${encodeURIComponent(number)}/${word}`)
  }

  /** The message as the phone at this number holds it. */
  async held(messageId: string, number: string): Promise<{ body: string; links: { label: string; url: string; tracked: boolean }[] }> {
    const { items } = await this.caller.get(`/phones?to=${encodeURIComponent(number)}`)
    return items.find((message: any) => message.messageId === messageId)
  }

  private phone(messageId: string, report: string): Promise<unknown> {
    return eventually(async () => (await this.caller.ask('POST', `/phones/${messageId}/${report}`)).status === 204, { everyMs: 300 })
  }
}
