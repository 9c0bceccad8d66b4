// What operators and newcomers ask of the whole: is it alive and ready, how is it doing, where does one begin.
import { Controller, Get, Header, Inject, Query } from '@nestjs/common'
import {
  Answers,
  answerReadiness,
  contentPolicy,
  Readiness,
  readyQuery,
  type ReadyQuery,
  Registry,
  RequireScope,
  Undescribed,
} from '@stepcast/service'
import { ApiDocument } from './apiDocument'
import { docsPage } from './docsPage'
import { startPage } from './startPage'
import { WholeReadiness } from './wholeReadiness'

const html = 'text/html; charset=utf-8'
// Our pages load nothing and run nothing.
const policy = contentPolicy("style-src 'unsafe-inline'")

@Controller()
@Undescribed()
@RequireScope('public')
export class ProbeRoutes {
  constructor(
    @Inject(WholeReadiness) private readonly readiness: WholeReadiness,
    @Inject(Readiness) private readonly own: Readiness,
    @Inject(Registry) private readonly metrics: Registry,
    @Inject(ApiDocument) private readonly api: ApiDocument,
  ) {}

  /** A first page for people, with links. */
  @Get()
  @Header('content-type', html)
  @Header('content-security-policy', policy)
  async start(): Promise<string> {
    return startPage(await this.readiness.notReady())
  }

  /** Alive: the gateway answers. */
  @Get('healthz')
  healthz(): { alive: true } {
    return { alive: true }
  }

  /** Every service ready, or 503 with `notReady` naming those that are not, and `details`. At most 1 s old. `?of=self`: this process can answer. */
  @Get('readyz')
  readyz(@Query({ schema: readyQuery }) query: ReadyQuery): Promise<{ ready: true }> {
    return answerReadiness(this.own, () => this.readiness.notReady(), query)
  }

  /** Prometheus text format of the gateway. The address is public, so it takes the root key. */
  @Get('metrics')
  @RequireScope('root')
  @Answers('text/plain')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  prometheus(): Promise<string> {
    return this.metrics.metrics()
  }

  /** The whole API as one OpenAPI 3.0 document. */
  @Get('v1/openapi.json')
  openApi(): Promise<object> {
    return this.api.document()
  }

  /** The same to read. */
  @Get('docs')
  @Header('content-type', html)
  @Header('content-security-policy', policy)
  async docs(): Promise<string> {
    return docsPage(await this.api.document())
  }
}
