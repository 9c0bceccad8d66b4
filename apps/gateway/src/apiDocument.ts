// One OpenAPI document of the whole, put together from what each service says of itself.
import type { OpenApi } from '@stepcast/service'
import { mergeDocuments, type OpenApiDocument } from './mergeDocuments'
import { services, type ServiceName } from './services'
import type { Upstreams } from './upstreams'

export class ApiDocument {
  // Documents change only when a service is replaced.
  private static readonly keepMs = 10_000
  // Each service makes its document when first asked, 0.3 s of CPU; all at the same time on a busy machine took 5 s.
  private static readonly answerMs = 20_000
  // One that is away keeps its last word.
  private readonly lastKnown = new Map<ServiceName, OpenApiDocument>()
  private made: { at: number; document: Promise<OpenApiDocument> } | null = null

  constructor(
    private readonly own: OpenApi,
    private readonly upstreams: Upstreams,
  ) {}

  /** The merged document, at most 10 s old. Services never reached so far are named in `x-stepcast-missing`, and asked again next time. */
  document(): Promise<OpenApiDocument> {
    if (this.made === null || Date.now() - this.made.at >= ApiDocument.keepMs) {
      this.made = { at: Date.now(), document: this.make() }
    }
    return this.made.document
  }

  private async make(): Promise<OpenApiDocument> {
    await Promise.all(services.map(({ name }) => this.ask(name)))
    const known = services.flatMap(({ name }) => {
      const document = this.lastKnown.get(name)
      return document === undefined ? [] : [{ name, document }]
    })
    const missing = services.map(({ name }) => name).filter((name) => !this.lastKnown.has(name))
    if (missing.length > 0) this.made = null
    return mergeDocuments([{ name: 'gateway', document: this.own.document() as unknown as OpenApiDocument }, ...known], missing)
  }

  private async ask(name: ServiceName): Promise<void> {
    try {
      const { statusCode, body } = await this.upstreams
        .of(name)
        .requests.request({ method: 'GET', path: '/openapi.json', signal: AbortSignal.timeout(ApiDocument.answerMs) })
      if (statusCode === 200) this.lastKnown.set(name, (await body.json()) as OpenApiDocument)
      else await body.dump()
    } catch {
      // Away: its last word stands, and a missing one is named in the document.
    }
  }
}
