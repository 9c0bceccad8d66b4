// For specs: a sandbox on free ports, a product that writes down what it is told, and plain calls to both.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Env } from '@stepcast/service'
import type { Arrival, ArrivalCount } from './arrivals'
import { type RunningSandbox, startSandbox } from './start'

/** An HTTP answer with its parsed body. */
export interface Received {
  readonly status: number
  readonly headers: Headers
  readonly body: any
}

/** A request that reached the product. */
export interface Told {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A sandbox and its product. */
export interface SandboxStage {
  readonly sandbox: RunningSandbox
  readonly productUrl: string
  /** What the product was told, in order. */
  readonly told: Told[]
  /** What the product answers; 204 by default. */
  answer: (told: Told) => { status: number; body?: object; headers?: Record<string, string> }
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Received>
  arrivals(query?: string): Promise<Arrival[]>
  counts(query?: string): Promise<ArrivalCount[]>
  stop(): Promise<void>
}

/** Starts both. A public address that the product is given instead of its own is reached at its own. */
export async function sandboxStage(env: Env = {}): Promise<SandboxStage> {
  const told: Told[] = []
  const product = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = { method: request.method!, url: request.url!, headers: request.headers, body: Buffer.concat(chunks).toString('utf8') }
      told.push(one)
      const { status, body, headers = {} } = stage.answer(one)
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body === undefined ? '' : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => product.listen(0, '127.0.0.1', resolve))
  const productUrl = `http://127.0.0.1:${(product.address() as AddressInfo).port}`
  const sandbox = await startSandbox(
    { LOG_LEVEL: 'silent', STEPCAST_PUBLIC_URL: productUrl, ...(env.STEPCAST_PUBLIC_URL && { SANDBOX_PRODUCT_URL: productUrl }), ...env },
    false,
  )
  const call: SandboxStage['call'] = async (method, path, body, headers = {}) => {
    const isForm = body instanceof URLSearchParams
    const answer = await fetch(`${sandbox.url}${path}`, {
      method,
      headers: { ...(isForm ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, headers: answer.headers, body: text === '' ? null : JSON.parse(text) }
  }
  const stage: SandboxStage = {
    sandbox,
    productUrl,
    told,
    answer: () => ({ status: 204 }),
    call,
    arrivals: async (query = '') => (await call('GET', `/log${query}`)).body.items,
    counts: async (query = '') => (await call('GET', `/log/counts${query}`)).body.items,
    stop: async () => {
      await sandbox.stop()
      product.closeAllConnections()
      await new Promise((resolve) => product.close(resolve))
    },
  }
  return stage
}

/** Waits until a condition holds; fails after 5 s. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it never came')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
