// A schema registry of a spec's own, which can lose its schemas and give their ids anew.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { avroSchemas, subjectOf, topics, type Topic } from '@stepcast/contracts'

/** Speaks as much of Confluent's API as our services ask at run time. */
export class LosableRegistry {
  /** Every request so far. */
  readonly asked: string[] = []
  /** While true it answers nothing but 503. */
  isAway = false
  private readonly schemas = new Map<number, string>()
  private readonly subjects = new Map<string, Set<number>>()

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => {
      void bodyOf(request).then((body) => {
        const answer = this.isAway ? null : this.answer(request, body)
        const status = this.isAway ? 503 : answer === null ? 404 : 200
        response
          .writeHead(status, { 'content-type': 'application/json' })
          .end(JSON.stringify(answer ?? { error_code: status * 100 + 3, message: 'none' }))
      })
    })
  }

  /** Starts one, empty. */
  static async start(): Promise<LosableRegistry> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new LosableRegistry(server)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Registers a schema under a subject with this id. */
  put(subject: string, id: number, schema: unknown): void {
    this.schemas.set(id, JSON.stringify(schema))
    this.subjects.set(subject, (this.subjects.get(subject) ?? new Set()).add(id))
  }

  /** Registers our own schemas in this order of topics, ids from `first` on. */
  putOurs(order: readonly Topic[] = Object.values(topics), first = 1): void {
    order.forEach((topic, i) => this.put(subjectOf(topic.name), first + i, avroSchemas[topic.record]))
  }

  /** As a registry that keeps its schemas in memory is after its restart. */
  lose(): void {
    this.schemas.clear()
    this.subjects.clear()
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => {
      this.server.close(resolve)
      this.server.closeAllConnections()
    })
  }

  private answer({ method, url }: IncomingMessage, body: string): object | null {
    this.asked.push(`${method} ${url}`)
    const byId = /^\/schemas\/ids\/(\d+)$/.exec(url!)
    if (byId) {
      const schema = this.schemas.get(Number(byId[1]))
      return schema === undefined ? null : { schema }
    }
    const subject = /^\/subjects\/([^/]+)$/.exec(url!)?.[1]
    const { schema } = JSON.parse(body) as { schema: string }
    const id = [...(this.subjects.get(subject!) ?? [])].find((one) => this.schemas.get(one) === schema)
    return id === undefined ? null : { subject, id, version: 1, schema }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
